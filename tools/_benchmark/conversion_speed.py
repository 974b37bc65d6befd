"""Our converter beside supervision's ``from_pascal_voc`` and ``as_yolo``."""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from _benchmark.ratios import Ratio, Settings
from detector.data import dataset
from detector.media.images import image_size

ROUNDS = 3


def convert(settings: Settings) -> Iterator[Ratio]:
    """All sets of a data folder, the two sides in turn, and whether the boxes are the same.

    Nothing is deleted before the end: some file systems create files slowly for a while after many were removed.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _supervision(settings.sets[:1], folder / "warm")  # imports, and the file cache for both
        taken: tuple[list[float], list[float]] = ([], [])
        for number in range(ROUNDS):
            started = time.perf_counter()
            build_all(settings, folder / f"ours-{number}")
            between = time.perf_counter()
            _supervision(settings.sets, folder / f"theirs-{number}")
            taken[0].append(between - started)
            taken[1].append(time.perf_counter() - between)
        ours, theirs = map(statistics.median, taken)
        different, compared = _differences(folder / "ours-0", folder / "theirs-0")
    yield Ratio(
        f"conversion of {compared} images against supervision ({different} images with other boxes)",
        wanted="5x, same boxes",
        met=theirs / ours >= 5 and different == 0,
        ours=f"{ours:.1f} s",
        theirs=f"{theirs:.1f} s",
        ratio=f"{theirs / ours:.1f}x faster",
    )


def build_all(settings: Settings, out: Path) -> None:
    """Our YOLO folder of all sets, split as ``split.csv`` says."""
    assert settings.data is not None  # noqa: S101 - the caller has seen to it
    annotations, images = ([one / kind for one in settings.sets] for kind in ("annotations", "images"))
    dataset.build(annotations, images, out, split=settings.data / "split.csv")


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
    """Left, top, right, bottom in px of each line, sorted; ``size`` is (width, height)."""
    rows = [[float(value) for value in line.split()[1:5]] for line in path.read_text().splitlines()]
    boxes = np.array(rows).reshape(-1, 4) * (*size, *size)
    corners = np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1)
    return corners[np.lexsort(corners.round(1).T)]
