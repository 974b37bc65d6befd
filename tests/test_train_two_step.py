from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="tests that train need the extra train")

from detector import train
from tests.training.build import SAMPLE, digest
from tests.training.two_step_parts import imagenet, write_crops

TWO_STEP = ("--engine", "two-step", "--device", "cpu")
COUNTS = {f"{part}/{name}": 6 for part in ("train", "val") for name in ("with_mask", "without_mask")}


@pytest.mark.slow
def test_the_sample_alone_gives_a_classifier_and_is_not_touched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = digest(SAMPLE)
    flags = (*TWO_STEP, "--start", str(imagenet()), "--epochs", "1", "--side", "32", "--runs", str(tmp_path / "runs"))
    assert train.main(flags) == 0
    out, err = capsys.readouterr()
    run = tmp_path / "runs" / "train"
    assert out.splitlines()[0].split() == ["precision", "recall", "F1", "support"]
    assert out.splitlines()[-1] == (
        f"next: mask-detector run --engine two-step --source 0 --weights {run / 'mask_classifier.onnx'}"
    )
    assert len([line for line in err.splitlines() if line.startswith("epoch 1/1 (head)  loss ")]) == 1
    assert sorted(path.name for path in run.iterdir()) == sorted(
        ["crops", "curves.png", "dataset", "mask_classifier.onnx", "weights"]
    )
    assert digest(SAMPLE) == before


@pytest.mark.slow
def test_ready_crops_are_used_where_they_are_and_a_finished_run_can_be_asked_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crops = write_crops(tmp_path / "crops", COUNTS)
    before = digest(crops)
    flags = (*TWO_STEP, "--crops", str(crops), "--start", str(imagenet()), "--epochs", "1", "--side", "32")
    assert train.main((*flags, "--runs", str(tmp_path / "runs"), "--name", "masks")) == 0
    report = capsys.readouterr().out.splitlines()[:8]
    run = tmp_path / "runs" / "masks"
    (run / "mask_classifier.onnx").unlink()
    assert train.main(("--resume", str(run), "--device", "cpu")) == 0
    assert capsys.readouterr().out.splitlines()[:7] == report[:7]
    assert (run / "mask_classifier.onnx").is_file()
    assert not (run / "crops").exists()
    assert digest(crops) == before


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--engine", "two-step", "--imgsz", "64"), "--imgsz: is not for the mask classifier: use --side"),
        (("--engine", "two-step", "--crops", "c", "--min-side", "5"), "--crops are ready: leave out --min-side"),
        (("--engine", "two-step", "--crops", "c", "--data", "d.yaml"), "--crops are ready: leave out --data"),
        (("--resume", "r", "--side", "64"), "--resume goes on with its own settings: leave out --side"),
        (("--resume", "r", "--engine", "two-step"), "--resume goes on with its own settings: leave out --engine"),
        (("--engine", "two-step", "--finder", "--crops", "c"), "--crops: is not for the face finder"),
        (("--finder",), "--finder: is for --engine two-step"),
        (("--crops", "c"), "--crops: is for --engine two-step"),
        (("--min-side", "9"), "--min-side: is for --engine two-step"),
        (("--engine", "two-step", "--start", "gone.pth"), "--start gone.pth: no such file"),
        (("--resume", "gone"), "no checkpoint there"),
    ],
)
def test_flags_that_do_not_fit_are_one_line_and_leave_nothing(
    flags: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert train.main((*flags, "--device", "cpu")) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.*"))
    assert not (tmp_path / "runs" / "train").exists()


@pytest.mark.parametrize("counts", [{}, {"with_mask": 4}])
def test_crops_without_both_classes_are_one_line_and_leave_no_run(
    counts: dict[str, int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crops = write_crops(tmp_path / "crops", counts)
    crops.mkdir(exist_ok=True)
    flags = (*TWO_STEP, "--crops", str(crops), "--start", str(imagenet()), "--runs", str(tmp_path / "runs"))
    assert train.main(flags) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {crops}: no image")
    assert not list((tmp_path / "runs").iterdir())


@pytest.mark.slow
def test_the_face_finder_is_trained_on_the_sample(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [*TWO_STEP, "--finder", "--start", str(imagenet()), "--epochs", "1", "--imgsz", "64"]
    assert train.main([*flags, "--runs", str(tmp_path / "runs"), "--name", "faces"]) == 0
    out, err = capsys.readouterr()
    run = tmp_path / "runs" / "faces"
    assert out.startswith("recall at 1 false face an image: 0.")
    assert (run / "face_ssd.onnx").is_file()
    assert out.splitlines()[-1] == f"next: mask-detector train --engine two-step --faces ssd={run / 'face_ssd.onnx'}"
    assert len([line for line in err.splitlines() if line.startswith("epoch 1/1  loss ")]) == 1
    assert train.main([*flags, "--data", "a.yaml", "--split", "b.csv"]) == 2
    assert "--data already names images and labels" in capsys.readouterr().err
