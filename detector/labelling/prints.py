"""Printed cotton: dots, stripes, checks, flowers, camouflage, leaves of two colours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from detector.labelling.canvas import Map
from detector.labelling.fabrics import Color, Fabric, Weave, cotton, noise, random_color

__all__ = ["printed"]

Pattern = Callable[[Map, Map, np.random.Generator], Map]
"""How much of the second colour (H, W), 0 to 1, is at each place."""


def printed(rng: np.random.Generator) -> tuple[Fabric, Color]:
    """Cotton with a random print in random colours, and the colour of its ear loops."""
    dark = rng.random() < 0.5
    ground = random_color(rng, (0.1, 0.8), (0.1, 0.5) if dark else (0.6, 0.95))
    ink = random_color(rng, (0.0, 0.8), (0.65, 0.95) if dark else (0.1, 0.6))
    other = random_color(rng, (0.3, 0.9), (0.2, 0.95))
    pattern = PATTERNS[int(rng.integers(len(PATTERNS)))](rng)
    spots = _dots(rng) if rng.random() < 0.3 else None
    cloth = cotton(ground, rng, seam=rng.random() < 0.5, folds=rng.uniform(0.1, 0.3))

    def fabric(u: Map, v: Map, rng: np.random.Generator) -> Weave:
        weave = cloth(u, v, rng)
        share = pattern(u, v, rng)[..., None]
        albedo = weave.albedo * (1 - share) + np.array(ink, np.float32) * share
        if spots is not None:
            share = spots(u, v, rng)[..., None]
            albedo = albedo * (1 - share) + np.array(other, np.float32) * share
        return Weave(np.asarray(albedo, np.float32), weave.slope_x, weave.slope_y)

    return fabric, ground if rng.random() < 0.5 else (0.12, 0.12, 0.12)


def _dots(rng: np.random.Generator) -> Pattern:
    rows, size = rng.uniform(4, 12), rng.uniform(0.15, 0.35)

    def pattern(u: Map, v: Map, _rng: np.random.Generator) -> Map:
        row = np.floor(v * rows)
        distance = np.hypot((u * rows * 1.5 + row % 2 / 2) % 1 - 0.5, v * rows % 1 - 0.5)
        return np.asarray(distance < size, np.float32)

    return pattern


def _stripes(rng: np.random.Generator) -> Pattern:
    angle, count, share = rng.uniform(0, np.pi), rng.uniform(4, 18), rng.uniform(0.25, 0.6)

    def pattern(u: Map, v: Map, _rng: np.random.Generator) -> Map:
        along = (u * 1.5 * np.cos(angle) + v * np.sin(angle)) * count
        return np.asarray(along % 1 < share, np.float32)

    return pattern


def _checks(rng: np.random.Generator) -> Pattern:
    count = rng.uniform(5, 14)

    def pattern(u: Map, v: Map, _rng: np.random.Generator) -> Map:
        across, down = (u * 1.5 * count) % 1 < 0.5, (v * count) % 1 < 0.5
        return np.asarray(0.5 * across + 0.5 * down, np.float32)

    return pattern


def _flowers(rng: np.random.Generator) -> Pattern:
    centers = rng.uniform(0, 1, (int(rng.integers(12, 40)), 2))
    petals, size = int(rng.integers(4, 8)), rng.uniform(0.04, 0.1)
    turns = rng.uniform(0, np.pi, len(centers))

    def pattern(u: Map, v: Map, _rng: np.random.Generator) -> Map:
        share = np.zeros_like(u)
        for (x, y), turn in zip(centers.tolist(), turns.tolist(), strict=True):
            near_x, near_y = (u - x) * 1.5, v - y
            radius = size * (0.6 + 0.4 * np.cos(petals * (np.arctan2(near_y, near_x) + turn)))
            share = np.maximum(share, np.hypot(near_x, near_y) < radius)
        return np.asarray(share, np.float32)

    return pattern


def _camouflage(rng: np.random.Generator) -> Pattern:
    size = rng.uniform(0.04, 0.1)

    def pattern(u: Map, v: Map, rng: np.random.Generator) -> Map:
        return np.asarray(0.9 * (noise(u, rng, size) > 0.3) + 0 * v, np.float32)

    return pattern


def _emblem(rng: np.random.Generator) -> Pattern:
    """One print on a side or in the middle: a disc, a ring, a block of letters."""
    x, y, size = rng.choice((0.3, 0.5, 0.7)), rng.uniform(0.4, 0.6), rng.uniform(0.06, 0.16)
    kind = int(rng.integers(3))

    def pattern(u: Map, v: Map, _rng: np.random.Generator) -> Map:
        across, down = (u - x) * 1.5, v - y
        radius = np.hypot(across, down)
        shapes = (
            radius < size,
            np.abs(radius - size) < size * 0.25,
            (np.abs(across) < size * 1.6)
            & (np.abs(down) < size * 0.35)
            & (np.sin(across * 140 + np.sin(down * 90)) > 0),
        )
        return np.asarray(shapes[kind], np.float32)

    return pattern


PATTERNS: tuple[Callable[[np.random.Generator], Pattern], ...] = (
    *(_dots, _stripes, _checks, _flowers, _camouflage, _emblem, _emblem),
)
