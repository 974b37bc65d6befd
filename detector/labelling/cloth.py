"""Where a cloth lies on a face, as a net of control points, and how it looks there, with its folds in the light."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from detector.labelling.canvas import Canvas
from detector.labelling.fabrics import Fabric, Weave
from detector.labelling.landmarks import MIRRORED, Face, Floats
from detector.labelling.light import Light, Map, Random

__all__ = ["Cut", "Worn", "net_of", "paint_cloth"]

Worn = Literal["properly", "under_nose", "on_chin"]

_Between = tuple[int, int, float]
"""Two landmarks of the left half (or of the middle line), and how far to go from the first to the second."""

TOPS: dict[Worn, tuple[_Between, _Between, _Between, _Between]] = {
    "properly": ((50, 123, 0.5), (101, 36, 0.15), (47, 126, 0.35), (6, 197, 0.7)),
    "under_nose": ((187, 147, 0.4), (205, 207, 0.6), (203, 206, 0.25), (2, 164, 0.4)),
    "on_chin": ((214, 135, 0.6), (212, 210, 0.7), (182, 204, 0.6), (17, 18, 0.75)),
}
"""The upper edge, from the side to the middle."""

BOTTOM = ((172, 136, 0.4), (150, 149, 0.2), (176, 148, 0.2), (152, 152, 0.0))
"""The lower edge, along the jaw."""

RIDGES: dict[Worn, tuple[_Between, _Between]] = {
    "properly": ((4, 4, 0.0), (4, 199, 0.55)),
    "under_nose": ((0, 13, 0.5), (17, 18, 0.8)),
    "on_chin": ((18, 200, 0.7), (199, 175, 0.5)),
}
"""What the middle of the cloth passes over between its two edges."""

AMBIENT = 0.6
"""Share of the light that comes from everywhere."""

ROWS, COLUMNS = 48, 65
"""A cloth is computed at this many points; between them it is straight."""


@dataclass(frozen=True)
class Cut:
    """The shape of a mask; lengths are shares of the face's height.

    Args:
        worn: where on the face.
        reach: of the upper corners towards the ears, 0 to 1.
        rise: how much higher than usual the upper edge lies.
        under: how far below the chin the lower edge lies.
        bulge: how far the middle stands off the mouth.
        round: 0.5 is a barrel, 1 is folded flat from the middle to the sides.
        ridge: a crease runs down the middle.
        waist: how much lower the upper corners are than the cheek bones.
        hem: how much higher the lower corners are than the jaw.
        tilt: how askew it is worn, radians.
    """

    worn: Worn = "properly"
    reach: float = 0.5
    rise: float = 0.0
    under: float = 0.03
    bulge: float = 0.06
    round: float = 0.65
    ridge: bool = False
    waist: float = 0.0
    hem: float = 0.0
    tilt: float = 0.0


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


def net_of(face: Face, cut: Cut) -> Floats:
    """Control points (4, 7, 3) of a mask: rows from its upper edge to its lower one, columns from left to right."""
    right, down, out = face.axes
    unit = face.height
    net = np.empty((4, 7, 3))
    for column, (top, bottom) in enumerate(zip(TOPS[cut.worn], BOTTOM, strict=True)):
        net[0, [column, -1 - column]] = _pair(face, top)
        net[3, [column, -1 - column]] = _pair(face, bottom)
    for row, ridge in enumerate(RIDGES[cut.worn], 1):
        net[row, 3] = _pair(face, ridge)[0] + out * unit * cut.bulge * (0.4, 1.0)[row - 1]
    if cut.worn == "properly":
        net[0, [0, -1]] += (_pair(face, (50, 123, 1.0)) - net[0, [0, -1]]) * (cut.reach - 0.5) * 2
    net[0] -= down * unit * cut.rise * np.array([0.2, 0.7, 0.8, 1, 0.8, 0.7, 0.2])[:, None]
    net[0, 3] += out * unit * 0.015
    net[0, [0, -1]] += down * unit * cut.waist
    net[3, [0, -1]] -= down * unit * cut.hem
    net[3] += (down - out * 0.4) * unit * cut.under * np.array([0.2, 0.6, 0.9, 1, 0.9, 0.6, 0.2])[:, None]
    for row, share in ((1, 1 / 3), (2, 2 / 3)):
        for column, side in ((0, -1), (-1, 1)):  # the sides bulge with the cheeks
            net[row, column] = net[0, column] * (1 - share) + net[3, column] * share + right * side * unit * 0.02
    for row in (1, 2):
        for column, share in ((1, 1 / 3), (2, 2 / 3)):
            for to, end in ((column, 0), (-1 - column, -1)):  # cloth stands out more, the rounder it is
                way = (net[row, 3] - net[row, end]) @ face.axes.T * (share, share, share**cut.round)
                net[row, to] = net[row, end] + way @ face.axes
    return _turned(net, cut.tilt, out)


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


def _pair(face: Face, between: _Between) -> Floats:
    """The point (2, 3) on the left half and its partner."""
    first, second, share = between
    starts, ends = face.points[[first, MIRRORED[first]]], face.points[[second, MIRRORED[second]]]
    return np.asarray(starts * (1 - share) + ends * share)


def _turned(net: Floats, angle: float, axis: Floats) -> Floats:
    """The net, turned around its middle (Rodrigues)."""
    center = net.mean(axis=(0, 1))
    offset = net - center
    along = (offset @ axis)[..., None] * axis
    turned = along + (offset - along) * np.cos(angle) + np.cross(axis, offset) * np.sin(angle)
    return np.asarray(center + turned)
