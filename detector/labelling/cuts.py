"""Where a cloth lies on a face: a net of control points from its landmarks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from detector.labelling.landmarks import MIRRORED, Face, Floats

__all__ = ["Cut", "Worn", "net_of"]

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
