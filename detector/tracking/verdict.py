"""The steady verdict of one person: evidence of both classes, summed over time with forgetting and hysteresis."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from detector.detections import CLASSES

__all__ = ["Person"]

MEMORY_S = 3.0  # evidence of this age counts 1/e
STEP_S = 0.2  # a look counts for the time since the one before, at most for this
SETTLE_S = 0.25  # seconds of full confidence until a verdict is spoken
CLEAR = 0.65  # share of all evidence that the leading class needs for that ...
HURRY_S = 2.0  # ... or this long in view
CHANGE = 0.7  # share that the other class needs before a spoken verdict is changed


@dataclass
class Person:
    """One person in front of one camera.

    Args:
        first_s: when the face was first followed, in the source's seconds.

    Attributes:
        number: 1, 2, 3 ... in the order in which verdicts were settled; -1 before.
        class_id: the steady verdict, an index into :data:`~detector.detections.CLASSES`; -1 before it is settled.
        last_s: when the face was last seen, in the source's seconds.
        seen_s: how many seconds it was in view.
        box: left, top, right, bottom where it was last seen, in pixels of the upright image.
    """

    first_s: float
    number: int = -1
    class_id: int = -1
    last_s: float = field(init=False)
    seen_s: float = 0.0
    box: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    _evidence: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(CLASSES)), repr=False)
    _looked_s: float = field(default=0.0, repr=False)

    def __post_init__(self) -> None:
        self.last_s = self.first_s

    @property
    def verdict(self) -> str:
        """The name of the steady class; empty before it is settled."""
        return CLASSES[self.class_id] if self.class_id >= 0 else ""

    @property
    def leading(self) -> int:
        """The steady class, or before it is settled the likelier one, an index into the classes."""
        return self.class_id if self.class_id >= 0 else int(self._evidence.argmax())

    @property
    def confidence(self) -> float:
        """How sure the leading class is, 0 to 1: the weighted mean of what single looks said of it."""
        return float(self._evidence[self.leading] / self._looked_s) if self._looked_s else 0.0

    def look(self, class_id: int, confidence: float, time_s: float) -> bool:
        """Weigh one sight of the face.

        Args:
            class_id: what this frame says.
            confidence: how sure it is of that, 0 to 1.
            time_s: when, in the source's seconds.

        Returns:
            Whether the verdict was settled or changed by it.
        """
        elapsed = time_s - self.last_s
        weight = min(elapsed, STEP_S) or STEP_S / 6  # the first look has nothing before it
        kept = math.exp(-elapsed / MEMORY_S) if elapsed < STEP_S else math.exp(-STEP_S / MEMORY_S)
        self._evidence *= kept
        self._looked_s = self._looked_s * kept + weight
        self._evidence[class_id] += weight * confidence
        self.last_s, self.seen_s = time_s, self.seen_s + min(elapsed, STEP_S)
        before = self.class_id
        share = self._evidence / max(self._evidence.sum(), 1e-9)
        leading = int(share.argmax())
        if before < 0:
            if (self._evidence.sum() >= SETTLE_S and share[leading] >= CLEAR) or self.seen_s >= HURRY_S:
                self.class_id = leading
        elif share[leading] >= CHANGE:
            self.class_id = leading
        return self.class_id != before
