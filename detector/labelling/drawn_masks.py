"""Puts a mask on a face, properly or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from detector.labelling.canvas import Canvas, Drawn
from detector.labelling.cloth import paint_cloth
from detector.labelling.cuts import Cut, Worn, net_of
from detector.labelling.fabrics import Color, Fabric, black, cloth, ffp2, surgical
from detector.labelling.landmarks import Face, Floats
from detector.labelling.light import Map, Random, Window, measure
from detector.labelling.prints import printed
from detector.media.images import Image

__all__ = ["STYLES", "add_mask"]


@dataclass(frozen=True)
class _Style:
    """A kind of mask.

    Args:
        sew: its cloth and the colour of its ear loops, at random.
        cut: its shape, at random, worn properly.
    """

    sew: Callable[[Random], tuple[Fabric, Color]]
    cut: Callable[[Random], Cut]


def add_mask(image: Image, face: Face, style: str, worn: Worn, rng: Random) -> Drawn:
    """Draw a mask onto a face, in place.

    Args:
        image: BGR uint8 (H, W, 3).
        face: where it is.
        style: a key of :data:`STYLES`.
        worn: how.
        rng: of colours, shape, folds and grain.
    """
    cut = replace(STYLES[style].cut(rng), worn=worn)
    fabric, loops = STYLES[style].sew(rng)
    net = net_of(face, cut)
    anchors = _anchors(face)
    window = Window.around(np.concatenate([net.reshape(-1, 3), anchors.reshape(-1, 3)]), 0.12 * face.height, image)
    light = measure(image, face, window, rng)
    canvas = Canvas(window, face.height)
    canvas.over(np.asarray(loops) * light.white, _loops(canvas, net, anchors, face))
    cover = paint_cloth(canvas, net, fabric, face, light, rng, ridge=cut.ridge)
    canvas.lay(image, light, rng, shadow=float(rng.uniform(0.2, 0.45)))
    return canvas.drawn(canvas.reduce(cover), face)


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


def _loops(canvas: Canvas, net: Floats, anchors: Floats, face: Face) -> Map:
    """Coverage of the ear loops from the corners of the mask; one behind the head is not seen."""
    right, down, out = face.axes
    cover = np.zeros(canvas.shape, np.float32)
    for side, column in enumerate((0, -1)):
        outwards = right * (-1, 1)[side]
        if outwards[2] > 0.55 or (outwards + 0.3 * out)[2] > 0.5:
            continue  # this ear is on the far side
        for loop, (row, inner) in enumerate(((0, 1), (-1, -2))):
            corner = net[row, column] * 0.93 + net[inner, column] * 0.07
            sag = down * face.height * 0.015 * (1 if loop == 0 else -1)
            share = np.linspace(0, 1, 16)[:, None]
            curve = corner * (1 - share) + anchors[side, loop] * share + sag * (4 * share * (1 - share))
            cover = np.maximum(cover, canvas.stroke(curve, max(face.height * 0.016, 0.7)))
    return cover


def _surgical_cut(rng: Random) -> Cut:
    return Cut(
        reach=rng.uniform(0.25, 0.7),
        rise=rng.uniform(-0.03, 0.02),
        under=rng.uniform(0.0, 0.05),
        bulge=rng.uniform(0.03, 0.09),
        round=rng.uniform(0.5, 0.7),
        waist=rng.uniform(-0.02, 0.03),
        hem=rng.uniform(-0.02, 0.05),
        tilt=rng.normal(0, 0.03),
    )


def _ffp2_cut(rng: Random) -> Cut:
    return Cut(
        reach=rng.uniform(0.5, 0.95),
        rise=rng.uniform(-0.02, 0.03),
        under=rng.uniform(0.01, 0.06),
        bulge=rng.uniform(0.1, 0.18),
        round=rng.uniform(0.75, 1.0),
        ridge=True,
        waist=rng.uniform(0.0, 0.05),
        hem=rng.uniform(0.02, 0.09),
        tilt=rng.normal(0, 0.03),
    )


def _cloth_cut(rng: Random) -> Cut:
    return Cut(
        reach=rng.uniform(0.4, 1.0),
        rise=rng.uniform(-0.03, 0.03),
        under=rng.uniform(0.0, 0.06),
        bulge=rng.uniform(0.03, 0.1),
        round=rng.uniform(0.6, 0.9),
        ridge=rng.random() < 0.4,
        waist=rng.uniform(-0.02, 0.04),
        hem=rng.uniform(0.0, 0.07),
        tilt=rng.normal(0, 0.03),
    )


STYLES: Mapping[str, _Style] = {
    "surgical": _Style(surgical, _surgical_cut),
    "cloth": _Style(cloth, _cloth_cut),
    "ffp2": _Style(ffp2, _ffp2_cut),
    "black": _Style(black, _cloth_cut),
    "patterned": _Style(printed, _cloth_cut),
}
