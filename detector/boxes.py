"""What boxes have in common: overlap, containment, suppression, and how many of one picture are kept.

Boxes are rows left, top, right, bottom in any unit, right and bottom exclusive: arrays of floating-point numbers
(N, 4). A box without area overlaps nothing.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["MAX_DETECTIONS", "containment", "overlap", "suppress"]

MAX_DETECTIONS = 300
"""Faces kept per image, the surest first (as ultralytics; an end-to-end head holds no more either)."""

MAX_CANDIDATES = 30_000  # compared with each other (as ultralytics): comparing takes the square of their number

Boxes = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]


def overlap(one: Boxes, other: Boxes) -> Boxes:
    """Intersection over union, 0 to 1, of each box of ``one`` (N, 4) with each of ``other`` (M, 4): (N, M)."""
    shared = _shared(one, other)
    return _share(shared, _areas(one)[:, None] + _areas(other) - shared)


def containment(one: Boxes, other: Boxes) -> Boxes:
    """How much of each box of ``one`` (N, 4) lies in each of ``other`` (M, 4): (N, M), shares from 0 to 1."""
    shared = _shared(one, other)
    return _share(shared, np.broadcast_to(_areas(one)[:, None], shared.shape))


def suppress(
    xyxy: Boxes,
    scores: npt.NDArray[np.float32],
    iou: float,
    *,
    least: float = 0.0,
    class_id: Ints | None = None,
    most: int = MAX_CANDIDATES,
) -> Ints:
    """Which of many boxes are one face each: non-maximum suppression.

    Args:
        xyxy: the boxes (N, 4); those with a coordinate that is no finite number are left out.
        scores: (N,), how sure each is.
        iou: of two boxes that overlap by more than this, 0 to 1, the surer stays.
        least: boxes that are not surer than this are left out.
        class_id: (N,); only boxes of one class then suppress each other.
        most: only the surest are compared with each other, at most so many.

    Returns:
        The indices of those that stay, the surest first.
    """
    candidates = np.flatnonzero((scores > least) & np.isfinite(scores) & np.isfinite(xyxy).all(axis=1))
    if len(candidates) > most:  # a network that has only begun to learn finds a face everywhere
        candidates = candidates[np.sort(np.argsort(-scores[candidates], kind="stable")[:most])]
    boxes, sureness = xyxy[candidates], scores[candidates]
    xywh = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1).tolist()
    if class_id is None:
        survivors = cv2.dnn.NMSBoxes(xywh, sureness.tolist(), least, iou)
    else:
        survivors = cv2.dnn.NMSBoxesBatched(xywh, sureness.tolist(), class_id[candidates].tolist(), least, iou)
    kept = np.asarray(survivors, np.int64)
    kept = kept[np.argsort(-sureness[kept], kind="stable")]  # OpenCV does not order those of several classes
    return candidates[kept]


def _areas(xyxy: Boxes) -> Boxes:
    """The area (N,) of each box (N, 4)."""
    result: Boxes = (xyxy[:, 2:] - xyxy[:, :2]).prod(axis=1)
    return result


def _shared(one: Boxes, other: Boxes) -> Boxes:
    """Area of what each pair has in common (N, M)."""
    end = np.minimum(one[:, None, 2:], other[None, :, 2:])
    size = np.clip(end - np.maximum(one[:, None, :2], other[None, :, :2]), 0, None)
    result: Boxes = size.prod(axis=2)
    return result


def _share(part: Boxes, whole: Boxes) -> Boxes:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
