"""Each writing command is killed at random moments; nothing of the user's may be lost, and nothing lie about after."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.media.makers import grey_video
from tests.training.build import digest, untrained

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "data"
LABELS = ("--annotations", DATA / "annotations", "--images", DATA / "images")
PARTS = (*LABELS, "--split", DATA / "split.csv")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="Windows has no signals that a process can answer"),
]

Command = Callable[[Path], list[str | Path]]
COMMANDS: dict[str, Command] = {
    "images": lambda root: ["-m", "detector.run", "--source", root / "photos", "--save", root / "out"],
    "video": lambda root: [
        *("-m", "detector.run", "--source", root / "door.mp4", "--save", root / "out"),
        *("--csv", free(root, "csv"), "--json", free(root, "jsonl")),
    ],
    "evaluate": lambda root: [
        *("-m", "detector.evaluate", *LABELS, "--coco", root / "coco", "--overwrite"),
        *("--json", root / "e.json", "--curves", root / "e.svg"),
    ],
    "compare": lambda root: [
        *("-m", "detector.compare", "--annotations", root / "labels", "--images", root / "photos"),
        *("--out", root / "c.html", "--markdown", root / "c.md", "--rounds", "1", "--overwrite"),
    ],
    "voc2yolo": lambda root: ["tools/voc2yolo.py", *PARTS, "-o", root / "out"],
    "yolo2voc": lambda root: ["tools/yolo2voc.py", root / "yolo", "-o", root / "out"],
    "clean": lambda root: ["-m", "detector.clean", root / "photos", "-o", root / "out"],
    "prelabel": lambda root: ["-m", "detector.prelabel", "-i", root / "photos", "-o", root / "out"],
    "check": lambda root: ["-m", "detector.check", *LABELS, "-o", root / "out"],
    "crop": lambda root: ["-m", "detector.crop", *PARTS, "--out", root / "out"],
    "masks": lambda root: ["-m", "detector.masks", *LABELS, "-o", root / "out"],
    "export": lambda root: ["-m", "detector.export", root / "mine.pt", "--images", root / "photos"],
    "train": lambda root: [
        *("-m", "detector.train", *PARTS, "--start", root / "mine.pt", "--runs", root / "runs", "--epochs", "1"),
        *("--imgsz", "64", "--device", "cpu"),
    ],
}
WHOLE = {"voc2yolo", "clean", "check", "crop", "masks"}
"""Their folder appears at once; where it is there, a second run refuses it."""


def free(root: Path, suffix: str) -> Path:
    return next(path for path in (root / f"faces{n}.{suffix}" for n in range(9)) if not path.exists())


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """Things of the user's, of which nothing may change, and room for results."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "labels").mkdir()
    for name in ("video_call_six", "no_face_coffee", "collins_bare"):
        shutil.copy(DATA / "images" / f"{name}.jpg", tmp_path / "photos")
        shutil.copy(DATA / "annotations" / f"{name}.xml", tmp_path / "labels")
    grey_video(tmp_path / "door.mp4", 40, Fraction(25))
    (tmp_path / "out.txt").write_text("precious")
    (tmp_path / "tmp").mkdir()
    yield tmp_path
    shutil.rmtree(tmp_path)


def start(root: Path, name: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(root / "tmp")}
    command = [sys.executable, *map(str, COMMANDS[name](root))]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def prepare(root: Path, name: str) -> None:
    """What only some commands need."""
    if name in ("export", "train"):
        pytest.importorskip("ultralytics")
        shutil.copy(untrained(), root / "mine.pt")
    if name == "yolo2voc":
        done = subprocess.run(
            [sys.executable, "tools/voc2yolo.py", *map(str, PARTS), "-o", root / "yolo"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=True,
        )
        assert not done.stderr


def strays(root: Path) -> list[str]:
    """What a run should have taken away: staging folders, parts of files, things in the place for temporary files."""
    unfinished = [path for path in root.rglob("*") if path.name.startswith(".") or path.suffix in {".part", ".partial"}]
    ours = [path for path in (root / "tmp").iterdir() if not path.name.startswith(("torch", "matplotlib"))]
    return [str(path.relative_to(root)) for path in [*unfinished, *ours]]


def look(root: Path) -> None:
    """Whatever is there under its own name is whole."""
    for path in root.glob("out/*.mp4"):
        if path.stat().st_size > 2000:
            with av.open(str(path)) as container:
                assert len(list(container.decode(video=0))) > 0
    for path in root.rglob("*.jsonl"):
        lines = path.read_text().split("\n")
        assert lines[-1] == ""
        assert all(json.loads(line)["source"] for line in lines[:-1])
    for path in root.rglob("*.csv"):
        assert path.read_bytes()[-1:] in (b"\n", b"")
    for path in [*root.rglob("*.json"), *root.rglob("*.xml"), *root.rglob("*.jpg"), *root.rglob("*.onnx")]:
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        assert hidden or path.stat().st_size > 0


def kill_once(root: Path, name: str, number: signal.Signals, after: float, complete: set[str]) -> None:
    """Kill a command after so many seconds, look at what is there, and run it to its end."""
    users = digest(root)
    process = start(root, name)
    time.sleep(after)
    process.send_signal(number)
    _, errors = process.communicate(timeout=900)
    importing = "in <module>" in errors  # before the command has begun, where Ctrl-C may come out as anything
    assert process.returncode in (0, 130, -number) or importing, errors
    if process.returncode == 130:
        assert "Traceback" not in errors, errors
        assert strays(root) == []
    there = digest(root)
    assert {path: there.get(path) for path in users} == users
    look(root)
    if name in WHOLE and (root / "out").exists():
        assert set(digest(root / "out")) == complete
    if name == "prelabel":
        listed = (root / "out/prelabels.csv").read_text() if (root / "out/prelabels.csv").exists() else ""
        assert all(path.name in listed for path in (root / "out").glob("*.xml"))
    finished = name in WHOLE and (root / "out").exists()
    again = start(root, name)
    _, errors = again.communicate(timeout=900)
    assert again.returncode == (2 if finished and name != "voc2yolo" else 0), errors
    assert strays(root) == []
    assert {path: digest(root).get(path) for path in users} == users


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_is_killed_loses_nothing_and_the_next_run_is_fine(root: Path, name: str) -> None:
    prepare(root, name)
    users = digest(root)
    began = time.monotonic()
    process = start(root, name)
    _, errors = process.communicate(timeout=900)
    assert process.returncode == 0, errors
    seconds = time.monotonic() - began
    complete = set(digest(root / "out")) if (root / "out").exists() else set()
    rng = np.random.default_rng()
    kills = int(os.environ.get("KILLS", "1" if name == "train" else "3"))  # a training takes a minute
    for number in [(signal.SIGKILL, signal.SIGTERM, signal.SIGINT)[kill % 3] for kill in range(kills)]:
        for path in set(digest(root)) - set(users):
            (root / path).unlink()
        for folder in ("out", "coco", "runs"):
            shutil.rmtree(root / folder, ignore_errors=True)
        after = rng.uniform(0.3, 1.0) * seconds
        kill_once(root, name, number, after, complete)
