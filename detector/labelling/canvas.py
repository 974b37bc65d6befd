"""Draws finer than the picture's pixels, then lays the drawing into the picture as its lens would have seen it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from detector.labelling.landmarks import Corners, Face, Floats
from detector.labelling.light import Light, Map, Random, Window, blurred
from detector.media.images import Image

__all__ = ["Canvas", "Drawn"]

FINEST = 260
"""Drawings are at most about this fine, pixels over a face's height, unless the picture itself is finer."""

MOUTH = (0, 2, 13, 14, 17, 61, 291, 18)
"""Landmarks between chin and nose."""


@dataclass(frozen=True)
class Drawn:
    """What a drawing does to a face.

    Args:
        extent: the pixels that it covers.
        covered: share of the landmarks between chin and nose that it covers, 0 to 1.
    """

    extent: Corners
    covered: float


class Canvas:
    """A transparent drawing over a window of a picture.

    Args:
        window: the part of the picture.
        height: of the face, px: small faces are drawn finer.
        detail: less than 1 draws less finely.
    """

    def __init__(self, window: Window, height: float, detail: float = 1.0) -> None:
        self.window = window
        self.fine = int(np.clip(np.ceil(FINEST * detail / max(height, 1)), 2, 6)) if height * detail < FINEST else 1
        rows, columns = window.shape
        self.shape = (rows * self.fine, columns * self.fine)
        self.color: Map = np.zeros((*self.shape, 3), np.float32)
        self.alpha: Map = np.zeros(self.shape, np.float32)

    def place(self, points: Floats) -> Floats:
        """Points (..., 2 or 3) of the image in fine pixels of the canvas, (..., 2)."""
        return np.asarray((points[..., :2] - (self.window.left, self.window.top)) * self.fine)

    def over(self, color: Map | Floats, cover: Map | Floats) -> None:
        """Paint ``color`` (H, W, 3) or (3,) where ``cover`` (H, W), 0 to 1, lets it."""
        opaque = np.asarray(cover, np.float32)
        self.color *= 1 - opaque[..., None]
        self.color += np.asarray(color, np.float32) * opaque[..., None]
        self.alpha = self.alpha * (1 - opaque) + opaque

    def stroke(self, points: Floats, width: float) -> Map:
        """Coverage of a line through points (N, 2 or 3) of the image, ``width`` px of the image wide."""
        canvas = np.zeros(self.shape, np.uint8)
        path = np.rint(self.place(points) * 16).astype(np.int32)
        thick = max(1, round(width * self.fine))
        cv2.polylines(canvas, [path], isClosed=False, color=255, thickness=thick, lineType=cv2.LINE_AA, shift=4)
        return canvas.astype(np.float32) / 255

    def enlarge(self, values: Floats) -> Map:
        """An array (H, W) of the window on the fine pixels of the canvas."""
        fine = cv2.resize(values.astype(np.float32), self.shape[::-1], interpolation=cv2.INTER_LINEAR)
        return np.asarray(fine, np.float32)

    def reduce(self, values: Map) -> Map:
        """An array of fine pixels, averaged to the pixels of the window."""
        return np.asarray(cv2.resize(values, self.window.shape[::-1], interpolation=cv2.INTER_AREA), np.float32)

    def lay(self, image: Image, light: Light, rng: Random, *, shadow: float = 0.35) -> Map:
        """Draw this into the image, in place.

        Args:
            image: BGR uint8 (H, W, 3).
            light: what the drawing has to look like.
            rng: of the grain.
            shadow: how much light is gone just beside the drawing, 0 to 1.

        Returns:
            Coverage (H, W) of the window.
        """
        alpha, color = self.reduce(self.alpha), self.reduce(self.color)
        color = np.asarray(cv2.GaussianBlur(color, (0, 0), light.blur), np.float32)
        soft = np.asarray(cv2.GaussianBlur(alpha, (0, 0), light.blur), np.float32)
        if light.grey:
            color = np.repeat((color @ np.array([0.114, 0.587, 0.299], np.float32))[..., None], 3, axis=2)
        grain = rng.normal(0, light.grain, (*alpha.shape, 1)).astype(np.float32)
        color += cv2.GaussianBlur(grain, (0, 0), 0.5).reshape(*alpha.shape, 1) * 1.6 * soft[..., None]
        part = self.window.of(image)
        below = part.astype(np.float32) / 255 * (1 - shadow * _shadow(alpha, light))[..., None]
        result = below * (1 - soft[..., None]) + color
        part[:] = np.rint(np.clip(result, 0, 1) * 255).astype(np.uint8)
        return soft

    def drawn(self, cover: Map, face: Face) -> Drawn:
        """What a drawing that covers ``cover`` (H, W) of the window does to a face."""
        rows, columns = np.flatnonzero((cover > 0.3).any(axis=1)), np.flatnonzero((cover > 0.3).any(axis=0))
        left, top = self.window.left, self.window.top
        if not len(rows):
            return Drawn((left, top, left, top), 0.0)
        low, high = (left + float(columns[0]), top + float(rows[0])), (left + columns[-1] + 1.0, top + rows[-1] + 1.0)
        points = face.points[list(MOUTH), :2] - (left, top)
        at = np.clip(points.astype(int), 0, np.array(cover.shape[::-1]) - 1)
        return Drawn((*low, *high), float((cover[at[:, 1], at[:, 0]] > 0.5).mean()))


def _shadow(alpha: Map, light: Light) -> Map:
    """What a drawing keeps from the light, 0 to 1: wide below it, tight all around."""
    size = float(np.sqrt(alpha.sum())) + 1
    away = -light.direction[:2] * 0.04 * size
    moved = cv2.warpAffine(alpha, np.array([[1, 0, away[0]], [0, 1, away[1]]]), alpha.shape[::-1])
    wide = blurred(np.asarray(moved, np.float32), 0.04 * size + 0.3)
    tight = blurred(alpha, 0.012 * size + 0.3)
    return np.asarray(np.clip(0.6 * wide + 0.4 * tight, 0, 1), np.float32)
