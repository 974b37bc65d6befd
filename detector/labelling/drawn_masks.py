"""Puts a mask on a face, properly or not, or what hides a mouth and is no mask: a hand, a scarf, a bandana, a cup."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from detector.labelling.canvas import Canvas, Drawn
from detector.labelling.cloth import Cut, Worn, net_of, paint_cloth
from detector.labelling.fabrics import Color, Fabric, black, cloth, ffp2, surgical
from detector.labelling.hands import add_cup, add_hand
from detector.labelling.landmarks import Face, Floats
from detector.labelling.light import Map, Random, Window, measure
from detector.labelling.prints import draped, knitted, printed
from detector.media.images import Image

__all__ = ["CONFUSERS", "STYLES", "add_mask"]

SHARES = np.linspace(-1, 1, 7)
"""The columns of a net, from left to right."""


_Range = tuple[float, float]


@dataclass(frozen=True)
class _Shape:
    """Between what the lengths of a :class:`Cut` are drawn, and the chance that it has a ridge."""

    reach: _Range
    rise: _Range
    under: _Range
    bulge: _Range
    round: _Range
    ridge: float
    waist: _Range
    hem: _Range

    def cut(self, worn: Worn, rng: Random) -> Cut:
        return Cut(
            worn,
            reach=rng.uniform(*self.reach),
            rise=rng.uniform(*self.rise),
            under=rng.uniform(*self.under),
            bulge=rng.uniform(*self.bulge),
            round=rng.uniform(*self.round),
            ridge=rng.random() < self.ridge if 0 < self.ridge < 1 else self.ridge == 1,
            waist=rng.uniform(*self.waist),
            hem=rng.uniform(*self.hem),
            tilt=rng.normal(0, 0.03),
        )


def add_mask(image: Image, face: Face, style: str, worn: Worn, rng: Random) -> Drawn:
    """Draw a mask onto a face, in place.

    Args:
        image: BGR uint8 (H, W, 3).
        face: where it is.
        style: a key of :data:`STYLES`.
        worn: how.
        rng: of colours, shape, folds and grain.
    """
    sew, shape = STYLES[style]
    cut = shape.cut(worn, rng)
    fabric, loops = sew(rng)
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


FLAT = _Shape((0.25, 0.7), (-0.03, 0.02), (0.0, 0.05), (0.03, 0.09), (0.5, 0.7), 0, (-0.02, 0.03), (-0.02, 0.05))
STIFF = _Shape((0.5, 0.95), (-0.02, 0.03), (0.01, 0.06), (0.1, 0.18), (0.75, 1.0), 1, (0.0, 0.05), (0.02, 0.09))
SEWN = _Shape((0.4, 1.0), (-0.03, 0.03), (0.0, 0.06), (0.03, 0.1), (0.6, 0.9), 0.4, (-0.02, 0.04), (0.0, 0.07))

STYLES: Mapping[str, tuple[Callable[[Random], tuple[Fabric, Color]], _Shape]] = {
    "surgical": (surgical, FLAT),
    "cloth": (cloth, SEWN),
    "ffp2": (ffp2, STIFF),
    "black": (black, SEWN),
    "patterned": (printed, SEWN),
}
"""What sews the cloth of a mask and its ear loops, and its shape."""


def _scarf(image: Image, face: Face, rng: Random) -> Drawn:
    """Wound around the neck and drawn up over the mouth, mostly over the nose too."""
    right, down, out = face.axes
    unit = face.height
    high = rng.random() < 0.65
    net = net_of(face, Cut("properly" if high else "under_nose", rise=rng.uniform(-0.1, 0.0), bulge=0.05, round=0.6))
    for column, side, ear in ((0, -1, 93), (-1, 1, 323)):
        net[0, column] = face.points[ear] + right * side * unit * 0.04 + down * unit * rng.uniform(0.0, 0.1)
    low = face.points[152] + down * unit * rng.uniform(0.4, 0.8) - out * unit * 0.15
    half = np.linalg.norm(face.points[454] - face.points[234]) * rng.uniform(0.55, 0.85)
    for column, share in enumerate(SHARES):
        net[3, column] = low + right * share * half - down * unit * 0.15 * share**2 - out * unit * 0.1 * share**2
        for row, fall in ((1, 0.3), (2, 0.6)):
            net[row, column] = net[3, column] * fall + net[0, column] * (1 - fall)
            net[row, column] += (out * 0.12 + right * share * 0.02) * unit * (1 - share**2 * 0.5)
    return _cover(image, face, net, knitted(rng) if rng.random() < 0.5 else draped(rng), rng)


def _bandana(image: Image, face: Face, rng: Random) -> Drawn:
    """A kerchief tied behind the head, its corner hanging over the chin."""
    right, down, out = face.axes
    unit = face.height
    net = net_of(face, Cut("properly", rise=rng.uniform(-0.05, 0.02), bulge=0.03, round=0.6))
    for column, side, ear, jaw in ((0, -1, 234, 132), (-1, 1, 454, 361)):
        net[0, column] = face.points[ear] + right * side * unit * 0.03 + down * unit * 0.04
        net[3, column] = face.points[jaw] + right * side * unit * 0.02
        net[1:3, column] = net[0, column] + (net[3, column] - net[0, column]) * np.array([[0.33], [0.67]])
    tip = rng.uniform(0.3, 0.6)
    for column, share in enumerate(SHARES[1:-1], 1):
        net[3, column] += down * unit * tip * (1 - abs(share)) - out * unit * 0.05
        net[2, column] += down * unit * tip * 0.3 * (1 - abs(share))
    return _cover(image, face, net, printed(rng)[0] if rng.random() < 0.7 else draped(rng), rng)


def _cover(image: Image, face: Face, net: Floats, fabric: Fabric, rng: Random) -> Drawn:
    """Lay a cloth through control points ``net`` over the face."""
    window = Window.around(net.reshape(-1, 3), 0.1 * face.height, image)
    light = measure(image, face, window, rng)
    canvas = Canvas(window, face.height)
    paint_cloth(canvas, net, fabric, face, light, rng)
    return canvas.drawn(canvas.lay(image, light, rng, shadow=float(rng.uniform(0.25, 0.5))), face)


CONFUSERS: Mapping[str, Callable[[Image, Face, Random], Drawn]] = {
    "hand": add_hand,
    "scarf": _scarf,
    "bandana": _bandana,
    "cup": add_cup,
}
"""Each hides the mouth of a face behind itself, in place: image (BGR uint8, (H, W, 3)), face, what varies."""
