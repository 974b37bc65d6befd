"""Training on the CPU beside ``yolo train`` with the same settings: time per epoch, and the accuracy at the end."""

from __future__ import annotations

import csv
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from _benchmark.timing import Ratio, run_process
from detector.data import dataset
from detector.training.single_stage.yolo_training import hyperparameters

__all__ = ["epochs"]

BATCH = 16
ROOT = Path(__file__).resolve().parents[2]


def epochs(checkpoint: Path, data: Path, images: int, count: int, imgsz: int) -> Iterable[Ratio]:
    """``count`` epochs on ``images`` images, ours and theirs from the same start, data, seed and hyperparameters."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        sets = sorted(one for one in data.iterdir() if (one / "images").is_dir())
        labels, pictures = ([one / kind for one in sets] for kind in ("annotations", "images"))
        dataset.build(labels, pictures, out / "data", split=data / "split.csv")
        _thin_out(out / "data", "train", images)
        _thin_out(out / "data", "val", images // 3)
        (ours, our_ap), (theirs, their_ap) = (
            _ours(checkpoint, out, count, imgsz),
            _theirs(checkpoint, out, count, imgsz),
        )
    yield Ratio(
        f"epoch of training on the CPU at {imgsz} px, {images} images, against yolo train with the same settings",
        f"{ours:.0f} s", f"{theirs:.0f} s", f"{theirs / ours:.2f}x faster", "2.5x", theirs / ours >= 2.5,
    )  # fmt: skip
    yield Ratio(
        f"AP50 on val after {count} epochs of each", f"{our_ap:.3f}", f"{their_ap:.3f}", f"{our_ap - their_ap:+.3f}",
        "within 0.01", our_ap - their_ap >= -0.01,
    )  # fmt: skip


def _ours(checkpoint: Path, folder: Path, count: int, imgsz: int) -> tuple[float, float]:
    flags = ["--data", str(folder / "data" / "data.yaml"), "--start", str(checkpoint), "--device", "cpu"]
    flags += ["--epochs", str(count), "--imgsz", str(imgsz), "--batch", str(BATCH), "--runs", str(folder / "ours")]
    run_process([sys.executable, "-m", "detector.train", *flags], ROOT)
    return _read(folder / "ours" / "train" / "results.csv")


def _theirs(checkpoint: Path, folder: Path, count: int, imgsz: int) -> tuple[float, float]:
    settings = {
        **hyperparameters(count, BATCH), "model": checkpoint, "data": folder / "data" / "data.yaml", "imgsz": imgsz,
        "device": "cpu", "project": folder / "theirs", "name": "train", "seed": 0,
    }  # fmt: skip
    options = [f"{key}={value}" for key, value in settings.items() if key not in ("task", "mode")]
    run_process([str(Path(sys.executable).with_name("yolo")), "detect", "train", *options], folder)
    return _read(folder / "theirs" / "train" / "results.csv")


def _read(results: Path) -> tuple[float, float]:
    """Seconds per epoch, without the first that also warms up, and the last epoch's AP50."""
    with results.open(newline="", encoding="utf-8") as file:
        rows = [{key.strip(): float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    return (rows[-1]["time"] - rows[0]["time"]) / (len(rows) - 1), rows[-1]["metrics/mAP50(B)"]


def _thin_out(folder: Path, part: str, images: int) -> None:
    """Keep every n-th image, so that the comparison ends before the evening."""
    paths = sorted((folder / "images" / part).iterdir())
    keep = set(paths[:: max(len(paths) // images, 1)][:images])
    for path in set(paths) - keep:
        path.unlink()
        (folder / "labels" / part / f"{path.stem}.txt").unlink()
