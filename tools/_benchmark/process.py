"""A whole process on one image: start, load, find, write, end."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from _benchmark.timing import Ratio, run_process

__all__ = ["whole_process"]


def whole_process(weights: Path, picture: Path, rounds: int) -> Iterable[Ratio]:
    """``python -m detector.run`` against ``yolo predict``, wall time and peak memory, each writing the result."""
    ours: list[tuple[float, float]] = []
    theirs: list[tuple[float, float]] = []
    root = Path(__file__).resolve().parents[2]
    yolo = Path(sys.executable).with_name("yolo")
    for index in range(rounds + 1):
        with tempfile.TemporaryDirectory() as folder:
            flags = ["--source", str(picture), "--weights", str(weights), "--save", folder]
            one = run_process([sys.executable, "-m", "detector.run", *flags], root)
            options = [f"model={weights}", f"source={picture}", "imgsz=640", f"project={folder}", "device=cpu"]
            other = run_process([str(yolo), "predict", "task=detect", *options], Path(folder))
        if index:  # the first run of each fills the file cache
            ours.append(one)
            theirs.append(other)
    seconds = [statistics.median(run[0] for run in side) for side in (ours, theirs)]
    memory = [statistics.median(run[1] for run in side) for side in (ours, theirs)]
    yield Ratio(
        "whole process on one image against yolo predict, time", f"{seconds[0]:.2f} s", f"{seconds[1]:.2f} s",
        f"{seconds[1] / seconds[0]:.1f}x faster", "9x", seconds[1] / seconds[0] >= 9,
    )  # fmt: skip
    yield Ratio(
        "whole process on one image against yolo predict, peak memory", f"{memory[0]:.0f} MB", f"{memory[1]:.0f} MB",
        f"{memory[0] / memory[1]:.2f} of it", "at most 0.25", memory[0] / memory[1] <= 0.25,
    )  # fmt: skip
