"""What masks are sewn from: colour and folds of each fabric, as functions of the place on the mask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Color = tuple[float, float, float]


@dataclass(frozen=True)
class Weave:
    """A fabric at each point of the mask: ``albedo`` (H, W, 3) 0 to 1, slopes ``(H, W)`` towards +x and +y."""

    albedo: Array
    slope_x: Array
    slope_y: Array


@dataclass(frozen=True)
class _Fabric:
    """A kind of mask.

    Args:
        weave: its fabric at u, v (both (H, W): 0 to 1 from left to right, from top to bottom), with random wrinkles.
        loops: colour of its ear loops, BGR, 0 to 1.
    """

    weave: Callable[[Array, Array, np.random.Generator], Weave]
    loops: Color


def _line(distance: Array, width: float) -> Array:
    """1 on a line, falling off softly to 0 at about twice ``width``."""
    return np.asarray(np.exp(-((distance / width) ** 2)))


def _plain(shape: tuple[int, ...], color: Color) -> Array:
    return np.broadcast_to(np.array(color, np.float64), (*shape, 3)).copy()


def _wrinkles(shape: tuple[int, ...], rng: np.random.Generator, strength: float) -> tuple[Array, Array]:
    """Slopes of a softly crumpled cloth."""
    sigma = 0.045 * shape[1]
    noise = np.asarray(cv2.GaussianBlur(rng.normal(0, 1, shape), (0, 0), sigma, sigmaY=sigma / 2.5), np.float64)
    slope_y, slope_x = np.gradient(noise * (strength * sigma / noise.std()))
    return -slope_x, -slope_y


def _surgical(u: Array, v: Array, rng: np.random.Generator) -> Weave:
    """Pleated light-blue non-woven: three folds that open towards the middle, welded edges, a wire over the nose."""
    slope_x, slope_y = _wrinkles(u.shape, rng, 0.09)
    albedo = _plain(u.shape, (0.86, 0.76, 0.62))
    opened = 0.35 + 0.65 * np.abs(2 * u - 1)
    for fold in (0.3, 0.5, 0.7):
        bow = fold + 0.05 * (1 - (2 * u - 1) ** 2) * (fold - 0.35)
        albedo *= (1 - 0.3 * opened * _line(v - bow - 0.012, 0.012))[..., None]
        slope_y -= 0.5 * opened * _line(v - bow + 0.03, 0.03)
    slope_y += 0.5 * _line(v - 0.07, 0.018) - 0.5 * _line(v - 0.11, 0.018)
    edge = np.minimum(np.minimum(u, 1 - u) * 1.2, np.minimum(v, 1 - v))
    albedo *= (1 - 0.12 * _line(edge - 0.045, 0.008) + 0.06 * _line(edge, 0.03))[..., None]
    return Weave(albedo, slope_x, slope_y)


def _ffp2(u: Array, v: Array, rng: np.random.Generator) -> Weave:
    """Stiff white respirator, folded down its middle, with a dotted weld around it."""
    slope_x, slope_y = _wrinkles(u.shape, rng, 0.05)
    albedo = _plain(u.shape, (0.95, 0.95, 0.95))
    slope_x += 0.55 * np.tanh((u - 0.5) * 14) - 0.5 * (2 * u - 1)
    albedo *= (1 - 0.14 * _line(u - 0.5, 0.008))[..., None]
    edge = np.minimum(np.minimum(u, 1 - u), np.minimum(v, 1 - v))
    dots = 0.5 + 0.5 * np.cos(2 * np.pi * 45 * np.where(np.minimum(u, 1 - u) < np.minimum(v, 1 - v), v, u))
    albedo *= (1 - 0.15 * dots * _line(edge - 0.05, 0.01))[..., None]
    return Weave(albedo, slope_x, slope_y)


def _cloth(u: Array, v: Array, rng: np.random.Generator, color: Color) -> Weave:
    """Sewn cotton with a seam down the middle and a hem."""
    slope_x, slope_y = _wrinkles(u.shape, rng, 0.22)
    albedo = _plain(u.shape, color)
    albedo *= (1 + 0.05 * rng.normal(0, 1, u.shape))[..., None]
    slope_x += 0.3 * np.tanh((u - 0.5) * 12) - 0.25 * (2 * u - 1)
    hem = np.minimum(np.minimum(u, 1 - u), np.minimum(v, 1 - v))
    albedo *= (1 - 0.3 * _line(u - 0.5, 0.006) - 0.25 * _line(hem - 0.06, 0.007))[..., None]
    return Weave(albedo, slope_x, slope_y)


def _black_cloth(u: Array, v: Array, rng: np.random.Generator) -> Weave:
    return _cloth(u, v, rng, (0.115, 0.1, 0.1))


def _dotted_cloth(u: Array, v: Array, rng: np.random.Generator) -> Weave:
    """Dark red cotton with white dots in staggered rows."""
    weave = _cloth(u, v, rng, (0.2, 0.16, 0.5))
    row = np.floor(v * 8)
    distance = np.hypot((u * 12 + row % 2 / 2) % 1 - 0.5, v * 8 % 1 - 0.5)
    weave.albedo[distance < 0.24] = (0.82, 0.84, 0.85)
    return weave


FABRICS = {
    "surgical": _Fabric(_surgical, (0.95, 0.94, 0.92)),
    "ffp2": _Fabric(_ffp2, (0.95, 0.95, 0.95)),
    "black_cloth": _Fabric(_black_cloth, (0.13, 0.12, 0.12)),
    "dotted_cloth": _Fabric(_dotted_cloth, (0.13, 0.12, 0.12)),
}
