"""Draws face masks onto photographed faces: fabric stretched over a hand-measured outline and lit like the face.

Everything is done at four times the photograph's scale and averaged down, so that edges
and stitches are as soft as the photograph's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from _sample.fabrics import FABRICS, Array, Weave
from detector.media.images import Image

Points = Sequence[Sequence[float]]

SUPERSAMPLING = 4


@dataclass(frozen=True)
class Outline:
    """Where a worn mask ends, in pixels of the photograph; left and right are the image's.

    Args:
        top: from the left cheek over the nose to the right cheek.
        bottom: from the left jaw under the chin to the right jaw.
        left: points of the left edge between the two, from top to bottom.
        right: points of the right edge between the two, from top to bottom.
        loops: ear loops as curves, each from the mask to the ear.
    """

    top: Points
    bottom: Points
    left: Points
    right: Points
    loops: Sequence[Points]


@dataclass(frozen=True)
class Light:
    """How a photograph is lit.

    Args:
        direction: towards the light: x to the right, y down, z to the camera.
        white: BGR, 0 to 1, of a white cloth that faces the light.
        grain: standard deviation of the film's or sensor's grain, 0 to 1.
        blur: standard deviation of the lens' softness, px.
    """

    direction: Sequence[float]
    white: Sequence[float]
    grain: float
    blur: float


def paint_mask(image: Image, outline: Outline, fabric: str, light: Light, seed: int) -> Image:
    """Put a mask on a face.

    Args:
        image: BGR uint8 (H, W, 3).
        outline: where the mask ends.
        fabric: a key of :data:`FABRICS`.
        light: how the photograph is lit.
        seed: of wrinkles and grain; the same seed draws the same mask.

    Returns:
        A new image of the same shape.
    """
    rng = np.random.default_rng(seed)
    left, top, right, bottom = _window(outline, image.shape)
    face = image[top:bottom, left:right].astype(np.float64) / 255
    u, v, cloth = _unfold(outline, (left, top), face.shape)
    loops = _draw_loops(outline, (left, top), face.shape)
    weave = FABRICS[fabric].weave(u, v, rng)
    shade = _lambert(weave, u, v, light) * _enlarge(_face_shade(face, _reduce(cloth)))
    lit = weave.albedo * shade[..., None]
    layer = np.where(cloth[..., None] > 0, lit, np.array(FABRICS[fabric].loops))
    alpha = np.maximum(cloth, loops)
    colors = _reduce(layer * alpha[..., None]) / np.maximum(_reduce(alpha), 1e-4)[..., None] * np.array(light.white)
    colors += cv2.GaussianBlur(rng.normal(0, light.grain, face.shape[:2]), (0, 0), 0.6)[..., None]
    soft = cv2.GaussianBlur(_reduce(alpha), (0, 0), light.blur)[..., None]
    colors = cv2.GaussianBlur(colors, (0, 0), light.blur)
    result = face * _contact_shadow(_reduce(cloth), _reduce(loops), light) * (1 - soft) + colors * soft
    painted = image.copy()
    painted[top:bottom, left:right] = np.rint(np.clip(result, 0, 1) * 255).astype(np.uint8)
    return painted


def _window(outline: Outline, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the part of the image that the mask, its loops and its shadow touch."""
    points = np.array([*outline.top, *outline.bottom, *(p for loop in outline.loops for p in loop)])
    margin = 0.15 * np.ptp(points[:, 0])
    left, top = np.maximum(points.min(0) - margin, 0).astype(int).tolist()
    right, bottom = np.minimum(points.max(0) + margin, (shape[1], shape[0])).astype(int).tolist()
    return left, top, right, bottom


def _curve(points: Points, samples: int) -> Array:
    """A smooth curve through the points, (samples, 2): cubic Hermite over the chord length."""
    knots = np.array(points, np.float64)
    at = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))])
    at /= at[-1]
    tangents = np.gradient(knots, at, axis=0)
    t = np.linspace(0, 1, samples)
    i = np.clip(np.searchsorted(at, t, side="right") - 1, 0, len(at) - 2)
    width = (at[i + 1] - at[i])[:, None]
    s = ((t - at[i])[:, None]) / width
    start, end = knots[i], knots[i + 1]
    bend = s * (1 - s) ** 2 * width * tangents[i] - s**2 * (1 - s) * width * tangents[i + 1]
    return np.asarray(start + (end - start) * s**2 * (3 - 2 * s) + bend)


def _unfold(outline: Outline, origin: tuple[int, int], shape: tuple[int, ...]) -> tuple[Array, Array, Array]:
    """Fabric coordinates of each supersampled pixel: u from left to right, v from top to bottom, and coverage 0 or 1.

    A Coons patch spans the four edges; it is sampled more densely than the pixels lie, so that no pixel is left out.
    """
    height, width = shape[0] * SUPERSAMPLING, shape[1] * SUPERSAMPLING
    nu, nv = width * 3 // 2, height * 3 // 2
    top, bottom = _curve(outline.top, nu)[None], _curve(outline.bottom, nu)[None]
    left = _curve((outline.top[0], *outline.left, outline.bottom[0]), nv)[:, None]
    right = _curve((outline.top[-1], *outline.right, outline.bottom[-1]), nv)[:, None]
    u, v = np.meshgrid(np.linspace(0, 1, nu), np.linspace(0, 1, nv))
    u_, v_ = u[..., None], v[..., None]
    across, down = (1 - u_) * left + u_ * right, (1 - v_) * top + v_ * bottom
    patch = across + down - ((1 - u_) * down[:, :1] + u_ * down[:, -1:])
    # The dents that glasses and nose press into the upper edge must not run through the whole fabric.
    patch -= (top - _parabola(top[0])) * ((1 - v_) - (1 - v_) ** 3)
    x, y = np.floor((patch - origin) * SUPERSAMPLING).astype(np.intp).transpose(2, 0, 1)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    maps = np.zeros((3, height, width))
    maps[0, y[inside], x[inside]] = u[inside]
    maps[1, y[inside], x[inside]] = v[inside]
    maps[2, y[inside], x[inside]] = 1
    return maps[0], maps[1], maps[2]


def _parabola(curve: Array) -> Array:
    """The parabola (1, samples, 2) nearest to a curve, through (almost) the same ends."""
    t = np.linspace(-1, 1, len(curve))
    weights = np.where(np.abs(t) < 1, 1, len(curve))
    fits = [np.polyval(np.polyfit(t, curve[:, axis], 2, w=weights), t) for axis in (0, 1)]
    return np.stack(fits, axis=-1)[None]


def _draw_loops(outline: Outline, origin: tuple[int, int], shape: tuple[int, ...]) -> Array:
    """Coverage of the ear loops, supersampled, 0 or 1."""
    canvas = np.zeros((shape[0] * SUPERSAMPLING, shape[1] * SUPERSAMPLING), np.uint8)
    span = abs(outline.top[-1][0] - outline.top[0][0]) * SUPERSAMPLING
    for loop in outline.loops:
        path = np.rint((_curve(loop, 40) - origin) * SUPERSAMPLING).astype(np.int32)
        cv2.polylines(canvas, [path], isClosed=False, color=255, thickness=max(3, round(span * 0.017)))
    return canvas.astype(np.float64) / 255


def _lambert(weave: Weave, u: Array, v: Array, light: Light) -> Array:
    """Diffuse shading of the bulging, folded fabric, 1 where it faces the light."""
    nx, ny = 0.75 * (2 * u - 1) + weave.slope_x, 0.5 * (2 * v - 0.8) + weave.slope_y
    direction = np.array(light.direction) / np.linalg.norm(light.direction)
    facing = (nx * direction[0] + ny * direction[1] + direction[2]) / np.sqrt(nx**2 + ny**2 + 1)
    shade = 0.4 + 0.6 * np.clip(facing, 0, None)
    return np.asarray(shade / np.percentile(shade[v > 0], 85))


def _face_shade(face: Array, cloth: Array) -> Array:
    """Brightness of the face under the mask relative to its mean, too blurred for lips and nostrils to show."""
    grey = face @ (0.114, 0.587, 0.299)
    sigma = 0.12 * float(np.sqrt(cloth.sum()))
    blurred = cv2.GaussianBlur(grey * cloth, (0, 0), sigma) / np.maximum(cv2.GaussianBlur(cloth, (0, 0), sigma), 1e-3)
    mean = (blurred * cloth).sum() / cloth.sum()
    return np.asarray(np.clip(blurred / mean, 0.6, 1.25) ** 0.7)


def _contact_shadow(cloth: Array, loops: Array, light: Light) -> Array:
    """What the mask leaves of the light on the face around it, (H, W, 1), 0 to 1."""
    size = float(np.sqrt(cloth.sum()))
    shift = np.array([[1, 0, -light.direction[0] * 0.03 * size], [0, 1, 0.03 * size]])
    shadow = cv2.warpAffine(cloth, shift, cloth.shape[::-1])
    wide = cv2.GaussianBlur(shadow, (0, 0), 0.05 * size)
    tight = cv2.GaussianBlur(loops, (0, 0), 0.015 * size + 0.5)
    return np.asarray(1 - np.clip(0.4 * wide + 0.45 * tight, 0, 0.8))[..., None]


def _reduce(array: Array) -> Array:
    size = array.shape[1] // SUPERSAMPLING, array.shape[0] // SUPERSAMPLING
    return np.asarray(cv2.resize(array, size, interpolation=cv2.INTER_AREA), np.float64)


def _enlarge(array: Array) -> Array:
    size = array.shape[1] * SUPERSAMPLING, array.shape[0] * SUPERSAMPLING
    return np.asarray(cv2.resize(array, size, interpolation=cv2.INTER_LINEAR), np.float64)
