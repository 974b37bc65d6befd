from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="tests that train need the extra train")

import onnx
from PIL import Image

from detector import train
from tests.training.build import ROOT, SAMPLE, copy_of_folder, digest, untrained, yolo_folder

# Runs a command in a process that tells of every look at the network, and cannot have it.
WATCHED = """
import runpy, socket, sys
def refuse(*args, **kwargs):
    print("NETWORK", args, file=sys.stderr)
    raise socket.gaierror("no network in tests")
socket.getaddrinfo = socket.create_connection = socket.socket.connect = socket.socket.sendto = refuse
sys.argv = ["train", *sys.argv[1:]]
runpy.run_module("detector.train", run_name="__main__")
"""
SMALL = ("--imgsz", "64", "--batch", "10", "--device", "cpu")


def start_training(folder: Path, *flags: str) -> subprocess.Popen[str]:
    home = folder / "home"
    home.mkdir(exist_ok=True)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("YOLO_")}
    # Under this name ultralytics takes itself to be tested, and would not even try to send anything.
    environment.pop("PYTEST_CURRENT_TEST", None)
    environment |= {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), "PYTHONPATH": str(ROOT)}
    environment |= {"ORT_DISABLE_TELEMETRY": "1"}  # onnxruntime keeps a file at home: what the engines do about it
    environment |= {"MPLCONFIGDIR": str(folder / "matplotlib")}  # matplotlib caches its font list; no business of ours
    return subprocess.Popen(
        [sys.executable, "-W", "error::ResourceWarning", "-c", WATCHED, "--runs", str(folder / "runs"), *flags],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.slow
def test_training_on_the_sample_ends_with_a_verified_network_and_touches_nothing_else(tmp_path: Path) -> None:
    before = digest(SAMPLE), digest(ROOT / "weights")
    process = start_training(tmp_path, "--start", str(untrained()), "--epochs", "1", *SMALL)
    out, err = process.communicate(timeout=570)
    assert process.returncode == 0, err
    run = tmp_path / "runs" / "train"
    assert "NETWORK" not in err
    lines = out.splitlines()
    assert lines[0].split() == ["class", "faces", "AP50", "precision", "recall"]
    assert [line.split()[:2] for line in lines[1:3]] == [["with_mask", "7"], ["without_mask", "6"]]
    assert "equal to the checkpoint on 13 inputs" in lines[4]
    assert lines[-1] == f"next: mask-detector run --source 0 --weights {run / 'mask_detector.onnx'}"
    assert len([line for line in err.splitlines() if line.startswith("epoch 1/1  loss ")]) == 1
    assert len(lines) == 6
    assert len(err.splitlines()) <= 5
    assert {"curves.png", "mask_detector.onnx", "mask_detector.pt", "weights"} <= {p.name for p in run.iterdir()}
    assert not [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert (digest(SAMPLE), digest(ROOT / "weights")) == before


@pytest.mark.slow
def test_every_image_of_a_strangers_folder_is_trained_on_or_named_and_the_count_is_of_what_was_loaded(
    tmp_path: Path,
) -> None:
    theirs = copy_of_folder(tmp_path / "theirs")
    names = sorted((tmp_path / "theirs/labels/train").iterdir())
    for label in names[:9]:  # predictions, and one box twice
        rows = [f"{row} 0.87\n" for row in label.read_text().splitlines()]
        label.write_text("".join([*rows, *rows[:1]]))
    pictures = sorted((tmp_path / "theirs/images/train").iterdir())
    picture, page = pictures[0], pictures[-1]
    with Image.open(picture) as image:
        image.convert("P").save(picture, "GIF")  # under the name of a JPEG
    page.write_bytes(b"<html>not found</html>")
    theirs.write_text("train: ../images/train\nval: images/val\nnames: [cloth, bare]\n", encoding="utf-8")
    maps = ("--map", "cloth=with_mask", "--map", "bare=without_mask")
    process = start_training(
        tmp_path, "--data", str(theirs), *maps, "--start", str(untrained()), "--epochs", "1", *SMALL
    )
    _, err = process.communicate(timeout=570)
    assert process.returncode == 1, err  # an image could not be read
    assert f"images/train/{page.name}" in err
    run = tmp_path / "runs/train"
    (said,) = (line for line in err.splitlines() if line.startswith("trained on "))
    loaded = np.load(run / "dataset/labels/train.cache", allow_pickle=True).item()["labels"]
    assert said.startswith(f"trained on {len(names) - 1} images")
    assert len(loaded) == len(names) - 1
    faces = sum(len(label["cls"]) for label in loaded)
    assert sum(map(int, re.findall(r"(\d+) with", said.split("), chosen")[0]))) == faces
    (note,) = (entry.value for entry in onnx.load(run / "mask_detector.onnx").metadata_props if entry.key == "data")
    assert note == said


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="a child process cannot be sent Ctrl-C alone under Windows")
def test_ctrl_c_keeps_the_last_epoch_and_prints_the_command_that_goes_on(tmp_path: Path) -> None:
    process = start_training(
        tmp_path, "--data", str(yolo_folder()), "--start", str(untrained()), "--epochs", "500", *SMALL
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("epoch 1/500"):
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    run = tmp_path / "runs" / "train"
    assert err.splitlines()[-1].endswith(f"mask-detector train --resume {run}")
    assert (run / "weights" / "last.pt").stat().st_size > 1_000_000
    assert not list(run.rglob("*.part"))


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--data", "x.yaml", "--images", "y"], "leave out --images"),
        (["--annotations", "x"], "--annotations and --images belong together"),
        (["--resume", "runs/x", "--data", "y.yaml"], "leave out --data"),
        (["--resume", "nowhere"], "no checkpoint there"),
        (["--data", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["--annotations", "nowhere", "--images", "nowhere"], "nowhere"),
        (["--start", "nowhere.pt"], "--start nowhere.pt: no such file"),
        (["--name", "a/b"], "--name a/b"),
        (["--device", "abacus"], "--device abacus is not known"),
        (["--batch", "500"], "--batch 500"),
    ],
)
def test_a_mistake_in_the_flags_is_one_line_and_leaves_no_run_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], flags: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if not {"--start", "--resume"} & set(flags):
        flags = [*flags, "--start", str(untrained())]
    assert train.main(flags) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.splitlines()[-1].startswith("error: ")
    assert says in err.splitlines()[-1]
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not list(tmp_path.glob("runs/*"))


def test_a_class_mapping_that_is_none_is_refused_by_the_parser(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        train.main(["--map", "bare"])
    assert "'bare' is not NAME=CLASS" in capfd.readouterr().err


@pytest.mark.parametrize("place", ["weights/last.pt", "last.pt"])
def test_the_checkpoint_of_a_run_may_be_named_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    assert train.main(["--resume", str(tmp_path / "run" / place)]) == 2
    assert capsys.readouterr().err.startswith(f"error: --resume {tmp_path / 'run'}: no checkpoint there")


def test_a_size_that_fits_nowhere_is_refused_before_anything_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(["--imgsz", "100000"]) == 2
    assert capsys.readouterr().err == "error: --imgsz 100000: no image fits into the memory: use at most 8192\n"
