"""Whether anything has changed since the network last looked and found nobody: if not, it need not look again.

What is compared is grey, small and smooth, so that a camera's noise cancels out, and never with the frame before but
with the last one in which the network found nobody: who comes however slowly differs from that. Each place learns how
much it flickers by itself, from the camera, the lamps or the compression.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from detector.media.frames import Frame
from detector.media.images import Image

__all__ = ["Rest"]

CELLS = 160  # pixels along the longer side of what is compared ...
SMOOTH = 3  # ... each the mean of so many in both directions
LEAST = 3.0  # levels of 255 that a change is more than
NOISE = 9.0  # times the mean change from one frame to the next, too
LOUD = 24.0  # levels: more is learnt as this much, for it may be somebody
LEARNT = 0.05  # weight of a frame in the mean
FIRST = 10  # frames are looked at in any case: so long nobody knows how much the picture flickers
AWAKE_S = 1.0  # the network looks for so long after a change, or after it has found somebody
LOOK_S = 5.0  # in this time it looks at one frame in any case

Grey = npt.NDArray[np.float32]


class Rest:
    """Decides for the frames of one source, one after the other, whether the network has to look."""

    def __init__(self) -> None:
        self._now = self._flicker = np.zeros((0, 0), np.float32)
        self._frames = 0  # of this size
        self._empty: Grey | None = None  # the last one, if the network found nobody
        self._looked_s = self._awake_s = -np.inf

    def needs_look(self, frame: Frame) -> bool:
        """Whether somebody may have come; if so, tell :meth:`looked` what the network has found."""
        before, self._now = self._now, _small(frame.image)
        if before.shape != self._now.shape:
            before, self._empty = self._now, None
            self._flicker, self._frames = np.zeros_like(before), 0
        self._frames += 1
        limit = np.maximum(NOISE * cv2.blur(self._flicker, (SMOOTH, SMOOTH)), LEAST)
        flicker = np.minimum(_change(before, self._now), LOUD)
        cv2.accumulateWeighted(flicker, self._flicker, max(LEARNT, 1 / self._frames))
        if frame.time is None or self._empty is None or self._frames <= FIRST:
            return True
        if (_change(self._empty, self._now) > limit).any():
            self._awake_s = frame.time + AWAKE_S
        return bool(frame.time < self._awake_s) or not 0 <= frame.time - self._looked_s < LOOK_S

    def looked(self, frame: Frame, *, anybody: bool) -> None:
        """What the network has found in the frame of the last question; it rests only where that is nobody."""
        self._empty = None if anybody else self._now
        self._looked_s = frame.time or 0.0
        if anybody:
            self._awake_s = self._looked_s + AWAKE_S


def _change(one: Grey, other: Grey) -> Grey:
    """How far two pictures differ, apart from the light as a whole."""
    difference = other - one
    moved: Grey = np.abs(difference - np.float32(np.median(difference[::3, ::3])))
    return moved


def _small(image: Image) -> Grey:
    height, width = image.shape[:2]
    scale = min(1.0, CELLS / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    grey = cv2.cvtColor(cv2.resize(image, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    return cv2.blur(grey.astype(np.float32), (SMOOTH, SMOOTH)).astype(np.float32, copy=False)
