"""What masks are made of: colour and folds at each place of the cloth, drawn at random."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from detector.labelling.light import Map, Random

__all__ = ["Color", "Fabric", "Weave", "black", "cloth", "cotton", "ffp2", "line", "noise", "random_color", "surgical"]

Color = tuple[float, float, float]
"""BGR, 0 to 1."""

WHITE: Color = (0.96, 0.96, 0.96)

NON_WOVEN: dict[Color, int] = {
    (0.88, 0.78, 0.62): 6,
    (0.84, 0.72, 0.55): 6,
    (0.90, 0.83, 0.70): 5,
    WHITE: 3,
    (0.80, 0.84, 0.66): 2,
    (0.88, 0.80, 0.94): 1,
    (0.14, 0.13, 0.13): 3,
    (0.55, 0.38, 0.22): 1,
    (0.80, 0.62, 0.40): 2,
}
"""Colours of surgical masks, and how often each is taken."""


@dataclass(frozen=True, eq=False)
class Weave:
    """A cloth at each fine pixel: ``albedo`` (H, W, 3), 0 to 1; slopes (H, W) of its folds to the right and down."""

    albedo: Map
    slope_x: Map
    slope_y: Map


Fabric = Callable[[Map, Map, Random], Weave]
"""Draws the cloth at u, v (H, W), 0 to 1 from left to right and from the upper edge down."""


def line(distance: Map, width: float) -> Map:
    """1 on a line, falling off softly to 0 at about twice ``width``."""
    return np.asarray(np.exp(-((distance / width) ** 2)), np.float32)


def random_color(rng: Random, saturation: tuple[float, float], value: tuple[float, float]) -> Color:
    """A colour of any hue."""
    hsv = np.array([[[rng.uniform(0, 360), rng.uniform(*saturation), rng.uniform(*value)]]], np.float32)
    blue, green, red = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0].tolist()
    return blue, green, red


def noise(u: Map, rng: Random, size: float) -> Map:
    """Soft noise (H, W) of mean 0 and deviation 1, wider than high; ``size`` is a share of the cloth's width."""
    sigma = max(size * _width(u), 0.5)
    few = max(1, int(sigma / 2))  # coarse noise is drawn coarsely
    rough = rng.normal(0, 1, (u.shape[0] // few + 2, u.shape[1] // few + 2))
    rough = np.asarray(cv2.GaussianBlur(rough, (0, 0), sigma / few, sigmaY=sigma / few / 1.8), np.float64)
    fine = cv2.resize(rough / max(float(rough.std()), 1e-6), u.shape[::-1], interpolation=cv2.INTER_CUBIC)
    return np.asarray(fine, np.float32)


def surgical(rng: Random) -> tuple[Fabric, Color]:
    """Pleated non-woven, and its ear loops: folds that open towards the middle, welded edges, a wire over the nose."""
    chances = np.array(list(NON_WOVEN.values()))
    base = list(NON_WOVEN)[int(rng.choice(len(chances), p=chances / chances.sum()))]
    blue, green, red = np.clip(np.array(base) * rng.uniform(0.95, 1.04, 3), 0, 1).tolist()
    color: Color = (blue, green, red)
    places = (0.3, 0.5, 0.7) if rng.random() < 0.8 else (0.4, 0.6)
    folds = sorted(rng.uniform(-0.04, 0.04) + place for place in places)
    crumple, depth = rng.uniform(0.05, 0.2), rng.uniform(0.5, 1.0)

    def fabric(u: Map, v: Map, rng: Random) -> Weave:
        weave = _crumpled(u, color, rng, crumple)
        albedo, slope_y = weave.albedo, weave.slope_y
        opened = 0.35 + 0.65 * np.abs(2 * u - 1)
        for fold in folds:
            bow = fold + 0.06 * (1 - (2 * u - 1) ** 2) * (fold - 0.35)
            albedo *= (1 - 0.28 * depth * opened * line(v - bow - 0.012, 0.012))[..., None]
            slope_y -= 0.5 * depth * opened * line(v - bow + 0.03, 0.03)
        slope_y += 0.5 * line(v - 0.07, 0.018) - 0.5 * line(v - 0.11, 0.018)
        edge = _edge(u, v)
        albedo *= (1 - 0.12 * line(edge - 0.045, 0.01) + 0.05 * line(edge, 0.03))[..., None]
        return weave

    return fabric, WHITE if rng.random() < 0.8 else color


def ffp2(rng: Random) -> tuple[Fabric, Color]:
    """Stiff respirator, and its straps: folded down its middle, dotted welds, sometimes a valve or a print."""
    kinds = (WHITE, (0.9, 0.9, 0.9), (0.13, 0.12, 0.12), (0.5, 0.48, 0.47), (0.90, 0.82, 0.72))
    color = kinds[int(rng.choice(len(kinds), p=(0.62, 0.16, 0.12, 0.04, 0.06)))]
    valve = (rng.choice((0.3, 0.7)), rng.uniform(0.5, 0.62)) if rng.random() < 0.3 else None
    wire, printed = rng.random() < 0.6, rng.random() < 0.4
    welded = rng.uniform(0.1, 0.22) > 0.15

    def fabric(u: Map, v: Map, rng: Random) -> Weave:
        weave = _crumpled(u, color, rng, 0.06, 0.08)
        albedo, slope_y = weave.albedo, weave.slope_y
        albedo *= (1 - 0.16 * line(u - 0.5, 0.008))[..., None]
        edge = _edge(u, v)
        dots = 0.5 + 0.5 * np.cos(2 * np.pi * 45 * np.where(edge == np.minimum(v, 1 - v), u, v))
        albedo *= (1 - 0.2 * dots * line(edge - 0.05, 0.01))[..., None]
        side = np.abs(2 * u - 1)
        albedo *= (1 - 0.1 * dots * line(side - (0.55 + 0.3 * (2 * v - 1) ** 2), 0.012) * welded)[..., None]
        if wire:
            slope_y += 0.6 * line(v - 0.04, 0.015) * (side < 0.3) - 0.6 * line(v - 0.09, 0.015) * (side < 0.3)
            albedo *= (1 - 0.08 * (line(v - 0.06, 0.03) * (side < 0.3)))[..., None]
        if printed:
            above = (np.sin(u * 260) > 0.2) & (np.abs(v - 0.42) < 0.02)
            below = (np.sin(u * 310) > 0) & (np.abs(v - 0.48) < 0.016)
            albedo[(above | below) & (np.abs(u - 0.28) < 0.09)] *= 0.6
        if valve is not None:
            _valve(weave, u - valve[0], (v - valve[1]) * 0.75)
        return weave

    return fabric, WHITE if rng.random() < 0.7 else (0.2, 0.3, 0.75) if rng.random() < 0.3 else (0.15, 0.15, 0.15)


def cloth(rng: Random) -> tuple[Fabric, Color]:
    """Cotton and loops of one colour."""
    color = random_color(rng, (0.0, 0.75), (0.25, 0.9))
    return cotton(color, rng, seam=rng.random() < 0.5, folds=rng.uniform(0.1, 0.35)), color


def black(rng: Random) -> tuple[Fabric, Color]:
    """Black cotton and loops."""
    level = rng.uniform(0.07, 0.16)
    color = (level * rng.uniform(1, 1.1), level, level)
    return cotton(color, rng, seam=rng.random() < 0.6, folds=rng.uniform(0.05, 0.35)), color


def cotton(color: Color, rng: Random, *, seam: bool, folds: float) -> Fabric:
    """Sewn cotton of one colour, with hems and perhaps a seam down the middle."""
    grain = rng.uniform(0.0, 0.05)
    hem_at = rng.uniform(0.05, 0.08)

    def fabric(u: Map, v: Map, rng: Random) -> Weave:
        weave = _crumpled(u, color, rng, folds, 0.06)
        albedo = weave.albedo
        albedo *= (1 + grain * rng.standard_normal(u.shape, np.float32))[..., None]
        albedo *= (1 - 0.25 * line(_edge(u, v) - hem_at, 0.008))[..., None]
        if seam:
            albedo *= (1 - 0.3 * line(u - 0.5, 0.007))[..., None]
        return weave

    return fabric


def _crumpled(u: Map, color: Color, rng: Random, strength: float, size: float = 0.05) -> Weave:
    """A softly crumpled cloth of one colour; ``size`` of its folds is a share of its width."""
    slope_y, slope_x = np.gradient(noise(u, rng, size) * (strength * size * _width(u)))
    albedo = np.broadcast_to(np.array(color, np.float32), (*u.shape, 3)).copy()
    return Weave(albedo, -slope_x.astype(np.float32), -slope_y.astype(np.float32))


def _valve(weave: Weave, x: Map, y: Map) -> None:
    """A round outlet, in place: a raised rim and slots."""
    albedo, slope_x, slope_y = weave.albedo, weave.slope_x, weave.slope_y
    radius = np.hypot(x, y)
    rim = line(radius - 0.075, 0.012)
    slope_x += rim * np.sign(x) * 0.5
    slope_y += rim * np.sign(y) * 0.5
    albedo[(radius < 0.06) & (np.sin(y * 420) > 0)] *= 0.75
    albedo *= (1 - 0.25 * line(radius - 0.09, 0.008))[..., None]


def _edge(u: Map, v: Map) -> Map:
    """Distance (H, W) from the nearest edge of the cloth."""
    return np.asarray(np.minimum(np.minimum(u, 1 - u) * 1.3, np.minimum(v, 1 - v)), np.float32)


def _width(u: Map) -> float:
    """Of the cloth, fine pixels."""
    return float((u > 0).any(axis=0).sum()) or 1.0
