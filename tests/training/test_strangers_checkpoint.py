"""A checkpoint is a pickle: whoever made it could have it run anything. These would create a file if they could."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from detector import export, train
from detector.errors import DetectorError
from detector.training.checkpoint import load
from detector.training.single_stage.ultralytics_env import ultralytics_env
from tests.training.build import ROOT, copy_of_folder, untrained, yolo_folder


class _Call:
    """Pickled, it is a call of a function of anyone's choice."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.function, self.arguments


def hostile(path: Path, touched: Path, wrapped: bool = True) -> Path:
    """A checkpoint of the right shape that runs a command when it is loaded the usual way."""
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    call = _Call(os.mkdir, str(touched))
    if wrapped:  # all that belongs there, and one thing more
        content = torch.load(untrained(), weights_only=False)
        torch.save(content | {"optimizer": {}, "epoch": 0, "more": call}, path)
    else:
        path.write_bytes(pickle.dumps({"model": call}, protocol=2))
    return path


@pytest.mark.parametrize("wrapped", [True, False])
def test_the_hostile_checkpoint_would_run_if_nothing_stopped_it(tmp_path: Path, wrapped: bool) -> None:
    import torch

    path = hostile(tmp_path / "a.pt", tmp_path / "touched", wrapped)
    if wrapped:
        torch.load(path, weights_only=False)
    else:
        pickle.loads(path.read_bytes())  # noqa: S301
    assert (tmp_path / "touched").exists()


@pytest.mark.parametrize("wrapped", [True, False])
def test_export_runs_nothing_of_a_strangers_checkpoint(
    tmp_path: Path, wrapped: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    path = hostile(tmp_path / "a.pt", tmp_path / "touched", wrapped)
    assert export.main([str(path)]) == 2
    assert [file.name for file in tmp_path.iterdir()] == ["a.pt"]
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "a.pt: " in line
    assert ("could run code on this computer" in line and "--trust" in line) or not wrapped


def test_training_runs_nothing_of_a_strangers_start_and_says_which_flag_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = hostile(tmp_path / "a.pt", tmp_path / "touched")
    assert train.main(["--data", str(yolo_folder()), "--start", str(path), "--imgsz", "64", "--device", "cpu"]) == 2
    assert not (tmp_path / "touched").exists()
    assert "holds posix.mkdir" in capsys.readouterr().err or os.name == "nt"


@pytest.mark.parametrize("imgsz", [float("inf"), -5, "640", [64, "a"]])
def test_a_size_of_training_that_is_none_is_refused_with_the_remedy(tmp_path: Path, imgsz: object) -> None:
    import torch

    content = torch.load(untrained(), weights_only=False)
    torch.save(content | {"train_args": {"imgsz": imgsz}}, tmp_path / "a.pt")
    with pytest.raises(DetectorError, match="give the size with --imgsz"):
        export.export(tmp_path / "a.pt", tmp_path / "a.onnx")


@pytest.mark.parametrize("name", ["last.pt", "best.pt"])
def test_resuming_a_strangers_run_runs_nothing_of_its_checkpoints(tmp_path: Path, name: str) -> None:
    run = tmp_path / "run"
    copy_of_folder(run / "dataset")
    (run / "weights").mkdir()
    shutil.copy(untrained(), run / "weights" / "last.pt")
    hostile(run / "weights" / name, tmp_path / "touched")
    with pytest.raises(DetectorError, match=rf"{name}: holds .*--trust"):
        train.resume(run, device="cpu")
    assert not (tmp_path / "touched").exists()


@pytest.mark.slow
def test_a_strangers_label_cache_is_thrown_away_unread(tmp_path: Path) -> None:
    data = copy_of_folder(tmp_path / "run" / "dataset")
    call = np.array(_Call(os.mkdir, str(tmp_path / "touched")), dtype=object)
    for part in ("train", "val"):
        with (data.parent / "labels" / f"{part}.cache").open("wb") as file:
            np.save(file, call, allow_pickle=True)
    train.train(data, tmp_path / "run", untrained(), epochs=1, imgsz=64, batch=4, device="cpu")
    assert not (tmp_path / "touched").exists()


def test_whoever_trusts_the_maker_says_so_and_the_checkpoint_loads(tmp_path: Path) -> None:
    path = hostile(tmp_path / "a.pt", tmp_path / "touched")
    with ultralytics_env(trust=True):
        network, _ = load(path)
    assert list(network.names.values()) == ["with_mask", "without_mask"]
    assert (tmp_path / "touched").exists()


def test_a_program_that_imported_ultralytics_before_is_safe_within_and_as_before_after(tmp_path: Path) -> None:
    path = hostile(tmp_path / "a.pt", tmp_path / "touched")
    script = f"""
from ultralytics.nn import tasks
from detector.errors import ModelError
from detector.training.checkpoint import slim
from pathlib import Path
try:
    slim(Path({str(path)!r}), Path({str(tmp_path / "out.pt")!r}))
except ModelError:
    print(tasks.SAFE_LOAD, Path({str(tmp_path / "touched")!r}).exists())
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "YOLO_CONFIG_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1:] == ["False False"], done.stdout  # ultralytics may greet before


def test_the_published_and_the_shipped_checkpoints_need_no_trust() -> None:
    with ultralytics_env():
        network, _ = load(ROOT / "weights" / "mask_detector.pt")
    assert len(network.names) == 2
