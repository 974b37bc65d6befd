"""Training on the CPU beside ``yolo train`` with the same settings: time per epoch, and the accuracy at the end."""

from __future__ import annotations

import csv
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from _benchmark.conversion_speed import build_all
from _benchmark.ratios import ROOT, Ratio, Settings, run_process
from detector.training.single_stage.yolo_training import hyperparameters

BATCH, SIZE = 16, 416


def epochs(settings: Settings) -> Iterator[Ratio]:
    """A few epochs on a few images, ours and theirs from the same start, data, seed and hyperparameters."""
    count = settings.train_epochs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build_all(settings, folder / "data")
        _thin_out(folder / "data", "train", settings.train_images)
        _thin_out(folder / "data", "val", settings.train_images // 3)
        data = folder / "data" / "data.yaml"
        flags = f"--data {data} --start {settings.checkpoint.resolve()} --device cpu --epochs {count}"
        flags += f" --imgsz {SIZE} --batch {BATCH} --runs {folder / 'ours'}"
        run_process([sys.executable, "-m", "detector", "train", *flags.split()], ROOT)
        options = {
            **hyperparameters(count, BATCH),
            "model": settings.checkpoint,
            "data": data,
            "imgsz": SIZE,
            "device": "cpu",
            "seed": 0,
            "project": folder / "theirs",
            "name": "train",
        }
        words = [f"{key}={value}" for key, value in options.items() if key not in ("task", "mode")]
        run_process([Path(sys.executable).with_name("yolo"), "detect", "train", *words], folder)
        (ours, our_ap), (theirs, their_ap) = (_read(folder / side / "train/results.csv") for side in ("ours", "theirs"))
    yield Ratio(
        f"epoch of training on the CPU at {SIZE} px, {settings.train_images} images, "
        "against yolo train with the same settings",
        wanted="2.5x",
        met=theirs / ours >= 2.5,
        ours=f"{ours:.0f} s",
        theirs=f"{theirs:.0f} s",
        ratio=f"{theirs / ours:.2f}x faster",
    )
    yield Ratio(
        f"AP50 on val after {count} epochs of each",
        wanted="within 0.01",
        met=our_ap - their_ap >= -0.01,
        ours=f"{our_ap:.3f}",
        theirs=f"{their_ap:.3f}",
        ratio=f"{our_ap - their_ap:+.3f}",
    )


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
