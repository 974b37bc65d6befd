"""The classifier's training data: folders of crops, split into train and val, cut anew each time they are shown."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from detector.data.progress import Progress, silent
from detector.data.random_split import choose_val, group_near_duplicates, perceptual_hashes
from detector.detections import CLASSES
from detector.engines.crops import MARGIN, cut
from detector.errors import TrainingError
from detector.media import images
from detector.training.history import Contents
from detector.training.two_step.crop_writer import FOLDERS, NOTE
from detector.training.two_step.learner import ahead

__all__ = ["Crop", "CropFolder", "batches", "read_crop", "read_crop_folder", "whole"]

Batch = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]

VAL_SHARE = 0.2
ROTATION, ZOOM, SHIFT, SHEAR = 25.0, 0.1, 0.1, 0.2
"""Degrees, share of the size, share of the side, and tangent: what the tutorials shake their pictures by."""


@dataclass(frozen=True)
class Crop:
    """One file and what it shows.

    Args:
        path: the image.
        label: index into the folder's names.
    """

    path: Path
    label: int


@dataclass(frozen=True)
class CropFolder:
    """What a classifier is trained on.

    Args:
        names: the classes, in the order of :data:`~.crop_writer.FOLDERS`; background may be missing.
        train, val: the crops.
        margin: that they were cut with.
    """

    names: tuple[str, ...]
    train: tuple[Crop, ...]
    val: tuple[Crop, ...]
    margin: float

    def contents(self, part: str) -> Contents:
        """How many crops, and how many of each class, are in "train" or "val"."""
        crops = self.train if part == "train" else self.val
        found = Counter(crop.label for crop in crops)
        return Contents(len(crops), {name: found[label] for label, name in enumerate(self.names)})


def read_crop_folder(folder: Path, *, seed: int = 0, progress: Progress = silent) -> CropFolder:
    """Crops in ``train/<class>`` and ``val/<class>``, or in ``<class>`` alone; then a fifth of them validates.

    Near-duplicates stay on one side of that random split.

    Args:
        folder: with the folders with_mask, without_mask and perhaps background.
        seed: of the random split.
        progress: wraps the loops.

    Raises:
        TrainingError: a class or a part is missing or empty.
        SourceError: a folder cannot be read.
        MissingExtraError: a random split without imagehash.
    """
    if not folder.is_dir():
        raise TrainingError(f"{folder}: no such folder: make it with mask-detector crop")
    split = (folder / "train").is_dir() or (folder / "val").is_dir()
    roots = {part: folder / part for part in ("train", "val")} if split else {"all": folder}
    found = {(part, name): _files(root / name) for part, root in roots.items() for name in FOLDERS}
    names = tuple(name for name in FOLDERS if any(found[part, name] for part in roots))
    if not names:
        wanted = ", ".join(f"{name}/" for name in FOLDERS)
        raise TrainingError(f"{folder}: no images in {wanted}: nothing to learn from")
    crops: dict[str, list[Crop]] = {}
    for part, root in roots.items():
        for name in CLASSES:
            if not found[part, name]:
                raise TrainingError(f"{root}: no image in {name}/: both {' and '.join(CLASSES)} are needed")
        crops[part] = [Crop(path, label) for label, name in enumerate(names) for path in found[part, name]]
    train, val = (crops["train"], crops["val"]) if split else _split(crops["all"], names, seed, progress)
    result = CropFolder(names, tuple(train), tuple(val), _margin(folder))
    for name, count in result.contents("train").named.items():
        if not count:
            raise TrainingError(f"{folder}: images of {name} are in val only: put some into train too")
    return result


def batches(crops: Sequence[Crop], *, side: int, batch: int, seed: Sequence[int]) -> Iterator[Batch]:
    """One epoch in random order, each crop turned, moved and bent a little; the next batch is prepared meanwhile.

    Yields:
        BGR uint8 (B, side, side, 3) and labels int64 (B,); the last batch may be smaller.

    Raises:
        SourceError: a crop cannot be read.
    """
    order = np.random.default_rng(seed).permutation(len(crops)).tolist()

    def prepare(start: int) -> Batch:
        group = order[start : start + batch]
        shaken = [_shake(read_crop(crops[i].path, side), np.random.default_rng([*seed, i])) for i in group]
        return np.stack(shaken), np.array([crops[i].label for i in group])

    return ahead(prepare, range(0, len(order), batch))


def whole(crops: Sequence[Crop], *, side: int, batch: int) -> Iterator[Batch]:
    """All crops in order, as they are."""
    for start in range(0, len(crops), batch):
        group = crops[start : start + batch]
        yield np.stack([read_crop(crop.path, side) for crop in group]), np.array([crop.label for crop in group])


def read_crop(path: Path, side: int) -> npt.NDArray[np.uint8]:
    """BGR uint8 (side, side, 3); what is not square is padded."""
    picture = images.read(path)
    height, width = picture.shape[:2]
    if (height, width) == (side, side):
        return picture
    crops = cut(picture, np.array([[0, 0, width, height]], np.float32), side=side, margin=0)
    return np.asarray(crops[0])


def _files(folder: Path) -> list[Path]:
    return images.list_images(folder) if folder.is_dir() else []


def _split(crops: list[Crop], names: Sequence[str], seed: int, progress: Progress) -> tuple[list[Crop], list[Crop]]:
    """Train and val of crops that no folder divides."""
    hashes = []
    for crop, value in zip(crops, perceptual_hashes([crop.path for crop in crops], progress), strict=True):
        if value is None:
            raise TrainingError(f"{crop.path}: cannot be decoded: remove it or copy it again")
        hashes.append(value)
    kinds = [frozenset({names[crop.label]}) for crop in crops]
    validates = choose_val(group_near_duplicates(hashes), kinds, VAL_SHARE, seed)
    sides: tuple[list[Crop], list[Crop]] = ([], [])
    for crop, chosen in zip(crops, validates, strict=True):
        sides[chosen].append(crop)
    return sides


def _margin(folder: Path) -> float:
    """What the folder says about itself, or the usual."""
    note = folder / NOTE
    if not note.is_file():
        return MARGIN
    try:
        return float(json.loads(note.read_bytes())["margin"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{note}: damaged: make the crops again") from error


def _shake(crop: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """A random affine change about the centre; what it uncovers repeats the edge."""
    side = crop.shape[0]
    angle, shear = np.deg2rad(rng.uniform(-ROTATION, ROTATION)), rng.uniform(-SHEAR, SHEAR)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.array([[1, shear], [0, 1]]) @ np.diag(rng.uniform(1 - ZOOM, 1 + ZOOM, 2))
    if rng.random() < 0.5:
        linear[:, 0] *= -1
    centre = np.full(2, (side - 1) / 2)
    shift = centre - linear @ centre + rng.uniform(-SHIFT, SHIFT, 2) * side
    matrix = np.column_stack([linear, shift])
    shaken = cv2.warpAffine(crop, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
    return shaken.astype(np.uint8, copy=False)
