"""The engines that the page's visitors share."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import numpy as np

from detector.boxes import suppress
from detector.detections import Detections
from detector.engines import Engine, SingleStage
from detector.errors import DetectorError
from detector.media.images import Image

__all__ = ["FLOOR", "BusyError", "EnginePool", "Timed", "filter_detections"]

FLOOR = 0.1
"""The least confidence that a slider can ask for; the engines keep all above it, so that a slider needs no engine."""

WAITING = 16
"""Pictures that may wait for the engines at once; a further one is turned away rather than answered much too late."""


class BusyError(DetectorError):
    """Too many visitors wait already."""


@dataclass(frozen=True)
class Timed:
    """What one engine found in one picture.

    Args:
        found: all faces above :data:`FLOOR`, in pixels of the picture.
        seconds: how long it took.
    """

    found: Detections
    seconds: float


class EnginePool:
    """The engines by the names that people read; one picture at a time, so that they do not slow each other down.

    Args:
        engine: what answers where nobody chose.
        other: a second engine to switch to and to compare with.

    Attributes:
        names: the engines, the usual one first.
    """

    def __init__(self, engine: Engine, other: Engine | None = None) -> None:
        both = [engine] if other is None or other is engine else [engine, other]
        names = ["One pass" if isinstance(each, SingleStage) else "Two steps" for each in both]
        if len(set(names)) < len(names):
            names = [f"{name}, network {number}" for number, name in enumerate(names, 1)]
        self._engines = dict(zip(names, both, strict=True))
        self.names = tuple(self._engines)
        for each in both:
            each.conf = FLOOR
        self._one_at_a_time = threading.Lock()
        self._room = threading.BoundedSemaphore(WAITING)

    def detect(self, image: Image, name: str, *, patient: bool = False) -> Timed:
        """Find the faces in a BGR uint8 (H, W, 3) image with the engine ``name``.

        Args:
            image: the picture.
            name: one of :attr:`names`; anything else means the usual one.
            patient: wait however many wait already: a video's next frame, which nobody sends again.

        Raises:
            BusyError: too many wait already.
        """
        if not self._room.acquire(blocking=patient):
            raise BusyError("Too many people use this page right now: try again in a few seconds")
        try:
            with self._one_at_a_time:
                began = time.perf_counter()
                found = self._engines.get(name, self._engines[self.names[0]])(image)
                return Timed(found, time.perf_counter() - began)
        finally:
            self._room.release()


def filter_detections(found: Detections, conf: float, iou: float) -> Detections:
    """The faces that are at least this sure, none overlapping a surer one by more than ``iou`` (0 to 1)."""
    sure = found[found.confidence >= conf]
    return sure[np.sort(suppress(sure.xyxy, sure.confidence, iou))]
