"""Our converter beside supervision's ``from_pascal_voc`` and ``as_yolo``."""

from __future__ import annotations

import contextlib
import tempfile
import time
from pathlib import Path

import numpy as np

from _benchmark.timing import Ratio
from detector.data import dataset

__all__ = ["convert"]


def convert(data: Path) -> Ratio:
    """All sets of a data folder, once each, and whether the boxes are the same."""
    sets = sorted(folder for folder in data.iterdir() if (folder / "images").is_dir())
    with tempfile.TemporaryDirectory() as folder:
        ours_out, theirs_out = Path(folder) / "ours", Path(folder) / "theirs"
        _supervision(sets[:1], Path(folder) / "warm")  # imports, and the file cache for both
        started = time.perf_counter()
        _supervision(sets, theirs_out)
        theirs = time.perf_counter() - started
        started = time.perf_counter()
        dataset.build(
            [one / "annotations" for one in sets], [one / "images" for one in sets], ours_out, split=data / "split.csv"
        )
        ours = time.perf_counter() - started
        different, compared = _differences(ours_out, theirs_out)
    return Ratio(
        f"conversion of {compared} images against supervision ({different} images with other boxes)",
        f"{ours:.1f} s", f"{theirs:.1f} s", f"{theirs / ours:.1f}x faster", "5x, same boxes",
        theirs / ours >= 5 and different == 0,
    )  # fmt: skip


def _supervision(sets: list[Path], out: Path) -> None:
    import supervision

    for one in sets:
        with contextlib.redirect_stderr(None):
            labels = supervision.DetectionDataset.from_pascal_voc(str(one / "images"), str(one / "annotations"))
            labels.as_yolo(str(out / "images"), str(out / "labels"), str(out / f"{one.name}.yaml"))


def _differences(ours: Path, theirs: Path) -> tuple[int, int]:
    """Images whose boxes differ by more than 0.05 px of 640, and images compared."""
    different = compared = 0
    for path in sorted((ours / "labels").rglob("*.txt")):
        mine, other = _boxes(path), _boxes(theirs / "labels" / path.name)
        compared += 1
        different += mine.shape != other.shape or bool((np.abs(mine - other) > 0.05 / 640).any())
    return different, compared


def _boxes(path: Path) -> np.ndarray:
    rows = [[float(value) for value in line.split()[1:5]] for line in path.read_text().splitlines()]
    return np.array(sorted(rows)).reshape(-1, 4)
