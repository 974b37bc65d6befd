"""What is scored: one image's labelled faces beside those that an engine found."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from detector.boxes import suppress
from detector.detections import Detections

__all__ = ["FACE_SIZES", "MIN_SIDE", "SHOWN_IOU", "TAIL", "Example", "one_class", "shorter_side"]

FACE_SIZES: dict[str, tuple[float, float]] = {"10-16": (10, 16), "16-32": (16, 32), "32-64": (32, 64), "64+": (64, 1e5)}
"""Ranges of a face's shorter side, px, that results are also given by."""

MIN_SIDE = 10.0
"""Faces with a shorter side under this, px, are neither a miss nor a false alarm."""

TAIL = 0.005
"""Confidence down to which detections are kept: the end of a precision-recall curve lies there."""

SHOWN_IOU = 0.6
"""Of two boxes that overlap more than this, people are shown one."""


@dataclass(frozen=True)
class Example:
    """One image's truth and what was found in it.

    Args:
        truth: the labelled faces.
        found: the engine's faces, down to a low confidence (:data:`TAIL`: a curve needs its end).
        ignored: float32 (M, 4) xyxy, regions where a detection of either class is no false alarm.
    """

    truth: Detections
    found: Detections
    ignored: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 4), np.float32))


def one_class(found: Detections, iou: float = SHOWN_IOU) -> Detections:
    """What people are shown of detections that name both classes of a face: its surer class only.

    Of two boxes that overlap by more than ``iou`` the surer stays, whatever their classes. On what the single-stage
    engine finds with ``one_class=False`` this gives what it finds with ``one_class=True``, but for two things: a box
    that only a suppressed box of its own class overlapped is lost here, and of two classes a calibration may make the
    other one the surer.

    Args:
        found: detections of both classes.
        iou: from this overlap on two boxes are one face, 0 to 1.
    """
    return found[suppress(found.xyxy, found.confidence, iou)]


def shorter_side(xyxy: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The shorter side, px, of each box (N, 4)."""
    side: npt.NDArray[np.float32] = (xyxy[:, 2:] - xyxy[:, :2]).min(axis=1, initial=np.inf)
    return side
