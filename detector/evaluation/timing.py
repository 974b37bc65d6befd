"""Time per image against the number of faces in it, several engines side by side."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import chain, zip_longest
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from detector.cores import available_cores
from detector.data.progress import Progress, silent
from detector.data.sample import Sample
from detector.evaluation.contenders import Contender
from detector.media import images
from detector.media.images import Image
from detector.scoring.examples import shorter_side

__all__ = ["CANVAS", "COUNTS", "ROUNDS", "Timing", "canvas", "cut_faces", "machine", "time_engines"]

CANVAS = (1280, 720)
"""(width, height) of the picture that all engines are timed on, px."""

COUNTS = (1, 2, 4, 8, 16, 32)
"""Faces in it."""

ROUNDS = 9
"""Calls of each engine, of which the median counts."""

GRID = (8, 4)
CELL = (CANVAS[0] // GRID[0], CANVAS[1] // GRID[1])
GREY = 114
MIN_FACE = 40.0  # px: a smaller face would have to be blown up
CONTEXT = 2.0  # a cell shows this many times a face's longer side
WARM_UP = 2
PAUSE_S = 0.01  # our own networks' threads rest at once; other people's may spin for so long


@dataclass(frozen=True)
class Timing:
    """What a picture with some faces took.

    Args:
        faces: how many faces are in the picture.
        ms: median milliseconds of each engine.
        found: how many faces each engine found.
    """

    faces: int
    ms: tuple[float, ...]
    found: tuple[int, ...]


def machine(threads: int | None = None, packages: Sequence[str] = ("onnxruntime",)) -> str:
    """One line about this computer, whose times are its own: processor, cores, of which ``threads`` used, versions."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = models[0] if models else platform.processor() or platform.machine()
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    cores = f"{available_cores()} cores" + (f" ({threads} used)" if threads else "")
    return f"{processor}, {cores}, {platform.system()}, Python {platform.python_version()}, {versions}"


def cut_faces(labelled: Sequence[Sample], most: int = max(COUNTS)) -> list[Image]:
    """The largest labelled faces, each alone in a cell with its surroundings, of both classes in turn.

    Args:
        labelled: the images; those that are needed are read.
        most: at most so many, the largest first.

    Returns:
        BGR uint8 (180, 160, 3) each; none where no face of 40 px stands by itself.

    Raises:
        SourceError: an image cannot be read.
    """
    by_class: tuple[list[tuple[float, int, int]], ...] = ([], [])
    for number, image in enumerate(labelled):
        side = shorter_side(image.truth.xyxy).tolist()
        for face in np.flatnonzero(_alone(image.truth.xyxy)).tolist():
            if side[face] >= MIN_FACE:
                by_class[image.truth.class_id[face]].append((-side[face], number, face))
    ordered = chain.from_iterable(zip_longest(*map(sorted, by_class)))
    chosen = [entry for entry in ordered if entry is not None][:most]
    pictures = {number: images.read(labelled[number].path) for number in sorted({entry[1] for entry in chosen})}
    return [_cell(pictures[number], labelled[number].truth.xyxy[face]) for _, number, face in chosen]


def canvas(cells: Sequence[Image], faces: int) -> Image:
    """A picture of 1280x720 px with so many faces on grey, evenly spread; cells are used again if they are fewer."""
    width, height = CELL
    picture = np.full((CANVAS[1], CANVAS[0], 3), GREY, np.uint8)
    places = GRID[0] * GRID[1]
    for index in range(faces):
        row, column = divmod(index * places // faces, GRID[0])
        picture[row * height : (row + 1) * height, column * width : (column + 1) * width] = cells[index % len(cells)]
    return picture


def time_engines(
    contenders: Sequence[Contender],
    cells: Sequence[Image],
    *,
    counts: Sequence[int] = COUNTS,
    rounds: int = ROUNDS,
    progress: Progress = silent,
) -> list[Timing]:
    """Time engines on pictures with more and more faces.

    The engines take turns, so that a busy moment of the machine hits all of them, and a pause before each call lets the
    threads of the one before stop spinning.

    Args:
        contenders: the engines, timed as people run them.
        cells: faces, from :func:`cut_faces`; at least one.
        counts: how many faces to put into the picture.
        rounds: calls of each engine that count, after two to warm up.
        progress: wraps the loop over the pictures.
    """
    timings = []
    for faces in progress(counts, "timing"):
        picture = canvas(cells, faces)
        taken: list[list[float]] = [[] for _ in contenders]
        found = [0] * len(contenders)
        for _ in range(WARM_UP + rounds):
            for index, contender in enumerate(contenders):
                time.sleep(PAUSE_S)
                started = time.perf_counter()
                detections = contender.usual(picture)
                taken[index].append(1000 * (time.perf_counter() - started))
                found[index] = len(detections)
        timings.append(Timing(faces, tuple(statistics.median(ms[WARM_UP:]) for ms in taken), tuple(found)))
    return timings


def _surroundings(xyxy: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """What a cell shows around each box (N, 4): the cell's shape, twice as high as the box's longer side."""
    centre = (xyxy[:, :2] + xyxy[:, 2:]) / 2
    half = CONTEXT / 2 * (xyxy[:, 2:] - xyxy[:, :2]).max(axis=1, initial=0)[:, None]
    half = half * np.array([CELL[0] / CELL[1], 1], np.float32)
    return np.asarray(np.concatenate([centre - half, centre + half], axis=1), np.float32)


def _alone(xyxy: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Whether no other box reaches into what the cell of a box would show: one cell, one face."""
    shown = _surroundings(xyxy)
    apart = (shown[:, None, 2:] <= xyxy[None, :, :2]) | (xyxy[None, :, 2:] <= shown[:, None, :2])
    touched = np.logical_not(apart.any(axis=2)).sum(axis=1)
    return np.asarray(touched == 1)  # by itself


def _cell(picture: Image, box: npt.NDArray[np.float32]) -> Image:
    """The face in its surroundings at the size of a cell; grey where the picture ends."""
    left, top, right, bottom = np.rint(_surroundings(box[None])[0]).astype(int).tolist()
    height, width = picture.shape[:2]
    inside = picture[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
    borders = (max(-top, 0), max(bottom - height, 0), max(-left, 0), max(right - width, 0))
    whole = cv2.copyMakeBorder(inside, *borders, cv2.BORDER_CONSTANT, value=(GREY,) * 3)
    smooth = cv2.INTER_AREA if whole.shape[0] > CELL[1] else cv2.INTER_LINEAR
    return cv2.resize(whole, CELL, interpolation=smooth).astype(np.uint8, copy=False)
