"""What happens at one confidence threshold: how often each class is found as which, or not, or where nothing is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from detector.detections import CLASSES
from detector.scoring.matching import Matches

__all__ = ["Confusion", "Words", "best_threshold", "count"]

THRESHOLDS = tuple(step / 100 for step in range(1, 100))
"""Where the best threshold is looked for: numbers that a person types."""


@dataclass(frozen=True)
class Words:
    """What became of labelled faces, each of which gets one word or none: counts.

    Args:
        right, wrong: found under their own class, and under the other.
        missed: not found.
        false: boxes where no face is.
    """

    right: int
    wrong: int
    missed: int
    false: int

    @property
    def faces(self) -> int:
        """Labelled faces."""
        return self.right + self.wrong + self.missed

    @property
    def balance(self) -> int:
        """What a threshold is good for: right less wrong less false."""
        return self.right - self.wrong - self.false

    @property
    def shares(self) -> dict[str, float]:
        """Of the faces the share that is right, wrong and missed, and of those found the share that is wrong."""
        shares = {name: _share(getattr(self, name), self.faces) for name in ("right", "wrong", "missed")}
        return shares | {"wrong_of_found": _share(self.wrong, self.right + self.wrong)}


@dataclass(frozen=True)
class Confusion:
    """Counts of faces, and the figures that follow from them; NaN where one would divide by zero.

    A detection counts for its class only if it lies on a face of that class, so precision, recall and the table always
    agree with each other.

    Args:
        threshold: detections that are at least this sure were counted.
        images: in so many images.
        counts: three rows of three: labelled ``with_mask``, labelled ``without_mask``, no face there; found as
            ``with_mask``, found as ``without_mask``, not found.
    """

    threshold: float
    images: int
    counts: tuple[tuple[int, ...], ...]

    def words(self, *names: str) -> Words:
        """What became of the faces of these classes, of all by default; false are the boxes that say their names."""
        chosen = [CLASSES.index(name) for name in names or CLASSES]
        right, found = sum(self.counts[i][i] for i in chosen), sum(sum(self.counts[i][:2]) for i in chosen)
        missed, false = sum(self.counts[i][2] for i in chosen), sum(self.counts[2][i] for i in chosen)
        return Words(right, found - right, missed, false)

    def false_per_100(self, *names: str) -> float:
        """False boxes of these classes, of all by default, in 100 images."""
        return _share(100 * self.words(*names).false, self.images)

    def precision(self, name: str) -> float:
        """Share of the detections of the class that are right."""
        return _share(self.words(name).right, self._found_as(name))

    def recall(self, name: str) -> float:
        """Share of the labelled faces of the class that were found as such."""
        return self.words(name).shares["right"]

    def f1(self, name: str) -> float:
        """Harmonic mean of precision and recall; NaN where no face of the class is labelled."""
        words = self.words(name)
        return _share(2 * words.right, self._found_as(name) + words.faces) if words.faces else math.nan

    @property
    def mean_f1(self) -> float:
        """Mean of F1 over the classes that have labelled faces."""
        values = [self.f1(name) for name in CLASSES if self.words(name).faces]
        return _share(sum(values), len(values))

    def _found_as(self, name: str) -> int:
        return sum(row[CLASSES.index(name)] for row in self.counts)


def count(matches: Matches, threshold: float) -> Confusion:
    """The confusion of the detections that are at least ``threshold`` sure."""
    counts = np.zeros((3, 3), np.int64)
    np.add.at(counts, (matches.truth, np.where(matches.confidence >= threshold, matches.found, 2)), 1)
    counts[2, :2] = np.bincount(matches.false[matches.false_confidence >= threshold], minlength=2)
    return Confusion(threshold, matches.images, tuple(map(tuple, counts.tolist())))


def best_threshold(matches: Matches) -> float | None:
    """The one of 0.01, 0.02 ... 0.99 with the most right less wrong less false; the middle of several.

    None where no face is labelled. Where confidences are calibrated it is about 0.5: from there on a box is rather
    right than not.
    """
    if not len(matches.truth):
        return None
    balances = np.array([count(matches, threshold).words().balance for threshold in THRESHOLDS])
    best = np.flatnonzero(balances == balances.max())
    return THRESHOLDS[int(best[len(best) // 2])]


def _share(part: float, whole: int) -> float:
    return part / whole if whole else math.nan
