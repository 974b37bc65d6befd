"""Labelled images for training: decoded, at most so large, and kept in memory."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from detector.data.sample import Sample
from detector.media import images

__all__ = ["Pictures"]

CACHE_SHARE = 0.5
"""Of the memory that is free when training begins."""

Floats = npt.NDArray[np.float32]


class Pictures:
    """Pictures and their faces by index. Each file is read once as far as memory allows, else each time.

    Args:
        labelled: the images.
        longest: larger ones are scaled down to this longer side, px.
    """

    def __init__(self, labelled: Sequence[Sample], longest: int) -> None:
        import psutil  # comes with ultralytics

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
