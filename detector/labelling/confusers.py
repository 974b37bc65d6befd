"""What hides a mouth and is no mask: a hand, a scarf, a bandana, a cup."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from detector.labelling.canvas import Canvas, Map, window_around
from detector.labelling.cuts import Cut, net_of
from detector.labelling.drawn_masks import Drawn, drawn, paint_cloth
from detector.labelling.fabrics import Fabric, Weave, cotton, line, noise, random_color
from detector.labelling.hands import add_cup, add_hand
from detector.labelling.landmarks import Face, Floats
from detector.labelling.light import measure
from detector.labelling.prints import printed
from detector.media.images import Image

__all__ = ["CONFUSERS", "add_confuser"]

Random = np.random.Generator


def add_confuser(image: Image, face: Face, kind: str, rng: Random) -> Drawn:
    """Hide a mouth behind something that is no mask, in place.

    Args:
        image: BGR uint8 (H, W, 3).
        face: where it is.
        kind: a key of :data:`CONFUSERS`.
        rng: of everything that varies.
    """
    cover, canvas = CONFUSERS[kind](image, face, rng)
    return drawn(cover, canvas, face)


def _scarf(image: Image, face: Face, rng: Random) -> tuple[Map, Canvas]:
    """Wound around the neck and drawn up over the mouth, mostly over the nose too."""
    right, down, out = face.axes
    unit = face.height
    high = rng.random() < 0.65
    net = net_of(face, Cut("properly" if high else "under_nose", rise=rng.uniform(-0.1, 0.0), bulge=0.05, round=0.6))
    for column, side, ear in ((0, -1, 93), (-1, 1, 323)):
        net[0, column] = face.points[ear] + right * side * unit * 0.04 + down * unit * rng.uniform(0.0, 0.1)
    low = face.points[152] + down * unit * rng.uniform(0.4, 0.8) - out * unit * 0.15
    half = np.linalg.norm(face.points[454] - face.points[234]) * rng.uniform(0.55, 0.85)
    for column, share in enumerate(np.linspace(-1, 1, 7)):
        net[3, column] = low + right * share * half - down * unit * 0.15 * share**2 - out * unit * 0.1 * share**2
        for row, fall in ((1, 0.3), (2, 0.6)):
            net[row, column] = net[3, column] * fall + net[0, column] * (1 - fall)
            net[row, column] += (out * 0.12 + right * share * 0.02) * unit * (1 - share**2 * 0.5)
    return _cover(image, face, net, _wool(rng) if rng.random() < 0.5 else _drape(rng), rng)


def _bandana(image: Image, face: Face, rng: Random) -> tuple[Map, Canvas]:
    """A kerchief tied behind the head, its corner hanging over the chin."""
    right, down, out = face.axes
    unit = face.height
    net = net_of(face, Cut("properly", rise=rng.uniform(-0.05, 0.02), bulge=0.03, round=0.6))
    for column, side, ear, jaw in ((0, -1, 234, 132), (-1, 1, 454, 361)):
        net[0, column] = face.points[ear] + right * side * unit * 0.03 + down * unit * 0.04
        net[3, column] = face.points[jaw] + right * side * unit * 0.02
        net[1:3, column] = net[0, column] + (net[3, column] - net[0, column]) * np.array([[0.33], [0.67]])
    tip = rng.uniform(0.3, 0.6)
    for column, share in enumerate(np.linspace(-1, 1, 7)[1:-1], 1):
        net[3, column] += down * unit * tip * (1 - abs(share)) - out * unit * 0.05
        net[2, column] += down * unit * tip * 0.3 * (1 - abs(share))
    fabric = printed(rng)[0] if rng.random() < 0.7 else _drape(rng)
    return _cover(image, face, net, fabric, rng)


def _cover(image: Image, face: Face, net: Floats, fabric: Fabric, rng: Random) -> tuple[Map, Canvas]:
    window = window_around(net.reshape(-1, 3), 0.1 * face.height, image)
    light = measure(image, face, window, rng)
    canvas = Canvas(window, face.height)
    paint_cloth(canvas, net, fabric, face, light, rng)
    return canvas.lay(image, light, rng, shadow=float(rng.uniform(0.25, 0.5))), canvas


def _drape(rng: Random) -> Fabric:
    """Thin cloth in long folds that hang from side to side."""
    cloth = cotton(random_color(rng, (0.0, 0.7), (0.12, 0.9)), rng, seam=False, folds=rng.uniform(0.1, 0.3))
    count, depth, sag = rng.uniform(4, 9), rng.uniform(0.3, 0.7), rng.uniform(0.1, 0.35)

    def fabric(u: Map, v: Map, rng: Random) -> Weave:
        weave = cloth(u, v, rng)
        phase = (v - sag * (1 - (2 * u - 1) ** 2) * v + 0.02 * noise(u, rng, 0.15)) * count * 2 * np.pi
        weave.slope_y[...] += depth * np.cos(phase)
        shade = 1 - 0.18 * (0.5 + 0.5 * np.sin(phase + 0.8))
        return Weave(np.asarray(weave.albedo * shade[..., None], np.float32), weave.slope_x, weave.slope_y)

    return fabric


def _wool(rng: Random) -> Fabric:
    """Thick knitted rows, plain or striped."""
    base, other = (random_color(rng, (0.0, 0.8), (0.12, 0.9)) for _ in range(2))
    rows, stripes = rng.uniform(25, 45), rng.uniform(2, 6) if rng.random() < 0.4 else 0.0
    folds = _drape(rng)

    def fabric(u: Map, v: Map, rng: Random) -> Weave:
        weave = folds(u, v, rng)
        shade = weave.albedo.mean(axis=2, keepdims=True) / max(float(weave.albedo.mean()), 1e-3)
        second = ((v * stripes) % 1 < 0.5)[..., None] & (stripes > 0)
        albedo = np.where(second, np.array(other, np.float32), np.array(base, np.float32)) * np.clip(shade, 0.5, 1.2)
        stitch = np.abs((u * rows * 1.3 + 0.3 * np.abs((v * rows) % 1 - 0.5)) % 1 - 0.5)
        albedo = albedo * (1 - 0.3 * line(stitch, 0.2))[..., None]
        return Weave(np.asarray(albedo, np.float32), weave.slope_x, weave.slope_y)

    return fabric


CONFUSERS: Mapping[str, Callable[[Image, Face, Random], tuple[Map, Canvas]]] = {
    "hand": add_hand,
    "scarf": _scarf,
    "bandana": _bandana,
    "cup": add_cup,
}
