"""Squares around faces, cut from an image: what the mask classifier sees, the same in training and at run time."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from detector.engines.letterbox import PAD_VALUE
from detector.engines.metadata import MARGIN

__all__ = ["MARGIN", "SIDE", "cut"]

SIDE = 224
"""Side of a crop, px: the input that ImageNet's MobileNetV2 was trained with."""


def cut(
    image: npt.NDArray[np.uint8], xyxy: npt.NDArray[np.float32], *, side: int, margin: float
) -> npt.NDArray[np.uint8]:
    """For each box the square around its centre, scaled to ``side`` x ``side`` px.

    The square's side is (1 + 2 * ``margin``) times the box's longer side, so a face keeps its proportions. It is
    rounded to whole pixels, at least one, which moves its edges by half a pixel: less than two people's boxes differ.
    What lies outside the image is grey.

    Args:
        image: BGR uint8 (H, W, 3).
        xyxy: float32 (N, 4), boxes in pixels of the image; they may reach out of it, and be empty.
        side: of the crops, px.
        margin: share of the box's longer side to add on each of the four sides, 0 or more.

    Returns:
        BGR uint8 (N, side, side, 3).
    """
    crops = np.full((len(xyxy), side, side, 3), PAD_VALUE, np.uint8)
    boxes = np.asarray(xyxy, np.float64).reshape(-1, 4)
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    square = np.maximum(np.rint((1 + 2 * margin) * (boxes[:, 2:] - boxes[:, :2]).max(axis=1)), 1)
    corner = np.rint(centre - square[:, None] / 2)
    for crop, (left, top), width in zip(crops, corner.tolist(), square.tolist(), strict=True):
        columns = _overlap(int(left), int(width), image.shape[1], side)
        rows = _overlap(int(top), int(width), image.shape[0], side)
        if columns and rows:
            # Only what the image has is scaled, into its place: a square much larger than the image costs no memory.
            (source_x, target_x), (source_y, target_y) = columns, rows
            size = (target_x.stop - target_x.start, target_y.stop - target_y.start)
            method = cv2.INTER_AREA if width > side else cv2.INTER_LINEAR
            crop[target_y, target_x] = cv2.resize(image[source_y, source_x], size, interpolation=method)
    return crops


def _overlap(start: int, width: int, limit: int, side: int) -> tuple[slice, slice] | None:
    """Along one axis, the pixels of the image (0 to ``limit``) in a square, and where they lie in its crop."""
    first, last = max(start, 0), min(start + width, limit)
    if first >= last:
        return None
    left, right = (round((edge - start) * side / width) for edge in (first, last))
    left = min(left, side - 1)
    return slice(first, last), slice(left, max(right, left + 1))
