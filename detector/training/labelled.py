"""Labelled images of a YOLO folder, with boxes in pixels, and their pixels kept in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from detector.data.progress import Progress, silent
from detector.data.yolo import read_labels
from detector.media import images
from detector.training.folder import list_split

__all__ = ["Labelled", "Pictures", "read_folder"]

CACHE_SHARE = 0.5
"""Of the memory that is free when training begins."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """One image and its faces.

    Args:
        image: the file.
        size: (width, height) of the upright image, px.
        xyxy: float32 (N, 4), px.
        class_id: int64 (N,).
    """

    image: Path
    size: tuple[int, int]
    xyxy: npt.NDArray[np.float32]
    class_id: npt.NDArray[np.int64]

    def scaled(self, longest: int) -> Labelled:
        """The same in an image whose longer side is at most ``longest`` px, as :class:`Pictures` then gives it."""
        factor = min(1.0, longest / max(self.size))
        width, height = (max(round(side * factor), 1) for side in self.size)
        return Labelled(self.image, (width, height), self.xyxy * np.float32(factor), self.class_id)


def read_folder(data: Path, split: str, progress: Progress = silent) -> list[Labelled]:
    """The images of one split of a YOLO folder; an image without a label file has no faces.

    Args:
        data: data.yaml.
        split: "train" or "val".
        progress: wraps the loop, for a progress bar.

    Raises:
        TrainingError: the data.yaml cannot be used.
        AnnotationError: a label file cannot be read.
        SourceError: an image cannot be read.
    """
    labelled = []
    for image, label in progress(list_split(data, split), f"reading {split}"):
        width, height = images.image_size(image)
        boxes = read_labels(label) if label.is_file() else []
        corners = [box.xyxy(width, height) for box in boxes]
        labelled.append(
            Labelled(
                image,
                (width, height),
                np.array(corners, np.float32).reshape(-1, 4),
                np.array([box.class_id for box in boxes], np.int64),
            )
        )
    return labelled


class Pictures:
    """Decoded images by index, scaled to what the data says: each is read once as far as memory allows, else each time.

    Args:
        data: whose images.
    """

    def __init__(self, data: Sequence[Labelled]) -> None:
        import psutil  # comes with ultralytics

        self._data = data
        self._kept: dict[int, npt.NDArray[np.uint8]] = {}
        self._room = CACHE_SHARE * psutil.virtual_memory().available

    def __getitem__(self, index: int) -> npt.NDArray[np.uint8]:
        """BGR uint8 (H, W, 3).

        Raises:
            SourceError: the image cannot be read.
        """
        if index in self._kept:
            return self._kept[index]
        picture, size = images.read(self._data[index].image), self._data[index].size
        if size != (picture.shape[1], picture.shape[0]):
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        if picture.nbytes <= self._room:
            self._room -= picture.nbytes
            self._kept[index] = picture
        return picture
