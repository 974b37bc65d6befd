"""Facial landmarks: 468 points in three dimensions, numbered as in MediaPipe's face mesh.

Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs", 2019, arXiv:1907.06724. The
network is our own and was taught by theirs, see weights/README.md. It looks at each face twice, once mirrored.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from detector.engines.session import OnnxSession
from detector.engines.weights import default_weights
from detector.media.images import Image

__all__ = ["MIRRORED", "Corners", "Face", "FaceMesh", "Floats"]

Floats = npt.NDArray[np.float64]
Corners = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""

SIDE = 112
"""Of the network's input, px."""

POINTS = 468
CROP = 1.35
"""Side of the network's view as a share of the longer side of the landmarks' box, as it was trained."""

FIRST_CROP = 1.17
"""The same for a label's box, which reaches from the chin to the hairline and so is larger."""

PASSES = 3
"""The first view is the label's box; the others move and turn after the landmarks that the one before found."""

_LEFT_RIGHT = (
    *((50, 280), (123, 352), (101, 330), (36, 266), (47, 277), (126, 355), (187, 411), (147, 376), (205, 425)),
    *((207, 427), (203, 423), (206, 426), (214, 434), (135, 364), (212, 432), (210, 430), (182, 406), (204, 424)),
    *((172, 397), (136, 365), (150, 379), (149, 378), (176, 400), (148, 377)),
)
"""Points on the left of an upright picture and their partners on the right."""

_MIDDLE = (6, 197, 4, 2, 164, 0, 13, 17, 18, 200, 199, 175, 152)
"""Points on the middle line, from the forehead over the nose to the chin."""

MIRRORED = {point: point for point in _MIDDLE} | dict(_LEFT_RIGHT)
"""The partner of a point of the left half or the middle line, for all points between which cloth is spread."""


@dataclass(frozen=True, eq=False)
class Face:
    """The landmarks of one face, and the directions of its head.

    Args:
        points: (468, 3), pixels of the image; z has the scale of x and grows away from the camera.
        score: the network's own, 0 to 1, that it sees a face.
        disagreement: mean distance of the landmarks found in the mirrored picture, as a share of the face's height.
    """

    points: Floats
    score: float
    disagreement: float

    @property
    def height(self) -> float:
        """From the top of the forehead to the chin, px, however the head is turned."""
        return float(np.linalg.norm(self.points[152] - self.points[10]))

    @property
    def axes(self) -> Floats:
        """(3, 3): unit vectors to the right of an upright picture, down, and out of the face, as rows."""
        right = self.points[454] - self.points[234]
        right = right / max(float(np.linalg.norm(right)), 1e-6)
        down = self.points[152] - self.points[10]
        down = down - (down @ right) * right
        down = down / max(float(np.linalg.norm(down)), 1e-6)
        return np.stack([right, down, -np.cross(right, down)])

    def middle(self, *indices: int) -> Floats:
        """The mean (3,) of some points."""
        return np.asarray(self.points[list(indices)].mean(axis=0), np.float64)


class FaceMesh:
    """Finds the landmarks of a face whose box is known.

    Args:
        path: the network; None takes the shipped one.

    Raises:
        ModelError: the network is missing, cannot be read, or is another one.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._session = OnnxSession(path or default_weights("face_landmarks.onnx"), device="cpu", threads=1)
        points = self._session(np.zeros((1, 3, SIDE, SIDE), np.float32))[0]
        self._session.expect_answer(points, 1, POINTS, 3)

    def __call__(self, image: Image, box: Corners) -> Face:
        """The landmarks of the face in ``box``, which mean nothing where there is none: see ``score``.

        Args:
            image: BGR uint8 (H, W, 3).
            box: of the face.
        """
        left, top, right, bottom = box
        scale = max(right - left, bottom - top) * FIRST_CROP / SIDE
        view = _view(np.array([(left + right) / 2, (top + bottom) / 2]), scale, 0.0)
        face = self._look(image, view)
        for _ in range(PASSES - 1):
            face = self._look(image, _next_view(face.points))
        return face

    def _look(self, image: Image, view: Floats) -> Face:
        """The face that is seen through ``view``: a 2 x 3 matrix from the view's pixels to those of the image."""
        scale = float(np.hypot(*view[:, 0]))
        center = view @ (SIDE / 2, SIDE / 2, 1)
        reach = SIDE * scale * 0.75 + 8
        low = np.clip(center - reach, 0, np.array(image.shape[1::-1]) - 1).astype(int)
        high = np.clip(center + reach, low + 1, image.shape[1::-1]).astype(int)
        part = image[low[1] : high[1], low[0] : high[0]]
        if scale > 1.5:  # warpAffine does not average
            part = np.asarray(cv2.GaussianBlur(part, (0, 0), 0.4 * scale), np.uint8)
        moved = view - [[0, 0, low[0]], [0, 0, low[1]]]
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        crop = cv2.warpAffine(part, moved, (SIDE, SIDE), flags=how, borderMode=cv2.BORDER_REPLICATE)
        seen = cv2.dnn.blobFromImage(crop, 1 / 255, swapRB=True).astype(np.float32, copy=False)
        (points,), (score,), (disagreement,) = self._session(seen)
        placed = np.column_stack([points[:, :2].astype(np.float64), np.ones(POINTS)]) @ view.T
        return Face(np.column_stack([placed, points[:, 2] * scale]), float(score), float(disagreement))


def _next_view(points: Floats) -> Floats:
    """Around the landmarks, turned so that the eyes are level."""
    eyes = points[[263, 362]].mean(axis=0) - points[[33, 133]].mean(axis=0)
    angle = float(np.arctan2(eyes[1], eyes[0]))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    level = points[:, :2] @ turn.T
    low, high = level.min(axis=0), level.max(axis=0)
    return _view(turn.T @ ((low + high) / 2), max(float((high - low).max()), 4.0) * CROP / SIDE, angle)


def _view(center: Floats, scale: float, angle: float) -> Floats:
    """The matrix (2, 3) from a view's pixels to the image's."""
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    return np.column_stack([turn, center - turn @ (SIDE / 2, SIDE / 2)])
