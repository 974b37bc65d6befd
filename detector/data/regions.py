"""Regions of images where a detection is neither right nor wrong: faces that the annotators left out, for example."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import numpy.typing as npt

from detector.data.csvfile import read_rows
from detector.data.voc import CORNERS, corners_in
from detector.errors import AnnotationError

__all__ = ["Regions"]


class Regions:
    """Ignored regions by image.

    Args:
        path: CSV file with the columns image, xmin, ymin, xmax, ymax (px of the upright image) and optionally set; None
            for no regions.

    Raises:
        AnnotationError: the file cannot be read, or a row is not a region.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._boxes: dict[tuple[str, str], list[tuple[float, ...]]] = defaultdict(list)
        for line, row in read_rows(path, ("image", *CORNERS), "--ignore") if path else []:
            corners = corners_in(row)
            if corners is None:
                raise AnnotationError(f"{path}: line {line}: {', '.join(CORNERS)} must be pixel numbers: correct it")
            self._boxes[row.get("set", ""), row["image"]].append(corners)
        self._unused = set(self._boxes)

    def of(self, set_name: str | None, image: str) -> npt.NDArray[np.float32]:
        """The regions (M, 4) of an image, by set and file name, or by file name alone where ``set_name`` is None."""
        keys = [key for key in self._boxes if key[1] == image] if set_name is None else [(set_name, image), ("", image)]
        self._unused.difference_update(keys)
        boxes = [box for key in keys for box in self._boxes.get(key, [])]
        return np.array(boxes, np.float32).reshape(-1, 4)

    @property
    def all_unused(self) -> bool:
        """Whether there are regions and not one was asked for: the file belongs to other images."""
        return bool(self._boxes) and len(self._unused) == len(self._boxes)
