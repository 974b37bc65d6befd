"""What hides a mouth and is no mask: a hand, a scarf, a bandana, a cup."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from detector.labelling.canvas import Canvas, Drawn
from detector.labelling.cloth import paint_cloth
from detector.labelling.cuts import Cut, net_of
from detector.labelling.fabrics import Fabric
from detector.labelling.hands import add_cup, add_hand
from detector.labelling.landmarks import Face, Floats
from detector.labelling.light import Random, Window, measure
from detector.labelling.prints import draped, knitted, printed
from detector.media.images import Image

__all__ = ["CONFUSERS"]

SHARES = np.linspace(-1, 1, 7)
"""The columns of a net, from left to right."""


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
