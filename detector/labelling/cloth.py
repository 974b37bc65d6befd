"""Spreads a cloth over a net of control points and paints it on a canvas, with its folds in the picture's light."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from detector.labelling.canvas import Canvas
from detector.labelling.fabrics import Fabric, Weave
from detector.labelling.landmarks import Face, Floats
from detector.labelling.light import Light, Map, Random

__all__ = ["paint_cloth"]

AMBIENT = 0.6
"""Share of the light that comes from everywhere."""

ROWS, COLUMNS = 48, 65
"""A cloth is computed at this many points; between them it is straight."""


@dataclass(frozen=True, eq=False)
class _Cloth:
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


def paint_cloth(
    canvas: Canvas, net: Floats, fabric: Fabric, face: Face, light: Light, rng: Random, *, ridge: bool = False
) -> Map:
    """Paint the cloth through control points on the canvas; returns where it is, (H, W) in fine pixels.

    Args:
        canvas: to paint on.
        net: (rows, columns, 3), px of the image.
        fabric: what it is made of.
        face: that it lies on.
        light: where it comes from.
        rng: of the fabric.
        ridge: a crease runs down the middle column.
    """
    cloth = _rasterise(canvas, net, ridge=ridge)
    weave = fabric(cloth.u, cloth.v, rng)
    lit = _lambert(cloth, weave, face.axes, light) * canvas.enlarge(light.shade)
    canvas.over(weave.albedo * (lit[..., None] * light.white.astype(np.float32)), cloth.cover)
    return cloth.cover


def _rasterise(canvas: Canvas, net: Floats, *, ridge: bool) -> _Cloth:
    """Where each fine pixel lies on the cloth; near hides far."""
    across = _spline(net.shape[1], COLUMNS, crease=net.shape[1] // 2 if ridge else None)
    points = np.einsum("cj,rjk->rck", across, np.einsum("ri,ijk->rjk", _spline(net.shape[0], ROWS), net))
    normals = -np.cross(np.gradient(points, axis=1), np.gradient(points, axis=0))
    normals /= np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-9)
    span = [np.linalg.norm(np.diff(points[..., :2], axis=axis), axis=2).sum(axis).max() for axis in (0, 1)]
    rows, columns = (int(np.ceil(1.6 * length * canvas.fine)) + 8 for length in span)
    depth = np.interp(np.linspace(0, COLUMNS - 1, columns), np.arange(COLUMNS), points[..., 2].mean(axis=0))
    order = np.argsort(-depth, kind="stable").astype(np.float32)
    at_u, at_v = order / (columns - 1), np.linspace(0, 1, rows, dtype=np.float32)
    place = canvas.place(points).astype(np.float32)
    # From far to near columns: of several assignments to one pixel the last one stays.
    u, v = np.meshgrid(at_u, at_v, indexing="ij")
    spots = cv2.remap(place, u * (COLUMNS - 1), v * (ROWS - 1), cv2.INTER_LINEAR)
    x, y = np.floor(spots).astype(np.int32).transpose(2, 0, 1)
    inside = (x >= 0) & (x < canvas.shape[1]) & (y >= 0) & (y < canvas.shape[0])
    target = (y * canvas.shape[1] + x)[inside]
    maps = np.zeros((3, canvas.shape[0] * canvas.shape[1]), np.float32)
    maps[0, target], maps[1, target], maps[2, target] = u[inside], v[inside], 1
    seen_u, seen_v, cover = maps.reshape(3, *canvas.shape)
    turned = cv2.remap(normals.astype(np.float32), seen_u * (COLUMNS - 1), seen_v * (ROWS - 1), cv2.INTER_LINEAR)
    return _Cloth(seen_u, seen_v, cover, np.asarray(turned, np.float32))


def _lambert(cloth: _Cloth, weave: Weave, axes: Floats, light: Light) -> Map:
    """Diffuse light (H, W) on folded cloth, 1 where it faces the camera flatly; ``axes`` are those of the face."""
    towards = light.direction.astype(np.float32)
    right, down = axes[0].astype(np.float32), axes[1].astype(np.float32)
    slope_x, slope_y = weave.slope_x, weave.slope_y
    facing = cloth.normals @ towards + slope_x * float(right @ towards) + slope_y * float(down @ towards)
    tilt = slope_x * (cloth.normals @ right) + slope_y * (cloth.normals @ down)
    length = np.sqrt(np.maximum(1 + 2 * tilt + slope_x**2 + slope_y**2, 0.1))
    straight = AMBIENT + (1 - AMBIENT) * max(float(-towards[2]), 0.3)
    return np.asarray((AMBIENT + (1 - AMBIENT) * np.clip(facing / length, 0, None)) / straight, np.float32)


def _spline(knots: int, samples: int, crease: int | None = None) -> Floats:
    """Weights (samples, knots) of a cubic Hermite curve through equally spaced knots; it may have a corner at one."""
    tangents = np.gradient(np.eye(knots), axis=0)
    t = np.linspace(0, knots - 1, samples)
    i = np.minimum(t.astype(int), knots - 2)
    s = (t - i)[:, None]
    eye = np.eye(knots)
    starts, ends = tangents[i].copy(), tangents[i + 1].copy()
    if crease is not None:
        ends[i == crease - 1] = eye[crease] - eye[crease - 1]
        starts[i == crease] = eye[crease + 1] - eye[crease]
    bend = s * (1 - s) ** 2 * starts - s**2 * (1 - s) * ends
    return np.asarray(eye[i] + (eye[i + 1] - eye[i]) * s**2 * (3 - 2 * s) + bend)
