"""Faces made unrecognisable in all that is saved or shown, also in the frames in which the network missed them."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from detector.detections import Detections
from detector.media.frames import Frame
from detector.media.images import Image
from detector.media.sinks import Sink
from detector.media.trails import Trails, grown

__all__ = ["WEAK", "BlurSink", "pixelate"]

WEAK = 0.05
"""Whatever the network takes for a face with this confidence is hidden, also where no face is shown there."""

AHEAD_S = 0.5
AHEAD_BYTES = 128 << 20  # of frames that wait, at most
GROWTH = 0.4  # of a box's width and height, on each side: hair, ears, chin
CELLS = 4  # along the longer side of a grown box
PALE = 0.5  # of their contrast is left: otherwise some detectors still see the shape of a head

Boxes = npt.NDArray[np.float32]


def pixelate(image: Image, boxes: Boxes) -> Image:
    """Replace faces by a few pale squares, of which neither people nor detectors make a face.

    Args:
        image: BGR uint8 (H, W, 3); it is not changed.
        boxes: of the faces (N, 4), in pixels of this image; what is replaced is larger by 0.4 of them on each side.

    Returns:
        A new image of the same shape.
    """
    result = image.copy()
    height, width = image.shape[:2]
    areas = np.rint(np.clip(grown(boxes, GROWTH), 0, [width, height] * 2)).astype(int)
    for left, top, right, bottom in areas.tolist():
        if right > left and bottom > top:
            size = (right - left, bottom - top)
            cell = max(*size) / CELLS
            cells = [max(1, round(side / cell)) for side in size]
            few = cv2.resize(image[top:bottom, left:right], cells, interpolation=cv2.INTER_AREA)
            few = np.rint(few.mean((0, 1)) * (1 - PALE) + few * PALE).astype(np.uint8)
            result[top:bottom, left:right] = cv2.resize(few, size, interpolation=cv2.INTER_NEAREST)
    return result


class BlurSink(Sink):
    """Hides the faces of one source before other sinks get its frames: what they write never had the pixels.

    A face that comes, goes, or is missed for a moment is hidden in the frames around too: between two sights of it
    where it must have been, before the first and after the last where it is expected.

    Args:
        saved: sinks that can wait for half a second, so that a face is hidden before it is seen first.
        live: sinks that cannot; there a face is hidden from its first sight on.
    """

    def __init__(self, saved: Sequence[Sink], live: Sequence[Sink] = ()) -> None:
        self._saved, self._live = saved, live
        self._noted: dict[Frame, Boxes] = {}
        self._waiting: deque[tuple[Frame, Detections, Boxes]] = deque()
        self._trails = Trails()

    def note(self, frame: Frame, *boxes: Boxes) -> None:
        """Say before a frame is written where there may be a face, however unlikely: boxes (N, 4)."""
        self._noted[frame] = np.concatenate([np.zeros((0, 4), np.float32), *boxes])

    def write(self, frame: Frame, detections: Detections) -> None:
        """Take one frame of which :meth:`note` was told; the saved ones get it later."""
        boxes = np.concatenate([detections.xyxy, self._noted.pop(frame)])  # or fail: nothing that nobody looked at
        if frame.time is not None:
            self._trails.add(frame.time, boxes, sure=len(detections))
        self._hand_on(self._live, frame, detections, boxes)
        self._waiting.append((frame, detections, boxes))
        while self._is_due(frame):
            self._hand_on(self._saved, *self._waiting.popleft())
        oldest = self._waiting[0][0].time if self._waiting else frame.time
        if oldest is not None:
            self._trails.forget(oldest)

    def close(self) -> None:
        """Hand on what still waits. The sinks stay open."""
        while self._waiting:
            self._hand_on(self._saved, *self._waiting.popleft())

    def idle(self) -> None:
        """Tell the sinks that nothing comes."""
        for sink in (*self._saved, *self._live):
            sink.idle()

    @property
    def closed(self) -> bool:  # type: ignore[override]
        """Whether a viewer has ended the show."""
        return any(sink.closed for sink in (*self._saved, *self._live))

    def _is_due(self, newest: Frame) -> bool:
        if not self._waiting or self._waiting[0][0].time is None or newest.time is None:
            return bool(self._waiting)
        waited = newest.time - self._waiting[0][0].time
        held = sum(frame.image.nbytes for frame, *_ in self._waiting)
        return not 0 <= waited < AHEAD_S or held > AHEAD_BYTES

    def _hand_on(self, sinks: Sequence[Sink], frame: Frame, detections: Detections, boxes: Boxes) -> None:
        if frame.time is not None:
            boxes = np.concatenate([boxes, self._trails.at(frame.time)])
        if sinks:
            blurred = replace(frame, image=pixelate(frame.image, boxes))
            for sink in sinks:
                sink.write(blurred, detections)
