"""Which labelled faces can be treated: bare ones whose landmarks can be believed."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from detector.boxes import containment
from detector.labelling.landmarks import EYES, Corners, Face, FaceMesh, Floats
from detector.media.images import Image

__all__ = ["Rules", "believable", "find", "hidden"]


@dataclass(frozen=True)
class Rules:
    """What a face must be like. The values are from 712 faces of the project's validation photographs.

    Args:
        min_side: px of the shorter side of its box.
        min_score: the landmark network's own.
        max_disagreement: of the landmarks with those of the mirrored picture, share of the face's height.
        max_turn: of the head to a side, degrees.
        max_nod: of the head up or down, degrees.
        max_lean: of the head onto a shoulder, degrees.
        max_offset: between the middles of the landmarks and of the box, share of the box's longer side.
        sizes: smallest and largest height of the landmarks, share of the box's longer side.
        max_difference: of the colours of the upper and the lower half of the face, share of their own colourfulness.
    """

    min_side: float = 32
    min_score: float = 0.9
    max_disagreement: float = 0.045
    max_turn: float = 50
    max_nod: float = 40
    max_lean: float = 50
    max_offset: float = 0.25
    sizes: tuple[float, float] = (0.5, 1.4)
    max_difference: float = 0.6


def find(mesh: FaceMesh, image: Image, box: Corners, others: Floats, rules: Rules) -> Face | str:
    """The landmarks of a face, or why it is left as it is.

    Args:
        mesh: finds landmarks.
        image: BGR uint8 (H, W, 3).
        box: of the face.
        others: (N, 4), the other labelled boxes.
        rules: see there.
    """
    if min(box[2] - box[0], box[3] - box[1]) < rules.min_side:
        return "too small"
    if (containment(np.array([box]), others) > 0.1).any():
        return "another face is in its way"
    face = mesh(image, box)
    return believable(face, box, image, rules) or hidden(face, image, rules) or face


def believable(face: Face, box: Corners, image: Image, rules: Rules) -> str:
    """Why the landmarks cannot be those of the face in ``box``; empty if they can."""
    if face.score < rules.min_score:
        return "no landmarks found"
    if face.disagreement > rules.max_disagreement:
        return "its landmarks are unsure"
    turn, nod, lean = angles(face)
    if abs(turn) > rules.max_turn or abs(nod) > rules.max_nod or abs(lean) > rules.max_lean:
        return "turned too far"
    longer = max(box[2] - box[0], box[3] - box[1])
    points = face.points[:, :2]
    middle = (points.min(axis=0) + points.max(axis=0)) / 2 - ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    if np.linalg.norm(middle) > rules.max_offset * longer:
        return "its landmarks are beside its box"
    if not rules.sizes[0] < np.ptp(points, axis=0).max() / longer < rules.sizes[1]:
        return "its landmarks are of another size"
    parts = np.stack(
        [face.middle(*EYES[0])[:2], face.middle(*EYES[1])[:2], face.points[4, :2], face.middle(13, 14)[:2]]
    )
    slack = 0.05 * longer
    if (parts < np.array(box[:2]) - slack).any() or (parts > np.array(box[2:]) + slack).any():
        return "its landmarks are beside its box"
    inside = face.points[[4, 13, 17, 152], :2]
    if (inside < 0).any() or (inside >= image.shape[1::-1]).any():
        return "cut off by the picture's edge"
    return ""


def angles(face: Face) -> tuple[float, float, float]:
    """Turn to a side, nod and lean of the head, degrees."""
    right, _, out = face.axes
    along = out[:2] @ right[:2] / max(float(np.linalg.norm(right[:2])), 1e-6)
    across = out[0] * -right[1] + out[1] * right[0]
    nod = np.degrees(np.arcsin(np.clip(across, -1, 1)))
    turn = np.degrees(np.arcsin(np.clip(along, -1, 1)))
    return float(turn), float(nod), float(np.degrees(np.arctan2(right[1], right[0])))


UPPER = (9, 8, 50, 280, 101, 330, 5, 4, 195, 107, 336)
GREY = 4.0
"""Colours that are nearer to grey than this count as this far from it."""

LOWER = (199, 200, 205, 425, 207, 427, 18, 204, 424, 214, 434, 164)


def hidden(face: Face, image: Image, rules: Rules) -> str:
    """Whether something of another colour than the upper face lies on the lower one."""
    return "its lower half is hidden" if difference(face, image) > rules.max_difference else ""


def difference(face: Face, image: Image) -> float:
    """How far apart the colours of the two halves of a face are, in the plane of a and b of CIE Lab.

    A share of how far the upper half is from grey, so that pale and faded pictures are judged like others.
    """
    height, width = image.shape[:2]
    medians = []
    for points in (UPPER, LOWER):
        at = np.clip(face.points[list(points), :2], 0, (width - 1, height - 1)).astype(np.float32)
        x, y = np.ascontiguousarray(at.T)[:, None]
        patch = cv2.remap(image, x, y, cv2.INTER_LINEAR)
        lab = cv2.cvtColor(patch.astype(np.float32) / 255, cv2.COLOR_BGR2Lab)[0]
        medians.append(np.median(lab[:, 1:], axis=0))
    colourful = max(float(np.linalg.norm(medians[0])), GREY)
    return float(np.linalg.norm(medians[0] - medians[1])) / colourful
