"""Which detection is which labelled face."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from detector.boxes import containment, overlap
from detector.detections import Detections
from detector.scoring.examples import MIN_SIDE, Example, shorter_side

__all__ = ["SAME_FACE_IOU", "Matches", "match"]

SAME_FACE_IOU = 0.5
"""A detection that overlaps a labelled face by this much is that face; so much of it in an ignored region, ignored."""

Floats = npt.NDArray[np.float32]
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
