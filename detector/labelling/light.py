"""How a photographed face is lit, how sharp and how grainy it is: what is drawn on it must be the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from detector.labelling.landmarks import Face, Floats
from detector.media.images import Image

__all__ = ["Light", "Map", "Random", "Window", "blurred", "measure"]

Map = npt.NDArray[np.floating[Any]]
Random = np.random.Generator

SKIN = (50, 280, 101, 330, 205, 425, 36, 266, 10, 151, 9, 67, 297, 5, 4, 199, 207, 427)
"""Landmarks on bare skin."""

OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
"""The outline of the face, clockwise from the forehead."""

LUMA = (0.114, 0.587, 0.299)


@dataclass(frozen=True)
class Window:
    """The part of an image that is worked on, in pixels; right and bottom exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def around(cls, points: Floats, margin: float, image: Image) -> Window:
        """The part around points (N, 2 or 3), widened by ``margin`` px and clipped."""
        size = np.array(image.shape[1::-1])
        low = np.clip(points[:, :2].min(axis=0) - margin, 0, size - 1).astype(int)
        high = np.clip(np.ceil(points[:, :2].max(axis=0) + margin), low + 1, size).astype(int)
        return cls(int(low[0]), int(low[1]), int(high[0]), int(high[1]))

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.bottom - self.top, self.right - self.left

    def of(self, image: Image) -> Image:
        """The part itself, not a copy."""
        return image[self.top : self.bottom, self.left : self.right]


@dataclass(frozen=True, eq=False)
class Light:
    """How a face is lit and photographed.

    Args:
        direction: (3,), a unit vector towards the light, in the image's axes (z away from the camera).
        white: (3,), BGR, 0 to 1, of a white cloth there.
        skin: (3,), BGR, 0 to 1, of the face.
        shade: (H, W) of the window: the face's brightness in the large, around 1.
        blur: standard deviation of the picture's softness, px.
        grain: standard deviation of its noise, 0 to 1.
        grey: the picture has no colours.
    """

    direction: Floats
    white: Floats
    skin: Floats
    shade: Floats
    blur: float
    grain: float
    grey: bool


def measure(image: Image, face: Face, window: Window, rng: Random) -> Light:
    """The light on a face.

    Args:
        image: BGR uint8 (H, W, 3).
        face: its landmarks.
        window: the part of the image for which :attr:`Light.shade` is wanted.
        rng: varies what cannot be measured.
    """
    picture = window.of(image).astype(np.float64) / 255
    grey = picture @ LUMA
    hull = _hull(face, window)
    colors = _samples(image, face)
    skin = np.median(colors[list(SKIN)], axis=0)
    flat = picture.reshape(-1, 3)
    level = 0.5 * float(np.percentile(grey, 97)) + 0.5 * (float(skin @ LUMA) * 1.35 + 0.1)
    level = float(np.clip(level * rng.uniform(0.97, 1.15), min(skin.max() * 1.05, 0.9), 1.05))
    bright = flat[grey.ravel() >= np.percentile(grey, 90)].mean(axis=0)
    cast = (bright / max(bright.mean(), 1e-3)) ** 0.35
    return Light(
        direction=_direction(face, colors @ LUMA),
        white=np.clip(level * cast, 0, 1.05),
        skin=skin,
        shade=_shade(grey, hull),
        blur=_softness(grey, hull, face.height),
        grain=_noise(grey, hull),
        grey=bool(np.ptp(flat, axis=1).mean() < 0.012),
    )


def blurred(values: Map, sigma: float) -> Map:
    """An array (H, W), blurred by ``sigma`` px, on fewer pixels where that is much."""
    few = max(1, int(sigma / 3))
    if few == 1:
        return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma))
    size = values.shape[1], values.shape[0]
    small = cv2.resize(values, (max(1, size[0] // few), max(1, size[1] // few)), interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), sigma / few)
    return np.asarray(cv2.resize(soft, size, interpolation=cv2.INTER_LINEAR))


def _hull(face: Face, window: Window) -> Floats:
    """1 on the face, 0 elsewhere, (H, W)."""
    canvas = np.zeros(window.shape, np.uint8)
    outline = np.rint(face.points[list(OVAL), :2] - (window.left, window.top)).astype(np.int32)
    cv2.fillPoly(canvas, [outline], 1)
    return canvas.astype(np.float64)


def _samples(image: Image, face: Face) -> Floats:
    """The picture's colour at each landmark, (468, 3), 0 to 1, without fine detail."""
    height, width = image.shape[:2]
    low = np.clip(face.points[:, :2].min(axis=0) - 2, 0, (width - 1, height - 1)).astype(int)
    high = np.clip(face.points[:, :2].max(axis=0) + 3, low + 1, (width, height)).astype(int)
    soft = cv2.GaussianBlur(image[low[1] : high[1], low[0] : high[0]], (0, 0), 0.02 * face.height + 0.3)
    at = np.clip(np.rint(face.points[:, :2]).astype(int) - low, 0, high - low - 1)
    return np.asarray(soft[at[:, 1], at[:, 0]], np.float64) / 255


def _direction(face: Face, luma: Floats) -> Floats:
    """Towards the light: brightness of the skin against the normals of an ellipsoid, by least squares."""
    right, down, out = face.axes
    offset = face.points - face.middle(5, 152, 10, 234, 454)
    half = np.ptp(offset @ right) / 2 + 1e-6
    x = np.clip(offset @ right / half, -0.95, 0.95)
    y = np.clip(offset @ down / (face.height * 0.6), -0.95, 0.95)
    design = np.column_stack([np.ones_like(x), x, y])
    keep = (luma > np.percentile(luma, 15)) & (luma < np.percentile(luma, 97))  # no eyes, hair or highlights
    slope = np.linalg.lstsq(design[keep], luma[keep], rcond=None)[0]
    turn = np.clip(2.2 * slope[1:] / max(slope[0], 0.05), -0.9, 0.9)
    towards = right * turn[0] + down * (turn[1] - 0.25) + out  # light mostly comes from above
    return np.asarray(towards / np.linalg.norm(towards))


def _shade(grey: Floats, hull: Floats) -> Floats:
    """Brightness of the face relative to its mean, too blurred for lips and nostrils to show."""
    sigma = 0.14 * float(np.sqrt(hull.sum())) + 0.5
    soft = blurred(grey * hull, sigma) / np.maximum(blurred(hull, sigma), 1e-3)
    mean = float((soft * hull).sum() / max(hull.sum(), 1))
    return np.asarray(np.clip(soft / max(mean, 0.02), 0.55, 1.25) ** 0.8)


def _softness(grey: Floats, hull: Floats, height: float) -> float:
    """The blur of the picture's edges, px: how much their gradients shrink when they are blurred by one more pixel."""
    if not hull.any():
        return 0.7

    def energy(values: Floats) -> float:
        dy, dx = np.gradient(values)
        squared = np.asarray(dx**2 + dy**2)[hull > 0]
        return float(squared[squared >= np.quantile(squared, 0.7)].sum())

    ratio = energy(grey) / max(energy(np.asarray(cv2.GaussianBlur(grey, (0, 0), 1.0))), 1e-9)
    sigma = 1 / np.sqrt(max(ratio**2 - 1, 0.02))
    return float(np.clip(sigma, 0.35, max(0.022 * height, 0.5)))


def _noise(grey: Floats, hull: Floats) -> float:
    """Standard deviation of the noise, 0 to 1 (Immerkaer, "Fast Noise Variance Estimation", 1996), on the face."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float64)
    response = np.abs(np.asarray(cv2.filter2D(grey, -1, kernel)))[hull > 0]
    return float(min(np.median(response) / 0.6745 / 6, 0.04)) if len(response) else 0.005
