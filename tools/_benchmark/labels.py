"""Our converter beside supervision's ``from_pascal_voc`` and ``as_yolo``."""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from _benchmark.timing import Ratio
from detector.data import dataset
from detector.media.images import image_size

__all__ = ["convert"]


def convert(data: Path, rounds: int = 3) -> Ratio:
    """All sets of a data folder, the two sides in turn, and whether the boxes are the same.

    Nothing is deleted before the end: some file systems create files slowly for a while after many were removed.
    """
    sets = sorted(folder for folder in data.iterdir() if (folder / "images").is_dir())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _supervision(sets[:1], folder / "warm")  # imports, and the file cache for both
        taken: tuple[list[float], list[float]] = ([], [])
        for number in range(rounds):
            started = time.perf_counter()
            _ours(data, sets, folder / f"ours-{number}")
            between = time.perf_counter()
            _supervision(sets, folder / f"theirs-{number}")
            taken[0].append(between - started)
            taken[1].append(time.perf_counter() - between)
        ours, theirs = map(statistics.median, taken)
        different, compared = _differences(folder / "ours-0", folder / "theirs-0")
    return Ratio(
        f"conversion of {compared} images against supervision ({different} images with other boxes)",
        f"{ours:.1f} s", f"{theirs:.1f} s", f"{theirs / ours:.1f}x faster", "5x, same boxes",
        theirs / ours >= 5 and different == 0,
    )  # fmt: skip


def _ours(data: Path, sets: list[Path], out: Path) -> None:
    annotations, images = ([one / kind for one in sets] for kind in ("annotations", "images"))
    dataset.build(annotations, images, out, split=data / "split.csv")


def _supervision(sets: list[Path], out: Path) -> None:
    import supervision

    for one in sets:
        with contextlib.redirect_stderr(None):
            labels = supervision.DetectionDataset.from_pascal_voc(str(one / "images"), str(one / "annotations"))
            labels.as_yolo(str(out / "images"), str(out / "labels"), str(out / f"{one.name}.yaml"))


def _differences(ours: Path, theirs: Path) -> tuple[int, int]:
    """Images whose boxes differ by more than 0.05 px, and images compared.

    supervision takes Pascal VOC for 1-based and moves each left top corner by one pixel; LabelImg's files are not, so
    that pixel is taken back before comparing.
    """
    different = compared = 0
    for path in sorted((ours / "images").rglob("*.*")):
        size = image_size(path)
        mine = _corners(ours / "labels" / path.parent.name / f"{path.stem}.txt", size)
        other = np.add(_corners(theirs / "labels" / f"{path.stem}.txt", size), (1, 1, 0, 0))
        compared += 1
        different += mine.shape != other.shape or bool((np.abs(mine - other) > 0.05).any())
    return different, compared


def _corners(path: Path, size: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Left, top, right, bottom in px of each line, sorted."""
    rows = [[float(value) for value in line.split()[1:5]] for line in path.read_text().splitlines()]
    boxes = np.array(rows).reshape(-1, 4) * (*size, *size)
    corners = np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1)
    return corners[np.lexsort(corners.round(1).T)]
