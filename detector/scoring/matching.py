"""Which detection is which labelled face, and what happens at one confidence threshold."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from detector.boxes import containment, overlap
from detector.detections import CLASSES, Detections
from detector.scoring.examples import MIN_SIDE, Example, shorter_side

__all__ = ["SAME_FACE_IOU", "Confusion", "Matches", "Words", "balances", "best_threshold", "count", "match"]

SAME_FACE_IOU = 0.5
"""A detection that overlaps a labelled face by this much is that face; so much of it in an ignored region, ignored."""

THRESHOLDS = tuple(step / 100 for step in range(1, 100))
"""Where the best threshold is looked for: numbers that a person types."""

Floats = npt.NDArray[np.float32]
Floats64 = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Matches:
    """Every labelled face that counts with the detection on it, and every detection that lies on none.

    Args:
        truth: int64 (T,) class of each labelled face.
        found: int64 (T,) class of the detection on it; any where there is none.
        confidence: float32 (T,) of that detection; -1 where there is none.
        side: float32 (T,) the face's shorter side, px.
        false: int64 (F,) class of each detection without a face.
        false_confidence: float32 (F,).
        false_side: float32 (F,) the detection's own shorter side, px.
        images: how many images there were.
    """

    truth: Ints
    found: Ints
    confidence: Floats
    side: Floats
    false: Ints
    false_confidence: Floats
    false_side: Floats
    images: int = 1

    def within(self, low: float, high: float) -> Matches:
        """Those whose shorter side is at least ``low`` and under ``high`` px; a detection on a face has its size."""
        faces = (self.side >= low) & (self.side < high)
        alarms = (self.false_side >= low) & (self.false_side < high)
        return Matches(
            **{name: getattr(self, name)[faces] for name in ("truth", "found", "confidence", "side")},
            **{name: getattr(self, name)[alarms] for name in ("false", "false_confidence", "false_side")},
            images=self.images,
        )


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


def match(examples: Iterable[Example], *, min_side: float = MIN_SIDE) -> Matches:
    """Match greedily, the surest detection first, each to the free face that it overlaps most, whatever its class.

    This is COCO's rule but for the class, which COCO looks at first; here a face under the wrong name is one error to
    count and not two. Since the surest go first, the matches at a higher threshold are those of a lower one, cut off.
    Faces and detections under ``min_side`` px, and detections in an ignored region, are left out, as COCO does.

    Args:
        examples: the images, with one class per face, as people are shown them.
        min_side: faces whose shorter side is under this many px do not count.
    """
    nothing = Example(Detections.empty(), Detections.empty())  # so that there is something to join
    parts = [_match(example, min_side) for example in (nothing, *examples)]
    *columns, images = zip(*(vars(part).values() for part in parts), strict=True)
    arrays: list[Any] = [np.concatenate(column) for column in columns]
    return replace(Matches(*arrays), images=sum(images) - 1)


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
    thresholds, balance = balances(matches)
    best = np.flatnonzero(balance == balance.max())
    return float(thresholds[best[len(best) // 2]])


def balances(matches: Matches) -> tuple[Floats64, Ints]:
    """Thresholds that a person types, (99,), and at each the right less wrong less false, (99,)."""
    at = [count(matches, threshold).words().balance for threshold in THRESHOLDS]
    return np.array(THRESHOLDS), np.array(at, np.int64)


def _match(example: Example, min_side: float) -> Matches:
    found = example.found[np.argsort(-example.found.confidence, kind="stable")]
    side, own_side = shorter_side(example.truth.xyxy), shorter_side(found.xyxy)
    on_face = overlap(found.xyxy, example.truth.xyxy)
    on_face[on_face < SAME_FACE_IOU] = 0
    ignored = (containment(found.xyxy, example.ignored) >= SAME_FACE_IOU).any(axis=1)
    counts = side >= min_side
    owner = np.full(len(side), -1)
    false = (own_side >= min_side) & ~ignored
    for index in np.flatnonzero(on_face.any(axis=1)).tolist():
        candidates = on_face[index] * (owner < 0)
        if (candidates * counts).any():  # a face that counts comes before one that does not
            candidates *= counts
        if candidates.any():
            owner[int(candidates.argmax())] = index
            false[index] = False
    owner = owner[counts]
    return Matches(
        truth=example.truth.class_id[counts],
        found=np.append(found.class_id, 0)[owner],  # an owner of -1 takes what is appended
        confidence=np.append(found.confidence, np.float32(-1))[owner],
        side=side[counts],
        false=found.class_id[false],
        false_confidence=found.confidence[false],
        false_side=own_side[false],
    )


def _share(part: float, whole: int) -> float:
    return part / whole if whole else math.nan
