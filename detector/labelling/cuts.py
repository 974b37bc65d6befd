"""Where a cloth lies on a face: a net of control points from its landmarks, and the smooth surface through them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from detector.labelling.landmarks import MIRRORED, Face, Floats

__all__ = ["Cut", "Surface", "Worn", "drape", "net_of"]

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

COLUMNS, ROWS = 7, 4


@dataclass(frozen=True)
class Cut:
    """The shape of a mask.

    Args:
        worn: where on the face.
        reach: of the upper corners towards the ears, 0 to 1.
        rise: how much higher than usual the upper edge lies, as a share of the face's height.
        under: how far below the chin the lower edge lies, as a share of the face's height.
        bulge: how far the middle stands off the mouth, as a share of the face's height.
        round: 0.5 is a barrel, 1 is folded flat from the middle to the sides.
        ridge: a crease runs down the middle.
        waist: how much lower the upper corners are than the cheek bones, as a share of the face's height.
        hem: how much higher the lower corners are than the jaw, as a share of the face's height.
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
class Surface:
    """A piece of cloth in space.

    Args:
        points: (rows, columns, 3), pixels of the image; z grows away from the camera.
        normals: (rows, columns, 3), unit vectors out of the cloth.
    """

    points: Floats
    normals: Floats


def net_of(face: Face, cut: Cut) -> Floats:
    """Control points (4, 7, 3) of a mask: rows from its upper edge to its lower one, columns from left to right."""
    right, down, out = face.axes
    unit = face.height
    net = np.empty((ROWS, COLUMNS, 3))
    for column, (top, bottom) in enumerate(zip(TOPS[cut.worn], BOTTOM, strict=True)):
        net[0, [column, -1 - column]] = _pair(face, top)
        net[3, [column, -1 - column]] = _pair(face, bottom)
    for row, ridge in enumerate(RIDGES[cut.worn], 1):
        net[row, 3] = _pair(face, ridge)[0] + out * unit * cut.bulge * (0.4, 1.0)[row - 1]
    if cut.worn == "properly":
        for column, side in ((0, -1), (-1, 1)):
            edge = _pair(face, (50, 123, 1.0))[0 if side < 0 else 1]
            net[0, column] += (edge - net[0, column]) * (cut.reach - 0.5) * 2
    net[0] -= down * unit * cut.rise * np.array([0.2, 0.7, 0.8, 1, 0.8, 0.7, 0.2])[:, None]
    net[0, 3] += out * unit * 0.015
    net[0, [0, -1]] += down * unit * cut.waist
    net[3, [0, -1]] -= down * unit * cut.hem
    net[3] += (down - out * 0.4) * unit * cut.under * np.array([0.2, 0.6, 0.9, 1, 0.9, 0.6, 0.2])[:, None]
    for column, side in ((0, -1), (-1, 1)):  # the sides bulge with the cheeks
        for row, share in ((1, 1 / 3), (2, 2 / 3)):
            net[row, column] = net[0, column] * (1 - share) + net[3, column] * share + right * side * unit * 0.02
    for row in (1, 2):
        for column, share in ((1, 1 / 3), (2, 2 / 3)):
            for to, end in ((column, 0), (-1 - column, -1)):
                net[row, to] = _tent(net[row, end], net[row, 3], share, cut.round, face.axes)
    return _turned(net, cut.tilt, out)


def drape(net: Floats, samples: tuple[int, int], *, ridge: bool = False) -> Surface:
    """The smooth surface through control points.

    Args:
        net: (rows, columns, 3).
        samples: how many rows and columns of points.
        ridge: a crease runs down the middle column.
    """
    rows, columns = samples
    across = _spline(net.shape[1], columns, crease=net.shape[1] // 2 if ridge else None)
    points = np.einsum("cj,rjk->rck", across, np.einsum("ri,ijk->rjk", _spline(net.shape[0], rows), net))
    along_u, along_v = np.gradient(points, axis=1), np.gradient(points, axis=0)
    outwards = -np.cross(along_u, along_v)
    outwards /= np.maximum(np.linalg.norm(outwards, axis=2, keepdims=True), 1e-9)
    return Surface(points, outwards)


def _pair(face: Face, between: _Between) -> Floats:
    """The point (2, 3) on the left half and its partner."""
    first, second, share = between
    left = face.points[first] * (1 - share) + face.points[second] * share
    partner = face.points[MIRRORED[first]] * (1 - share) + face.points[MIRRORED[second]] * share
    return np.stack([left, partner])


def _tent(side: Floats, middle: Floats, share: float, roundness: float, axes: Floats) -> Floats:
    """A point of cloth stretched from the side to the middle: it stands out more, the rounder it is."""
    way = (middle - side) @ axes.T * (share, share, share**roundness)
    return np.asarray(side + way @ axes)


def _turned(net: Floats, angle: float, axis: Floats) -> Floats:
    """The net, turned around its middle (Rodrigues)."""
    center = net.mean(axis=(0, 1))
    offset = net - center
    along = (offset @ axis)[..., None] * axis
    turned = along + (offset - along) * np.cos(angle) + np.cross(axis, offset) * np.sin(angle)
    return np.asarray(center + turned)


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
