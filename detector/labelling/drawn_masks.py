"""Puts a mask on a face, properly or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from detector.labelling.canvas import Canvas, Map, enlarge, lambert, window_around
from detector.labelling.cuts import Cut, Worn, net_of
from detector.labelling.fabrics import Color, Fabric, cotton, ffp2, random_color, surgical
from detector.labelling.landmarks import Corners, Face, Floats
from detector.labelling.light import Light, measure
from detector.labelling.prints import printed
from detector.media.images import Image

__all__ = ["STYLES", "WORN_WRONGLY", "Drawn", "add_mask", "drawn", "paint_cloth"]

WORN_WRONGLY: tuple[Worn, ...] = ("under_nose", "on_chin")

Random = np.random.Generator


@dataclass(frozen=True)
class Style:
    """A kind of mask.

    Args:
        sew: its cloth and the colour of its ear loops, at random.
        cut: its shape, at random, for a way to wear it.
    """

    sew: Callable[[Random], tuple[Fabric, Color]]
    cut: Callable[[Random, Worn], Cut]


@dataclass(frozen=True)
class Drawn:
    """What was drawn.

    Args:
        extent: the pixels that it covers.
        covered: share of those of the face's landmarks between mouth and nose that it covers, 0 to 1.
    """

    extent: Corners
    covered: float


def add_mask(image: Image, face: Face, style: str, worn: Worn, rng: Random) -> Drawn:
    """Draw a mask onto a face, in place.

    Args:
        image: BGR uint8 (H, W, 3).
        face: where it is.
        style: a key of :data:`STYLES`.
        worn: how.
        rng: of colours, shape, folds and grain.
    """
    cut = STYLES[style].cut(rng, worn)
    fabric, loops = STYLES[style].sew(rng)
    net = net_of(face, cut)
    anchors = _anchors(face)
    window = window_around(np.concatenate([net.reshape(-1, 3), anchors.reshape(-1, 3)]), 0.12 * face.height, image)
    light = measure(image, face, window, rng)
    canvas = Canvas(window, face.height)
    _hang(canvas, net, anchors, np.asarray(loops) * light.white, face)
    cloth = paint_cloth(canvas, net, fabric, face, light, rng, ridge=cut.ridge)
    canvas.lay(image, light, rng, shadow=float(rng.uniform(0.2, 0.45)))
    return drawn(canvas.reduce(cloth), canvas, face)


def paint_cloth(
    canvas: Canvas, net: Floats, fabric: Fabric, face: Face, light: Light, rng: Random, *, ridge: bool = False
) -> Map:
    """Paint the cloth through control points ``net`` on the canvas, lit; returns where it is, in fine pixels."""
    cloth = canvas.rasterise(net, ridge=ridge)
    weave = fabric(cloth.u, cloth.v, rng)
    lit = lambert(cloth, (weave.slope_x, weave.slope_y), face.axes, light)
    lit *= enlarge(light.shade, canvas.shape)
    canvas.over(weave.albedo * (lit[..., None] * light.white.astype(np.float32)), cloth.cover)
    return cloth.cover


def drawn(cover: Map, canvas: Canvas, face: Face) -> Drawn:
    """What a drawing that covers ``cover`` (H, W) of the canvas' window does to a face."""
    rows, columns = np.flatnonzero((cover > 0.3).any(axis=1)), np.flatnonzero((cover > 0.3).any(axis=0))
    left, top = canvas.window.left, canvas.window.top
    if not len(rows):
        return Drawn((left, top, left, top), 0.0)
    low, high = (left + float(columns[0]), top + float(rows[0])), (left + columns[-1] + 1.0, top + rows[-1] + 1.0)
    points = face.points[[0, 2, 13, 14, 17, 61, 291, 18], :2] - (left, top)
    at = np.clip(points.astype(int), 0, np.array(cover.shape[::-1]) - 1)
    return Drawn((*low, *high), float((cover[at[:, 1], at[:, 0]] > 0.5).mean()))


def _anchors(face: Face) -> Floats:
    """Where the ear loops end, (2 sides, 2 loops, 3): above and below, behind the ears' fronts."""
    right, down, out = face.axes
    unit = face.height
    ends = np.empty((2, 2, 3))
    for side, (ear, lower, sign) in enumerate(((234, 93, -1), (454, 323, 1))):
        outwards = right * sign * 0.035 * unit - out * 0.06 * unit
        ends[side, 0] = face.points[ear] + outwards - down * 0.02 * unit
        ends[side, 1] = face.points[lower] + outwards * 0.8
    return ends


def _hang(canvas: Canvas, net: Floats, anchors: Floats, color: Floats, face: Face) -> None:
    """Ear loops from the corners of the mask; one behind the head is not seen."""
    out = face.axes[2]
    cover = np.zeros(canvas.shape, np.float32)
    for side, column in enumerate((0, -1)):
        outwards = face.axes[0] * (-1, 1)[side]
        if outwards[2] > 0.55 or (outwards + 0.3 * out)[2] > 0.5:
            continue  # this ear is on the far side
        for loop, (row, inner) in enumerate(((0, 1), (-1, -2))):
            corner = net[row, column] * 0.93 + net[inner, column] * 0.07
            end = anchors[side, loop]
            sag = face.axes[1] * face.height * 0.015 * (1 if loop == 0 else -1)
            share = np.linspace(0, 1, 16)[:, None]
            curve = corner * (1 - share) + end * share + sag * (4 * share * (1 - share))
            cover = np.maximum(cover, canvas.stroke(curve, max(face.height * 0.016, 0.7)))
    canvas.over(color, cover)


def _surgical_cut(rng: Random, worn: Worn) -> Cut:
    return Cut(
        worn, reach=rng.uniform(0.25, 0.7), rise=rng.uniform(-0.03, 0.02), under=rng.uniform(0.0, 0.05),
        bulge=rng.uniform(0.03, 0.09), round=rng.uniform(0.5, 0.7), waist=rng.uniform(-0.02, 0.03),
        hem=rng.uniform(-0.02, 0.05), tilt=rng.normal(0, 0.03),
    )  # fmt: skip


def _ffp2_cut(rng: Random, worn: Worn) -> Cut:
    return Cut(
        worn, reach=rng.uniform(0.5, 0.95), rise=rng.uniform(-0.02, 0.03), under=rng.uniform(0.01, 0.06),
        bulge=rng.uniform(0.1, 0.18), round=rng.uniform(0.75, 1.0), ridge=True, waist=rng.uniform(0.0, 0.05),
        hem=rng.uniform(0.02, 0.09), tilt=rng.normal(0, 0.03),
    )  # fmt: skip


def _cloth_cut(rng: Random, worn: Worn) -> Cut:
    return Cut(
        worn, reach=rng.uniform(0.4, 1.0), rise=rng.uniform(-0.03, 0.03), under=rng.uniform(0.0, 0.06),
        bulge=rng.uniform(0.03, 0.1), round=rng.uniform(0.6, 0.9), ridge=rng.random() < 0.4,
        waist=rng.uniform(-0.02, 0.04), hem=rng.uniform(0.0, 0.07), tilt=rng.normal(0, 0.03),
    )  # fmt: skip


def _cloth(rng: Random) -> tuple[Fabric, Color]:
    color = random_color(rng, (0.0, 0.75), (0.25, 0.9))
    return cotton(color, rng, seam=rng.random() < 0.5, folds=rng.uniform(0.1, 0.35)), color


def _black(rng: Random) -> tuple[Fabric, Color]:
    level = rng.uniform(0.07, 0.16)
    color = (level * rng.uniform(1, 1.1), level, level)
    return cotton(color, rng, seam=rng.random() < 0.6, folds=rng.uniform(0.05, 0.35)), color


STYLES: Mapping[str, Style] = {
    "surgical": Style(surgical, _surgical_cut),
    "cloth": Style(_cloth, _cloth_cut),
    "ffp2": Style(ffp2, _ffp2_cut),
    "black": Style(_black, _cloth_cut),
    "patterned": Style(printed, _cloth_cut),
}
