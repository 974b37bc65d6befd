"""What masks and scarves are made of: colour and folds at each place of the cloth, drawn at random."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from detector.labelling.canvas import Map

__all__ = ["WHITE", "Color", "Fabric", "Weave", "cotton", "ffp2", "line", "noise", "random_color", "surgical"]

Color = tuple[float, float, float]
"""BGR, 0 to 1."""

WHITE: Color = (0.96, 0.96, 0.96)


@dataclass(frozen=True, eq=False)
class Weave:
    """A cloth at each fine pixel: ``albedo`` (H, W, 3), 0 to 1; slopes (H, W) of its folds to the right and down."""

    albedo: Map
    slope_x: Map
    slope_y: Map


Fabric = Callable[[Map, Map, np.random.Generator], Weave]
"""Draws the cloth at u, v (H, W), 0 to 1 from left to right and from the upper edge down."""


def line(distance: Map, width: float) -> Map:
    """1 on a line, falling off softly to 0 at about twice ``width``."""
    return np.asarray(np.exp(-((distance / width) ** 2)), np.float32)


def random_color(rng: np.random.Generator, saturation: tuple[float, float], value: tuple[float, float]) -> Color:
    """A colour of any hue."""
    hsv = np.array([[[rng.uniform(0, 360), rng.uniform(*saturation), rng.uniform(*value)]]], np.float32)
    blue, green, red = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0].tolist()
    return blue, green, red


def _plain(u: Map, color: Color) -> Map:
    return np.broadcast_to(np.array(color, np.float32), (*u.shape, 3)).copy()


def _wrinkles(u: Map, rng: np.random.Generator, strength: float, size: float = 0.05) -> tuple[Map, Map]:
    """Slopes of a softly crumpled cloth; ``size`` of its folds is a share of its width."""
    crumpled = noise(u, rng, size)
    slope_y, slope_x = np.gradient(crumpled * (strength * size * _width(u)))
    return -slope_x.astype(np.float32), -slope_y.astype(np.float32)


def noise(u: Map, rng: np.random.Generator, size: float) -> Map:
    """Soft noise (H, W) of mean 0 and deviation 1, wider than high."""
    sigma = max(size * _width(u), 0.5)
    few = max(1, int(sigma / 2))  # coarse noise is drawn coarsely
    shape = (u.shape[0] // few + 2, u.shape[1] // few + 2)
    rough = np.asarray(
        cv2.GaussianBlur(rng.normal(0, 1, shape), (0, 0), sigma / few, sigmaY=sigma / few / 1.8), np.float64
    )
    fine = cv2.resize(rough / max(float(rough.std()), 1e-6), u.shape[::-1], interpolation=cv2.INTER_CUBIC)
    return np.asarray(fine, np.float32)


def _width(u: Map) -> float:
    """Of the cloth, fine pixels."""
    columns = np.flatnonzero((u > 0).any(axis=0))
    return float(len(columns)) if len(columns) else 1.0


def _edge(u: Map, v: Map) -> Map:
    return np.asarray(np.minimum(np.minimum(u, 1 - u) * 1.3, np.minimum(v, 1 - v)), np.float32)


def surgical(rng: np.random.Generator) -> tuple[Fabric, Color]:
    """Pleated non-woven: folds that open towards the middle, welded edges, a wire over the nose."""
    colors: tuple[Color, ...] = (
        *((0.88, 0.78, 0.62), (0.84, 0.72, 0.55), (0.90, 0.83, 0.70), WHITE, (0.80, 0.84, 0.66)),
        *((0.88, 0.80, 0.94), (0.14, 0.13, 0.13), (0.55, 0.38, 0.22), (0.80, 0.62, 0.40)),
    )
    chances = np.array([6, 6, 5, 3, 2, 1, 3, 1, 2])
    base = colors[int(rng.choice(len(colors), p=chances / chances.sum()))]
    blue, green, red = np.clip(np.array(base) * rng.uniform(0.95, 1.04, 3), 0, 1).tolist()
    color: Color = (blue, green, red)
    folds = sorted(
        rng.uniform(-0.04, 0.04) + place for place in ((0.3, 0.5, 0.7) if rng.random() < 0.8 else (0.4, 0.6))
    )
    crumple, depth = rng.uniform(0.05, 0.2), rng.uniform(0.5, 1.0)

    def fabric(u: Map, v: Map, rng: np.random.Generator) -> Weave:
        slope_x, slope_y = _wrinkles(u, rng, crumple)
        albedo = _plain(u, color)
        opened = 0.35 + 0.65 * np.abs(2 * u - 1)
        for fold in folds:
            bow = fold + 0.06 * (1 - (2 * u - 1) ** 2) * (fold - 0.35)
            albedo *= (1 - 0.28 * depth * opened * line(v - bow - 0.012, 0.012))[..., None]
            slope_y -= 0.5 * depth * opened * line(v - bow + 0.03, 0.03)
        slope_y += 0.5 * line(v - 0.07, 0.018) - 0.5 * line(v - 0.11, 0.018)
        edge = _edge(u, v)
        albedo *= (1 - 0.12 * line(edge - 0.045, 0.01) + 0.05 * line(edge, 0.03))[..., None]
        return Weave(albedo, slope_x, slope_y)

    return fabric, WHITE if rng.random() < 0.8 else color


def ffp2(rng: np.random.Generator) -> tuple[Fabric, Color]:
    """Stiff respirator: folded down its middle, dotted welds, sometimes a valve or a print."""
    kinds = (WHITE, (0.9, 0.9, 0.9), (0.13, 0.12, 0.12), (0.5, 0.48, 0.47), (0.90, 0.82, 0.72))
    color = kinds[int(rng.choice(len(kinds), p=(0.62, 0.16, 0.12, 0.04, 0.06)))]
    valve = (rng.choice((0.3, 0.7)), rng.uniform(0.5, 0.62)) if rng.random() < 0.3 else None
    wire, printed = rng.random() < 0.6, rng.random() < 0.4
    welds = rng.uniform(0.1, 0.22)

    def fabric(u: Map, v: Map, rng: np.random.Generator) -> Weave:
        slope_x, slope_y = _wrinkles(u, rng, 0.06, 0.08)
        albedo = _plain(u, color)
        albedo *= (1 - 0.16 * line(u - 0.5, 0.008))[..., None]
        edge = _edge(u, v)
        dots = 0.5 + 0.5 * np.cos(2 * np.pi * 45 * np.where(edge == np.minimum(v, 1 - v), u, v))
        albedo *= (1 - 0.2 * dots * line(edge - 0.05, 0.01))[..., None]
        side = np.abs(2 * u - 1)
        albedo *= (1 - 0.1 * dots * line(side - (0.55 + 0.3 * (2 * v - 1) ** 2), 0.012) * (welds > 0.15))[..., None]
        if wire:
            bar = line(v - 0.06, 0.03) * (side < 0.3)
            slope_y += 0.6 * line(v - 0.04, 0.015) * (side < 0.3) - 0.6 * line(v - 0.09, 0.015) * (side < 0.3)
            albedo *= (1 - 0.08 * bar)[..., None]
        if printed:
            above = (np.sin(u * 260) > 0.2) & (np.abs(v - 0.42) < 0.02)
            below = (np.sin(u * 310) > 0) & (np.abs(v - 0.48) < 0.016)
            albedo[(above | below) & (np.abs(u - 0.28) < 0.09)] *= 0.6
        if valve is not None:
            _valve(albedo, slope_x, slope_y, u - valve[0], (v - valve[1]) * 0.75)
        return Weave(albedo, slope_x, slope_y)

    return fabric, WHITE if rng.random() < 0.7 else (0.2, 0.3, 0.75) if rng.random() < 0.3 else (0.15, 0.15, 0.15)


def _valve(albedo: Map, slope_x: Map, slope_y: Map, x: Map, y: Map) -> None:
    """A round outlet, in place: a raised rim and slots."""
    radius = np.hypot(x, y)
    rim = line(radius - 0.075, 0.012)
    slope_x += rim * np.sign(x) * 0.5
    slope_y += rim * np.sign(y) * 0.5
    slots = (radius < 0.06) & (np.sin(y * 420) > 0)
    albedo[slots] *= 0.75
    albedo *= (1 - 0.25 * line(radius - 0.09, 0.008))[..., None]


def cotton(color: Color, rng: np.random.Generator, *, seam: bool, folds: float) -> Fabric:
    """Sewn cotton of one colour, with hems and perhaps a seam down the middle."""
    grain = rng.uniform(0.0, 0.05)
    hem_at = rng.uniform(0.05, 0.08)

    def fabric(u: Map, v: Map, rng: np.random.Generator) -> Weave:
        slope_x, slope_y = _wrinkles(u, rng, folds, 0.06)
        albedo = _plain(u, color)
        albedo *= (1 + grain * rng.standard_normal(u.shape, np.float32))[..., None]
        edge = _edge(u, v)
        albedo *= (1 - 0.25 * line(edge - hem_at, 0.008))[..., None]
        if seam:
            albedo *= (1 - 0.3 * line(u - 0.5, 0.007))[..., None]
        return Weave(albedo, slope_x, slope_y)

    return fabric
