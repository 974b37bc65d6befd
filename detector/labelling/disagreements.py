"""Where a network and the labels disagree, and how sure the network is of it.

The kinds are those of Tkachenko, Thyagarajan and Mueller, "ObjectLab: Automated Diagnosis of Mislabeled Images in
Object Detection Data" (2023): overlooked, swapped, badly located; and boxes without an object. As there, each is scored
by how sure the network is of what the label denies; here each score is of one box, because a person corrects boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from detector.boxes import containment, overlap
from detector.data.sample import Sample
from detector.detections import Detections
from detector.scoring import FACE_SIZES, SAME_FACE_IOU, Example
from detector.scoring.confidences import logistic
from detector.scoring.examples import shorter_side

__all__ = ["KINDS", "Disagreement", "Face", "find_disagreements"]

KINDS = {
    "missed": "face left out",
    "extra": "no face in the box",
    "class": "other class",
    "loose": "box beside the face",
}
"""The kinds, by what is wrong with the label, and each in words."""

INVENTED = 0.2
"""Annotators draw a box without a face so many times as often as they do something else wrong: a guess, and it matters
little (0.1 to 0.5 find as many planted errors), but without it the faces that every network misses come first."""

LEAST_SCORE = 0.1
"""What is less likely than this is nothing to look at."""

LEAST_IOU = 0.1
"""A face and a label that overlap less than this have nothing to do with each other."""

TIGHT_IOU, LOOSE_IOU = 0.65, 0.35
"""From the first on a box is as good as another annotator's; up to the second it is surely not. Between them the score
rises evenly."""


@dataclass(frozen=True)
class Face:
    """One box.

    Args:
        xyxy: left, top, right, bottom in px of the upright image.
        name: its class.
        confidence: 0 to 1; of a label 1.
    """

    xyxy: tuple[float, ...]
    name: str
    confidence: float


@dataclass(frozen=True, eq=False)
class Disagreement:
    """One box that the network would label otherwise.

    Args:
        image: where it is.
        kind: one of :data:`KINDS`.
        score: how sure the network is of it, 0 to 1.
        label: what the annotator says; None for a face that was left out.
        found: what the network sees; None where it sees nothing.
        others: the other labels of the image, xyxy in px.
    """

    image: Sample
    kind: str
    score: float
    label: Face | None
    found: Face | None
    others: list[list[float]]


def find_disagreements(
    labelled: Sequence[Sample],
    both: Sequence[Example],
    shown: Sequence[Example],
    *,
    conf: float,
    min_side: float,
) -> list[Disagreement]:
    """All disagreements, the surest first; those that tie stay in the order of the images.

    Args:
        labelled: the images.
        both: for each, what the network thinks of both classes of each face, down to a low confidence.
        shown: likewise with one class per face.
        conf: from this confidence on the network sees a face.
        min_side: faces whose shorter side is under this many px are left alone.
    """
    matched = [_Matched(example) for example in shown]
    trust = _Trust(matched, conf)
    found = [
        disagreement
        for image, matches, scores in zip(labelled, matched, both, strict=True)
        for disagreement in _of_image(image, matches, scores.found, trust, min_side)
    ]
    return sorted(found, key=lambda disagreement: -disagreement.score)


class _Matched:
    """One image's faces and labels with who belongs to whom: as :func:`detector.scoring.match`, but with the places.

    Args:
        example: one class per face.

    Attributes:
        found: the faces, the surest first.
        face_of: for each label the index of its face, -1 where there is none.
        confidence: of that face; 0 where there is none.
        labelled, ignored: for each face whether it is a label's, or lies in an ignored region.
    """

    def __init__(self, example: Example) -> None:
        self.found = example.found[np.argsort(-example.found.confidence, kind="stable")]
        self.truth = example.truth
        self.side = shorter_side(example.truth.xyxy)
        self.iou = overlap(self.found.xyxy, self.truth.xyxy)
        self.ignored = (containment(self.found.xyxy, example.ignored) >= SAME_FACE_IOU).any(axis=1)
        self.face_of = np.full(len(self.truth), -1)
        self._pair(SAME_FACE_IOU)
        self.labelled = np.isin(np.arange(len(self.found)), self.face_of)
        self._pair(LEAST_IOU)
        self.confidence = np.append(self.found.confidence, 0)[self.face_of].astype(np.float64)

    def _pair(self, least: float) -> None:
        """Give each free face, the surest first, the free label that it overlaps most, by ``least`` at least."""
        for index in np.flatnonzero(~np.isin(np.arange(len(self.found)), self.face_of)).tolist():
            candidates = np.where(self.face_of < 0, self.iou[index], 0)
            if candidates.max(initial=0) >= least:
                self.face_of[int(candidates.argmax())] = index


class _Trust:
    """What the network's word is worth, and its silence, measured on the labels themselves: most of them are right.

    A confidence becomes the share of the faces of this confidence that are labelled, by Platt's scaling (1999); finding
    nothing counts as much as the share of the labels of this size that are found.

    Args:
        matched: all images.
        conf: from this confidence on the network sees a face.
    """

    def __init__(self, matched: Sequence[_Matched], conf: float) -> None:
        self.conf = conf
        confidence = np.concatenate([m.found.confidence[~m.ignored] for m in matched])
        labelled = np.concatenate([m.labelled[~m.ignored] for m in matched])
        points = np.stack([confidence.astype(np.float64), np.ones(len(confidence))], axis=1)
        self._slope, self._offset = logistic(points, labelled, start=(10, -5))
        size = np.concatenate([_sizes(m.side) for m in matched])
        found = np.concatenate([m.confidence for m in matched]) >= conf
        labels = np.bincount(size, minlength=len(FACE_SIZES))
        # Laplace's rule of succession: a few labels prove little
        self._recall = (1 + np.bincount(size[found], minlength=len(FACE_SIZES))) / (2 + labels)

    def in_face(self, confidence: float) -> float:
        """The chance that a face is one, 0 to 1."""
        return float(1 / (1 + np.exp(-self._slope * confidence - self._offset)))

    def in_nothing(self, side: float) -> float:
        """The chance that a face with a shorter side of so many px would have been found, 0 to 1."""
        return float(self._recall[_sizes(np.array([side]))[0]])


def _sizes(sides: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.int64]:
    """Which of ``FACE_SIZES`` faces of these shorter sides (N,) belong to; the first one for those below all."""
    lows = [low for low, _ in FACE_SIZES.values()]
    return np.maximum(np.searchsorted(lows, sides, side="right") - 1, 0)


def _of_image(image: Sample, matched: _Matched, both: Detections, trust: _Trust, min_side: float) -> list[Disagreement]:
    found, truth = matched.found, matched.truth
    boxes = truth.xyxy.tolist()
    # How sure the network is of each label's own class, at its place.
    same = (overlap(truth.xyxy, both.xyxy) >= SAME_FACE_IOU) & (truth.class_id[:, None] == both.class_id)
    support = np.where(same, both.confidence, 0).max(axis=1, initial=0).tolist()
    result = []
    for label in np.flatnonzero(matched.side >= min_side).tolist():
        kind, score = _judge(label, matched, trust, support[label])
        if score >= LEAST_SCORE:
            seen = None if kind == "extra" else _face(found, int(matched.face_of[label]))
            others = boxes[:label] + boxes[label + 1 :]
            result.append(Disagreement(image, kind, score, _face(truth, label), seen, others))
    free = ~matched.ignored & ~np.isin(np.arange(len(found)), matched.face_of)
    free &= (found.confidence >= trust.conf) & (shorter_side(found.xyxy) >= min_side)
    covered = overlap(found.xyxy, truth.xyxy).max(axis=1, initial=0)
    for index in np.flatnonzero(free).tolist():
        face = _face(found, index)
        score = trust.in_face(face.confidence) * (1 - float(covered[index]))
        if score >= LEAST_SCORE:
            result.append(Disagreement(image, "missed", score, None, face, boxes))
    return result


def _judge(label: int, matched: _Matched, trust: _Trust, support: float) -> tuple[str, float]:
    """What is most likely wrong with a label, and how likely it is.

    Args:
        label: its index.
        matched: the faces and labels of its image.
        trust: what the network's word is worth.
        support: the network's confidence in the label's own class, there.
    """
    face, confidence = int(matched.face_of[label]), float(matched.confidence[label])
    scores = {"extra": 0.0}
    if confidence < trust.conf:
        chance = (1 - trust.in_face(confidence)) * trust.in_nothing(float(matched.side[label]))
        scores["extra"] = INVENTED * chance / (INVENTED * chance + 1 - chance)
    if face >= 0:
        ramp = (TIGHT_IOU - float(matched.iou[face, label])) / (TIGHT_IOU - LOOSE_IOU)
        scores["loose"] = trust.in_face(confidence) * min(max(ramp, 0.0), 1.0)
        if matched.found.class_id[face] != matched.truth.class_id[label]:
            scores["class"] = trust.in_face(confidence) * max(1 - support / confidence, 0.0)
    return max(scores.items(), key=lambda item: item[1])


def _face(faces: Detections, index: int) -> Face:
    return Face(tuple(faces.xyxy[index].tolist()), faces.names[index], float(faces.confidence[index]))
