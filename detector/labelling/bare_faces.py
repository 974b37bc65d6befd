"""Which labelled faces can be drawn on: bare ones whose landmarks can be believed.

The limits are from 712 faces of the project's validation photographs.
"""

from __future__ import annotations

import cv2
import numpy as np

from detector.boxes import containment
from detector.labelling.landmarks import Corners, Face, FaceMesh, Floats
from detector.media.images import Image

__all__ = ["MIN_SIDE", "angles", "find"]

MIN_SIDE = 32
"""Px of the shorter side of a face's box."""

LEAST_SCORE = 0.8
"""The landmark network's own."""

MOST_DISAGREEMENT = 0.03
"""Of the landmarks with those of the mirrored picture, share of the face's height."""

MOST_TURN, MOST_NOD, MOST_LEAN = 50, 40, 50
"""Of the head to a side, up or down, and onto a shoulder, degrees."""

MOST_OFFSET = 0.25
"""Between the middles of the landmarks and of the box, share of the box's longer side."""

LEAST_HEIGHT, MOST_HEIGHT = 0.5, 1.4
"""Of the landmarks, share of the box's longer side."""

MOST_DIFFERENCE = 0.6
"""Of the colours of the upper and the lower half of the face, share of their own colourfulness."""

EYES = ((33, 133, 159, 145), (263, 362, 386, 374))
"""Corners and lids of the eye on the left and on the right of an upright picture."""

UPPER = (9, 8, 50, 280, 101, 330, 5, 4, 195, 107, 336)
LOWER = (199, 200, 205, 425, 207, 427, 18, 204, 424, 214, 434, 164)
"""Points on bare skin of the two halves of a face."""

GREY = 4.0
"""Colours that are nearer to grey than this count as this far from it."""


def find(mesh: FaceMesh, image: Image, box: Corners, others: Floats, min_side: float = MIN_SIDE) -> Face | str:
    """The landmarks of a face, or why it is left as it is.

    Args:
        mesh: finds landmarks.
        image: BGR uint8 (H, W, 3).
        box: of the face.
        others: (N, 4), the other labelled boxes.
        min_side: faces whose shorter side is under this are too small, px.
    """
    if min(box[2] - box[0], box[3] - box[1]) < min_side:
        return "too small"
    if (containment(np.array([box]), others) > 0.1).any():
        return "another face is in its way"
    face = mesh(image, box)
    return _why_not(face, box, image) or face


def angles(face: Face) -> tuple[float, float, float]:
    """Turn to a side, nod and lean of the head, degrees."""
    right, _, out = face.axes
    along = out[:2] @ right[:2] / max(float(np.linalg.norm(right[:2])), 1e-6)
    across = out[0] * -right[1] + out[1] * right[0]
    nod = np.degrees(np.arcsin(np.clip(across, -1, 1)))
    turn = np.degrees(np.arcsin(np.clip(along, -1, 1)))
    return float(turn), float(nod), float(np.degrees(np.arctan2(right[1], right[0])))


def _why_not(face: Face, box: Corners, image: Image) -> str:
    """Why the landmarks cannot be those of a bare face in ``box``; empty if they can."""
    if face.score < LEAST_SCORE:
        return "no landmarks found"
    if face.disagreement > MOST_DISAGREEMENT:
        return "its landmarks are unsure"
    if (np.abs(angles(face)) > (MOST_TURN, MOST_NOD, MOST_LEAN)).any():
        return "turned too far"
    longer = max(box[2] - box[0], box[3] - box[1])
    points = face.points[:, :2]
    middle = (points.min(axis=0) + points.max(axis=0)) / 2 - ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    if np.linalg.norm(middle) > MOST_OFFSET * longer:
        return "its landmarks are beside its box"
    if not LEAST_HEIGHT < np.ptp(points, axis=0).max() / longer < MOST_HEIGHT:
        return "its landmarks are of another size"
    parts = np.stack([face.middle(*EYES[0]), face.middle(*EYES[1]), face.points[4], face.middle(13, 14)])[:, :2]
    slack = 0.05 * longer
    if (parts < np.array(box[:2]) - slack).any() or (parts > np.array(box[2:]) + slack).any():
        return "its landmarks are beside its box"
    inside = face.points[[4, 13, 17, 152], :2]
    if (inside < 0).any() or (inside >= image.shape[1::-1]).any():
        return "cut off by the picture's edge"
    return "its lower half is hidden" if _difference(face, image) > MOST_DIFFERENCE else ""


def _difference(face: Face, image: Image) -> float:
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
