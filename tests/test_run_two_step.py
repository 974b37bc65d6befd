"""The engine's flags as a person uses them, with small networks that say what they were made to say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from detector.media import images

from .engines.networks import make_classifier, make_ssd

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A red face, which is masked to the classifier, and a blue one, which is background."""
    image = np.zeros((64, 64, 3), np.uint8)
    image[0:20, 0:20], image[40:60, 0:20] = (0, 0, 255), (255, 0, 0)
    images.write(tmp_path / "door.png", image)
    return tmp_path / "door.png"


@pytest.fixture
def two_step(tmp_path: Path) -> list[str]:
    """The flags that name both networks."""
    finder = make_ssd(tmp_path, (0, 0, 20, 20, 0.9), (0, 40, 20, 60, 0.7))
    return ["--engine", "two-step", "--weights", str(make_classifier(tmp_path)), "--faces", f"ssd={finder}"]


def run(*flags: object, code: str = "import detector.run as r; raise SystemExit(r.main())") -> tuple[int, str, str]:
    """Run the command in a process of its own; returns its exit code, stdout and stderr."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, flags)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout, done.stderr


def test_the_two_step_engine_runs_from_the_command_line(picture: Path, two_step: list[str]) -> None:
    code, stdout, stderr = run("--source", picture, "--json", "-", *two_step)
    assert code == 0, stderr
    (face,) = json.loads(stdout)["faces"]
    assert (face["class"], face["confidence"]) == ("with_mask", pytest.approx(0.9, abs=1e-3))


def test_its_flags_reach_the_face_finder(picture: Path, two_step: list[str]) -> None:
    code, stdout, stderr = run("--source", picture, "--json", "-", *two_step, "--imgsz", 128, "--conf", 0.95)
    assert (code, json.loads(stdout)["faces"]) == (0, []), stderr
    _, stdout, _ = run("--source", picture, "--json", "-", *two_step, "--imgsz", 128, "--threads", 1)
    assert json.loads(stdout)["faces"][0]["box"] == pytest.approx([0, 0, 10, 10], abs=0.1)


def test_neither_engine_loads_what_the_other_needs_or_torch(picture: Path, two_step: list[str]) -> None:
    code = (
        "import sys, detector.run as r; r.main();"
        "names = {'torch', 'torchvision', 'onnx', 'detector.engines.two_step', 'detector.engines.face_finders'};"
        "print(sorted(names & set(sys.modules)))"
    )
    _, stdout, stderr = run("--source", picture, code=code)
    assert stdout.splitlines()[-1] == "[]", stderr
    _, stdout, stderr = run("--source", picture, *two_step, code=code)
    assert stdout.splitlines()[-1] == "['detector.engines.face_finders', 'detector.engines.two_step']", stderr


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--faces", "haar"], "--faces haar: single-stage finds faces by itself"),
        (["--engine", "two-step", "--weights", "gone.onnx"], "gone.onnx: no such file: train it with"),
        (["--weights", "{classifier}"], "this is a mask classifier, not a single-stage detector"),
        (["--engine", "two-step", "--weights", "{classifier}", "--faces", "ssd=gone.onnx"], "gone.onnx: no such file"),
        (["--engine", "two-step", "--weights", "{classifier}", "--faces", "mtcnn"], "--faces mtcnn is not known"),
    ],
)
def test_a_mistake_with_the_networks_is_one_line_and_exit_code_2(
    picture: Path, tmp_path: Path, flags: list[str], message: str
) -> None:
    classifier = make_classifier(tmp_path)
    code, stdout, stderr = run("--source", picture, *(flag.format(classifier=classifier) for flag in flags))
    assert (code, stdout) == (2, "")
    assert stderr.startswith("error: ")
    assert message in stderr
    assert stderr.count("\n") == 1


def test_an_engine_that_does_not_exist_is_refused_with_those_that_do(picture: Path) -> None:
    code, _, stderr = run("--source", picture, "--engine", "three-step")
    assert code == 2
    assert "'single-stage', 'two-step'" in stderr or "single-stage, two-step" in stderr
