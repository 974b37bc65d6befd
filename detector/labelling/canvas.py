"""Draws finer than the picture's pixels, then lays the drawing into the picture as its lens would have seen it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from detector.labelling.cuts import drape
from detector.labelling.landmarks import Floats
from detector.labelling.light import Light, Window, blurred
from detector.media.images import Image

__all__ = ["Canvas", "Cloth", "Map", "enlarge", "lambert", "window_around"]

Map = npt.NDArray[np.floating[Any]]

AMBIENT = 0.6
"""Share of the light that comes from everywhere."""

COARSE = (48, 65)
"""A cloth is computed at this many points, rows and columns; between them it is straight."""

FINEST = 260
"""Drawings are at most about this fine, pixels over a face's height, unless the picture itself is finer."""


@dataclass(frozen=True, eq=False)
class Cloth:
    """A rasterised piece of cloth, on the canvas' fine pixels.

    Args:
        u, v: (H, W), place on the cloth from left to right and from its upper edge down, 0 to 1.
        cover: (H, W), 1 where it is seen.
        normals: (H, W, 3), unit vectors out of it.
    """

    u: Map
    v: Map
    cover: Map
    normals: Map


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

    def rasterise(self, net: Floats, *, ridge: bool = False) -> Cloth:
        """Where each fine pixel lies on the cloth through control points (rows, columns, 3); near hides far."""
        rough = drape(net, COARSE, ridge=ridge)
        span = [np.linalg.norm(np.diff(rough.points[..., :2], axis=axis), axis=2).sum(axis).max() for axis in (0, 1)]
        rows, columns = (int(np.ceil(1.6 * length * self.fine)) + 8 for length in span)
        depth = np.interp(
            np.linspace(0, COARSE[1] - 1, columns), np.arange(COARSE[1]), rough.points[..., 2].mean(axis=0)
        )
        order = np.argsort(-depth, kind="stable").astype(np.float32)
        at_u, at_v = order / (columns - 1), np.linspace(0, 1, rows, dtype=np.float32)
        place = self.place(rough.points).astype(np.float32)
        # From far to near columns: of several assignments to one pixel the last one stays.
        u, v = np.meshgrid(at_u, at_v, indexing="ij")
        spots = cv2.remap(place, u * (COARSE[1] - 1), v * (COARSE[0] - 1), cv2.INTER_LINEAR)
        x, y = np.floor(spots).astype(np.int32).transpose(2, 0, 1)
        inside = (x >= 0) & (x < self.shape[1]) & (y >= 0) & (y < self.shape[0])
        target = (y * self.shape[1] + x)[inside]
        maps = np.zeros((3, self.shape[0] * self.shape[1]), np.float32)
        maps[0, target], maps[1, target], maps[2, target] = u[inside], v[inside], 1
        seen_u, seen_v, cover = maps.reshape(3, *self.shape)
        turned = cv2.remap(
            rough.normals.astype(np.float32), seen_u * (COARSE[1] - 1), seen_v * (COARSE[0] - 1), cv2.INTER_LINEAR
        )
        return Cloth(seen_u, seen_v, cover, np.asarray(turned, np.float32))

    def lay(self, image: Image, light: Light, rng: np.random.Generator, *, shadow: float = 0.35) -> Map:
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
        below = part.astype(np.float32) / 255 * (1 - shadow * self._shadow(alpha, light))[..., None]
        result = below * (1 - soft[..., None]) + color
        part[:] = np.rint(np.clip(result, 0, 1) * 255).astype(np.uint8)
        return soft

    def reduce(self, values: Map) -> Map:
        """An array of fine pixels, averaged to the pixels of the window."""
        return np.asarray(cv2.resize(values, self.window.shape[::-1], interpolation=cv2.INTER_AREA), np.float32)

    def _shadow(self, alpha: Map, light: Light) -> Map:
        """What the drawing keeps from the light, 0 to 1: wide below it, tight all around."""
        size = float(np.sqrt(alpha.sum())) + 1
        away = -light.direction[:2] * 0.04 * size
        moved = cv2.warpAffine(alpha, np.array([[1, 0, away[0]], [0, 1, away[1]]]), alpha.shape[::-1])
        wide = blurred(np.asarray(moved, np.float32), 0.04 * size + 0.3)
        tight = blurred(alpha, 0.012 * size + 0.3)
        return np.asarray(np.clip(0.6 * wide + 0.4 * tight, 0, 1), np.float32)


def lambert(cloth: Cloth, slopes: tuple[Map, Map], axes: Floats, light: Light) -> Map:
    """Diffuse light (H, W) on folded cloth, 1 where it faces the camera flatly.

    Args:
        cloth: where it lies.
        slopes: (H, W) each, how far its folds turn the normal to the face's right and down.
        axes: of the face, see :attr:`Face.axes`.
        light: where it comes from.
    """
    towards = light.direction.astype(np.float32)
    right, down = axes[0].astype(np.float32), axes[1].astype(np.float32)
    facing = cloth.normals @ towards + slopes[0] * float(right @ towards) + slopes[1] * float(down @ towards)
    tilt = slopes[0] * (cloth.normals @ right) + slopes[1] * (cloth.normals @ down)
    length = np.sqrt(np.maximum(1 + 2 * tilt + slopes[0] ** 2 + slopes[1] ** 2, 0.1))
    straight = AMBIENT + (1 - AMBIENT) * max(float(-towards[2]), 0.3)
    return np.asarray((AMBIENT + (1 - AMBIENT) * np.clip(facing / length, 0, None)) / straight, np.float32)


def window_around(points: Floats, margin: float, image: Image) -> Window:
    """The part of an image around points (N, 2 or 3), widened by ``margin`` px and clipped."""
    size = np.array(image.shape[1::-1])
    low = np.clip(points[:, :2].min(axis=0) - margin, 0, size - 1).astype(int)
    high = np.clip(np.ceil(points[:, :2].max(axis=0) + margin), low + 1, size).astype(int)
    return Window(int(low[0]), int(low[1]), int(high[0]), int(high[1]))


def enlarge(values: Floats, shape: tuple[int, int]) -> Map:
    """An array of the window on the fine pixels of the canvas."""
    return np.asarray(cv2.resize(values.astype(np.float32), shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
