"""Facial landmarks: MediaPipe's face mesh, 468 points in three dimensions.

Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs", 2019, arXiv:1907.06724.
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

SIDE = 192
"""Of the network's input, px."""

POINTS = 468
CROP = 1.5
"""Side of the network's view as a share of the longer side of the landmarks' box, as MediaPipe has it."""

FIRST_CROP = 1.3
"""The same for a label's box, which reaches from the chin to the hairline and so is larger."""

PASSES = 3
"""The first view is the label's box; the others move and turn after the landmarks that the one before found."""

_LEFT_RIGHT = (
    *((234, 454), (93, 323), (132, 361), (58, 288), (172, 397), (136, 365), (150, 379), (149, 378), (176, 400)),
    *((148, 377), (127, 356), (116, 345), (117, 346), (118, 347), (119, 348), (120, 349), (121, 350), (123, 352)),
    *((50, 280), (101, 330), (36, 266), (205, 425), (187, 411), (147, 376), (207, 427), (213, 433), (192, 416)),
    *((214, 434), (212, 432), (135, 364), (210, 430), (169, 394), (170, 395), (204, 424), (211, 431), (140, 369)),
    *((171, 396), (208, 428), (47, 277), (126, 355), (198, 420), (131, 360), (203, 423), (206, 426), (61, 291)),
    *((33, 263), (133, 362), (145, 374), (159, 386), (105, 334), (67, 297), (54, 284), (162, 389), (182, 406)),
)
"""Points on the left of an upright picture and their partners on the right."""

_MIDDLE = (10, 151, 9, 168, 6, 197, 195, 5, 4, 1, 2, 164, 0, 13, 14, 17, 18, 200, 199, 175, 152)
"""Points on the middle line, from the forehead over the nose to the chin."""

MIRRORED: dict[int, int] = {point: point for point in _MIDDLE}
"""The partner of a point on the other half of the face, for all points that are used here."""

for _left, _right in _LEFT_RIGHT:
    MIRRORED[_left], MIRRORED[_right] = _right, _left


@dataclass(frozen=True, eq=False)
class Face:
    """The landmarks of one face, and the directions of its head.

    Args:
        points: (468, 3), pixels of the image; z has the scale of x and grows away from the camera.
        score: the network's own, 0 to 1, that it sees a face.
        disagreement: mean distance to the landmarks found in the mirrored picture, as a share of the face's height.
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
        points, score = self._look(image, view)
        for _ in range(PASSES - 1):
            view = _next_view(points)
            points, score = self._look(image, view)
        reflected, other_score = self._look(image, view @ np.array([[-1, 0, SIDE - 1], [0, 1, 0], [0, 0, 1.0]]))
        ours, others = points[list(MIRRORED)], reflected[list(MIRRORED.values())]
        distance = np.linalg.norm((ours - others)[:, :2], axis=1).mean()
        height = max(float(np.linalg.norm(points[152] - points[10])), 1e-6)
        return Face(points, min(score, other_score), float(distance / height))

    def _look(self, image: Image, view: Floats) -> tuple[Floats, float]:
        """Landmarks in pixels of the image, seen through ``view``: a 2 x 3 matrix from the view's pixels to these."""
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
        points, score = self._run(np.asarray(crop, np.uint8))
        placed = np.column_stack([points[:, :2], np.ones(POINTS)]) @ view.T
        return np.column_stack([placed, points[:, 2] * scale]), score

    def _run(self, crop: Image) -> tuple[Floats, float]:
        points, logit = self._session(cv2.dnn.blobFromImage(crop, 1 / 255, swapRB=True).astype(np.float32, copy=False))
        return points[0].astype(np.float64), float(1 / (1 + np.exp(-np.float64(logit[0]))))


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
