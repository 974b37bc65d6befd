"""The steady verdict of one person: evidence of both classes, summed over time with forgetting and hysteresis."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from detector.detections import CLASSES

__all__ = ["Person"]

MEMORY_S = 3.0  # evidence of this age counts 1/e
STEP_S = 0.2  # a look counts for the time since the one before, at most for this
CHANGE = 0.85  # share of all evidence that the other class needs to change the word
SETTLE_S = 0.5  # a verdict is spoken after so many seconds of full confidence ...
CLEAR = 0.65  # of which this share is for it,
HURRY_S = 2.0  # or after so long in view


@dataclass
class Person:
    """One person in front of one camera.

    Args:
        first_s: when the face was first followed, in the source's seconds.

    Attributes:
        number: 1, 2, 3 ... in the order in which verdicts were settled; -1 before.
        class_id: the steady word, an index into :data:`~detector.detections.CLASSES`.
        settled: whether it is a verdict: the person was seen well enough, or for long enough.
        last_s: when the face was last seen, in the source's seconds.
        seen_s: how many seconds it was in view.
        box: left, top, right, bottom where it was last seen, in pixels of the upright image.
    """

    first_s: float
    number: int = -1
    class_id: int = -1
    settled: bool = False
    last_s: float = field(init=False)
    seen_s: float = 0.0
    box: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    _evidence: list[float] = field(default_factory=lambda: [0.0] * len(CLASSES), repr=False)
    _looked_s: float = field(default=0.0, repr=False)

    def __post_init__(self) -> None:
        self.last_s = self.first_s

    @property
    def verdict(self) -> str:
        """The name of the steady class; empty before it is settled."""
        return CLASSES[self.class_id] if self.settled else ""

    @property
    def confidence(self) -> float:
        """How sure the word is, 0 to 1: the mean of what single looks said of this class, weighted by their age."""
        return self._evidence[self.class_id] / self._looked_s if self._looked_s else 0.0

    def look(self, class_id: int, confidence: float, time_s: float) -> None:
        """Weigh one sight of the face.

        Args:
            class_id: what this frame says.
            confidence: how sure it is of that, 0 to 1.
            time_s: when, in the source's seconds.
        """
        elapsed = min(time_s - self.last_s, STEP_S)
        weight, kept = elapsed or STEP_S / 6, math.exp(-elapsed / MEMORY_S)  # the first look has nothing before it
        self._evidence = [kept * old for old in self._evidence]
        self._looked_s = self._looked_s * kept + weight
        self._evidence[class_id] += weight * confidence
        self.last_s, self.seen_s = time_s, self.seen_s + elapsed
        total, leading = sum(self._evidence), self._evidence.index(max(self._evidence))
        if self.class_id < 0 or self._evidence[leading] >= CHANGE * total:
            self.class_id = leading
        clear = total >= SETTLE_S and self._evidence[self.class_id] >= CLEAR * total
        self.settled = self.settled or clear or self.seen_s >= HURRY_S
