"""The pictures that the face finder learns from: read once, then cut, scaled and coloured anew each time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import psutil  # comes with ultralytics

from detector.data.sample import Sample
from detector.engines.letterbox import PAD_VALUE
from detector.media import images
from detector.training.two_step.learner import ahead

__all__ = ["SMALLEST", "Pictures", "View", "view", "views"]

CACHE_SHARE = 0.5
"""Of the memory that is free when training begins."""

SMALLEST = 7.0
"""Faces whose shorter side is less, px in the network's input, are not learnt: they are five pixels of skin."""

LEAST_VISIBLE = 0.5
"""Of a face's area; a face that is cut more is not learnt."""

ZOOM = (0.6, 3.0)
"""Least and largest scale, with the picture's fit into the input as 1."""

FACE_SIDES = (12.0, 0.6)
"""The sides that a chosen face is scaled to: from 12 px to 0.6 of the input."""

Floats = npt.NDArray[np.float32]


class Pictures:
    """Pictures and their faces by index. Each file is read once as far as memory allows, else each time.

    Args:
        labelled: the images.
        longest: larger ones are scaled down to this longer side, px.
    """

    def __init__(self, labelled: Sequence[Sample], longest: int) -> None:
        self.labelled, self._longest = labelled, longest
        self._kept: dict[int, npt.NDArray[np.uint8]] = {}
        self._room = CACHE_SHARE * psutil.virtual_memory().available

    def __len__(self) -> int:
        return len(self.labelled)

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.uint8], Floats, Floats]:
        """BGR uint8 (H, W, 3); its faces, float32 (F, 4) xyxy px in it; regions to ignore, float32 (G, 4).

        Raises:
            SourceError: the image cannot be read.
        """
        item = self.labelled[index]
        factor = min(1.0, self._longest / max(item.size))
        picture = self._kept.get(index)
        if picture is None:
            picture = self._read(item, factor)
            if picture.nbytes <= self._room:
                self._room -= picture.nbytes
                self._kept[index] = picture
        return picture, item.truth.xyxy * np.float32(factor), item.ignored * np.float32(factor)

    def _read(self, item: Sample, factor: float) -> npt.NDArray[np.uint8]:
        picture = images.read(item.path)
        if factor == 1:
            return picture
        width, height = (max(round(side * factor), 1) for side in item.size)
        return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


@dataclass(frozen=True)
class View:
    """One square cut of a picture.

    Args:
        image: BGR uint8 (S, S, 3).
        faces: float32 (F, 4), xyxy px.
        ignored: float32 (G, 4), faces that are too small, cut off, or not labelled.
    """

    image: npt.NDArray[np.uint8]
    faces: Floats
    ignored: Floats


def views(pictures: Pictures, *, size: int, batch: int, mosaics: float, seed: Sequence[int]) -> Iterator[list[View]]:
    """One epoch in random order, batch by batch; the next is prepared meanwhile. A short rest is left out.

    Args:
        pictures: with their faces.
        size: side of the views, px.
        batch: views in a batch, at most ``len(pictures)``.
        mosaics: share of views that are made of four pictures at half the size.
        seed: the same numbers give the same epoch.

    Raises:
        SourceError: an image cannot be read.
    """
    order = np.random.default_rng(seed).permutation(len(pictures)).tolist()

    def one(index: int) -> View:
        rng = np.random.default_rng([*seed, index])
        if rng.random() >= mosaics:
            return view(*pictures[index], size, rng)
        others = rng.integers(len(pictures), size=3).tolist()
        return _mosaic([view(*pictures[i], size // 2, rng) for i in (index, *others)])

    return ahead(
        lambda start: [one(index) for index in order[start : start + batch]],
        range(0, len(order) - batch + 1, batch),
    )


def view(image: npt.NDArray[np.uint8], xyxy: Floats, unlabelled: Floats, size: int, rng: np.random.Generator) -> View:
    """A random cut: half of the time one that shows a face of the picture at a random size, to see all sizes alike.

    Args:
        image: BGR uint8 (H, W, 3).
        xyxy: float32 (F, 4), its faces, px.
        unlabelled: float32 (G, 4), regions where faces may be that nobody labelled.
        size: side of the view, px.
        rng: decides.
    """
    height, width = image.shape[:2]
    fit = size / max(height, width)
    chosen = None
    scale = fit * _log_uniform(rng, ZOOM[0], 1.5)
    if len(xyxy) and rng.random() < 0.5:
        chosen = xyxy[rng.integers(len(xyxy))]
        side = float(np.sqrt((chosen[2] - chosen[0]) * (chosen[3] - chosen[1])))
        wanted = _log_uniform(rng, FACE_SIDES[0], FACE_SIDES[1] * size)
        scale = float(np.clip(wanted / max(side, 1.0), ZOOM[0] * fit, ZOOM[1] * fit))
    stretch = _log_uniform(rng, 0.93, 1.07)
    scales = np.array([scale * stretch, scale / stretch])
    offset = np.array(
        [
            _offset(rng, extent * factor, size, None if chosen is None else chosen[axis::2] * factor)
            for axis, (extent, factor) in enumerate(zip((width, height), scales, strict=True))
        ]
    )
    if rng.random() < 0.5:
        scales[0], offset[0] = -scales[0], size - offset[0]
    # Boxes count pixel edges and warpAffine pixel centres: half a pixel less on either side.
    shift = offset + 0.5 * scales - 0.5
    matrix = np.array([[scales[0], 0, shift[0]], [0, scales[1], shift[1]]])
    warped = cv2.warpAffine(_recolour(image, rng), matrix, (size, size), borderValue=(PAD_VALUE,) * 3)
    faces, regions = (
        np.sort(boxes.reshape(-1, 2, 2) * scales + offset, axis=1).reshape(-1, 4).astype(np.float32)
        for boxes in (xyxy, unlabelled)
    )
    learnt, ignored = _visible(faces, size)
    return View(warped.astype(np.uint8, copy=False), learnt, np.concatenate([ignored, *_visible(regions, size)]))


def _mosaic(four: Sequence[View]) -> View:
    """Four views as one of twice their side: more faces, and smaller ones, for the same work."""
    half = four[0].image.shape[0]
    rows = [np.concatenate([left.image, right.image], axis=1) for left, right in (four[:2], four[2:])]
    corners = np.array([[0, 0], [half, 0], [0, half], [half, half]], np.float32)
    shifts = np.tile(corners, 2)
    return View(
        np.concatenate(rows),
        np.concatenate([part.faces + shift for part, shift in zip(four, shifts, strict=True)]),
        np.concatenate([part.ignored + shift for part, shift in zip(four, shifts, strict=True)]),
    )


def _visible(boxes: Floats, size: int) -> tuple[Floats, Floats]:
    """The boxes clipped to the view: those to learn, and those to ignore."""
    clipped = boxes.clip(0, size)
    sides, whole = clipped[:, 2:] - clipped[:, :2], boxes[:, 2:] - boxes[:, :2]
    there = (sides > 0).all(axis=1)
    learnt = there & (sides.min(axis=1) >= SMALLEST) & (sides.prod(axis=1) >= LEAST_VISIBLE * whole.prod(axis=1))
    return clipped[learnt], clipped[there & ~learnt]


def _offset(rng: np.random.Generator, extent: float, size: int, face: Floats | None) -> float:
    """Where the picture begins along one axis: anywhere inside the view, or so that it fills the view."""
    low, high = sorted((0.0, size - extent))
    if face is not None and extent > size:
        start, end = float(face[0]), float(face[1])
        low, high = max(low, min(-start, size - end)), min(high, max(-start, size - end))
    return float(rng.uniform(low, max(low, high)))


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(max(low, high)))))


def _recolour(image: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Other light and another camera: hue, saturation, brightness and contrast; one picture in twenty is grey."""
    if rng.random() < 0.05:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR).astype(np.uint8, copy=False)
    levels = np.arange(256)
    hue, saturation = rng.uniform(-4, 4), rng.uniform(0.5, 1.5)
    gain, gamma, lift = rng.uniform(0.7, 1.3), _log_uniform(rng, 0.75, 1.33), rng.uniform(-20, 20)
    tables = (
        (levels + hue) % 180,
        np.clip(levels * saturation, 0, 255),
        np.clip(255 * (levels / 255) ** gamma * gain + lift, 0, 255),
    )
    planes = cv2.split(cv2.cvtColor(image, cv2.COLOR_BGR2HSV))
    changed = [cv2.LUT(plane, table.astype(np.uint8)) for plane, table in zip(planes, tables, strict=True)]
    return cv2.cvtColor(cv2.merge(changed), cv2.COLOR_HSV2BGR).astype(np.uint8, copy=False)
