"""The classifier's training data: folders of crops, split into train and val, cut anew each time they are shown."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from detector.data.progress import Progress, silent
from detector.data.split import choose_val, group_near_duplicates, perceptual_hashes
from detector.detections import CLASSES
from detector.engines.crops import MARGIN, cut
from detector.errors import TrainingError
from detector.media import images
from detector.training.two_step.crop_writer import FOLDERS, NOTE

__all__ = ["Crop", "CropFolder", "batches", "read_crop_folder", "whole"]

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

    def counts(self, part: str) -> dict[str, int]:
        """How many crops of each class are in "train" or "val"."""
        found = Counter(crop.label for crop in (self.train if part == "train" else self.val))
        return {name: found[label] for label, name in enumerate(self.names)}

    def describe(self) -> str:
        """One sentence for the metadata of a network that was trained on it; names no file or folder."""
        parts = []
        for part, verb in (("train", "trained on"), ("val", "chosen on")):
            counts = self.counts(part)
            named = ", ".join(f"{count} {name}" for name, count in counts.items())
            parts.append(f"{verb} {sum(counts.values())} crops ({named})")
        return ", ".join(parts)


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
    found = {part: {name: _files(root / name) for name in FOLDERS} for part, root in roots.items()}
    names = tuple(name for name in FOLDERS if any(files[name] for files in found.values()))
    for part, files in found.items():
        for name in CLASSES if len(names) else ():
            if not files[name]:
                raise TrainingError(f"{roots[part]}: no image in {name}/: both {' and '.join(CLASSES)} are needed")
    if not names:
        raise TrainingError(
            f"{folder}: no images in {', '.join(f'{name}/' for name in FOLDERS)}: nothing to learn from"
        )
    crops = {
        part: [Crop(path, label) for label, name in enumerate(names) for path in files[name]]
        for part, files in found.items()
    }
    train, val = (crops["train"], crops["val"]) if split else _split(crops["all"], names, seed, progress)
    result = CropFolder(names, tuple(train), tuple(val), _margin(folder))
    for name, count in result.counts("train").items():
        if not count:
            raise TrainingError(f"{folder}: images of {name} are in val only: put some into train too")
    return result


def batches(
    crops: Sequence[Crop], *, side: int, batch: int, seed: Sequence[int]
) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]]:
    """One epoch in random order, each crop turned, moved and bent a little; the next batch is prepared meanwhile.

    Yields:
        BGR uint8 (B, side, side, 3) and labels int64 (B,); the last batch may be smaller.

    Raises:
        SourceError: a crop cannot be read.
    """
    order = np.random.default_rng(seed).permutation(len(crops)).tolist()
    groups = [order[start : start + batch] for start in range(0, len(order), batch)]

    def prepare(group: list[int]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        shaken = [_shake(_read(crops[i], side), np.random.default_rng([*seed, i])) for i in group]
        return np.stack(shaken), np.array([crops[i].label for i in group])

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(prepare, groups[0])
        for following in [*groups[1:], None]:
            ready = coming.result()
            if following:
                coming = pool.submit(prepare, following)
            yield ready


def whole(
    crops: Sequence[Crop], *, side: int, batch: int
) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]]:
    """All crops in order, as they are."""
    for start in range(0, len(crops), batch):
        group = crops[start : start + batch]
        yield np.stack([_read(crop, side) for crop in group]), np.array([crop.label for crop in group])


def _files(folder: Path) -> list[Path]:
    return images.list_images(folder) if folder.is_dir() else []


def _split(crops: list[Crop], names: Sequence[str], seed: int, progress: Progress) -> tuple[list[Crop], list[Crop]]:
    hashes = perceptual_hashes([crop.path for crop in crops], progress)
    readable = [(crop, value) for crop, value in zip(crops, hashes, strict=True) if value is not None]
    if len(readable) < len(crops):
        broken = next(crop for crop, value in zip(crops, hashes, strict=True) if value is None)
        raise TrainingError(f"{broken.path}: cannot be decoded: remove it or copy it again")
    groups = group_near_duplicates([value for _, value in readable])
    kinds = [frozenset({names[crop.label]}) for crop, _ in readable]
    chosen = choose_val(groups, kinds, VAL_SHARE, seed)
    sides: tuple[list[Crop], list[Crop]] = ([], [])
    for (crop, _), validates in zip(readable, chosen, strict=True):
        sides[validates].append(crop)
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


def _read(crop: Crop, side: int) -> npt.NDArray[np.uint8]:
    """BGR uint8 (side, side, 3); what is not square is padded."""
    picture = images.read(crop.path)
    height, width = picture.shape[:2]
    if (height, width) == (side, side):
        return picture
    crops = cut(picture, np.array([[0, 0, width, height]], np.float32), side=side, margin=0)
    padded: npt.NDArray[np.uint8] = crops[0]
    return padded


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
