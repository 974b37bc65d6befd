"""Printed cotton (dots, stripes, checks, flowers, camouflage, emblems), and what scarves are made of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from detector.labelling.fabrics import Color, Fabric, Weave, cotton, line, noise, random_color
from detector.labelling.light import Map, Random

__all__ = ["draped", "knitted", "printed"]

_Pattern = Callable[[Map, Map, Random], Map]
"""How much of the second colour (H, W), 0 to 1, is at each place."""


def printed(rng: Random) -> tuple[Fabric, Color]:
    """Cotton with a random print in random colours, and the colour of its ear loops."""
    dark = rng.random() < 0.5
    ground = random_color(rng, (0.1, 0.8), (0.1, 0.5) if dark else (0.6, 0.95))
    ink = random_color(rng, (0.0, 0.8), (0.65, 0.95) if dark else (0.1, 0.6))
    other = random_color(rng, (0.3, 0.9), (0.2, 0.95))
    layers = [(PATTERNS[int(rng.integers(len(PATTERNS)))](rng), ink)]
    if rng.random() < 0.3:
        layers.append((_dots(rng), other))
    plain = cotton(ground, rng, seam=rng.random() < 0.5, folds=rng.uniform(0.1, 0.3))

    def fabric(u: Map, v: Map, rng: Random) -> Weave:
        weave = plain(u, v, rng)
        for pattern, color in layers:
            share = np.asarray(pattern(u, v, rng), np.float32)[..., None]
            weave.albedo[...] = weave.albedo * (1 - share) + np.array(color, np.float32) * share
        return weave

    return fabric, ground if rng.random() < 0.5 else (0.12, 0.12, 0.12)


def draped(rng: Random) -> Fabric:
    """Thin cloth in long folds that hang from side to side."""
    plain = cotton(random_color(rng, (0.0, 0.7), (0.12, 0.9)), rng, seam=False, folds=rng.uniform(0.1, 0.3))
    count, depth, sag = rng.uniform(4, 9), rng.uniform(0.3, 0.7), rng.uniform(0.1, 0.35)

    def fabric(u: Map, v: Map, rng: Random) -> Weave:
        weave = plain(u, v, rng)
        phase = (v - sag * (1 - (2 * u - 1) ** 2) * v + 0.02 * noise(u, rng, 0.15)) * count * 2 * np.pi
        weave.slope_y[...] += depth * np.cos(phase)
        shade = 1 - 0.18 * (0.5 + 0.5 * np.sin(phase + 0.8))
        return Weave(np.asarray(weave.albedo * shade[..., None], np.float32), weave.slope_x, weave.slope_y)

    return fabric


def knitted(rng: Random) -> Fabric:
    """Thick knitted rows, plain or striped."""
    base, other = (random_color(rng, (0.0, 0.8), (0.12, 0.9)) for _ in range(2))
    rows, stripes = rng.uniform(25, 45), rng.uniform(2, 6) if rng.random() < 0.4 else 0.0
    folds = draped(rng)

    def fabric(u: Map, v: Map, rng: Random) -> Weave:
        weave = folds(u, v, rng)
        shade = weave.albedo.mean(axis=2, keepdims=True) / max(float(weave.albedo.mean()), 1e-3)
        second = ((v * stripes) % 1 < 0.5)[..., None] & (stripes > 0)
        albedo = np.where(second, np.array(other, np.float32), np.array(base, np.float32)) * np.clip(shade, 0.5, 1.2)
        stitch = np.abs((u * rows * 1.3 + 0.3 * np.abs((v * rows) % 1 - 0.5)) % 1 - 0.5)
        albedo = albedo * (1 - 0.3 * line(stitch, 0.2))[..., None]
        return Weave(np.asarray(albedo, np.float32), weave.slope_x, weave.slope_y)

    return fabric


def _dots(rng: Random) -> _Pattern:
    rows, size = rng.uniform(4, 12), rng.uniform(0.15, 0.35)
    return lambda u, v, _: np.hypot((u * rows * 1.5 + np.floor(v * rows) % 2 / 2) % 1 - 0.5, v * rows % 1 - 0.5) < size


def _stripes(rng: Random) -> _Pattern:
    angle, count, share = rng.uniform(0, np.pi), rng.uniform(4, 18), rng.uniform(0.25, 0.6)
    return lambda u, v, _: (u * 1.5 * np.cos(angle) + v * np.sin(angle)) * count % 1 < share


def _checks(rng: Random) -> _Pattern:
    count = rng.uniform(5, 14)
    return lambda u, v, _: 0.5 * ((u * 1.5 * count) % 1 < 0.5) + 0.5 * ((v * count) % 1 < 0.5)


def _camouflage(rng: Random) -> _Pattern:
    size = rng.uniform(0.04, 0.1)
    return lambda u, _, rng: 0.9 * (noise(u, rng, size) > 0.3)


def _flowers(rng: Random) -> _Pattern:
    centers = rng.uniform(0, 1, (int(rng.integers(12, 40)), 2))
    petals, size = int(rng.integers(4, 8)), rng.uniform(0.04, 0.1)
    turns = rng.uniform(0, np.pi, len(centers))

    def pattern(u: Map, v: Map, _: Random) -> Map:
        share = np.zeros_like(u)
        for (x, y), turn in zip(centers.tolist(), turns.tolist(), strict=True):
            near_x, near_y = (u - x) * 1.5, v - y
            radius = size * (0.6 + 0.4 * np.cos(petals * (np.arctan2(near_y, near_x) + turn)))
            share = np.maximum(share, np.hypot(near_x, near_y) < radius)
        return share

    return pattern


def _emblem(rng: Random) -> _Pattern:
    """One print on a side or in the middle: a disc, a ring, a block of letters."""
    x, y, size = rng.choice((0.3, 0.5, 0.7)), rng.uniform(0.4, 0.6), rng.uniform(0.06, 0.16)
    kind = int(rng.integers(3))

    def pattern(u: Map, v: Map, _: Random) -> Map:
        across, down = (u - x) * 1.5, v - y
        radius = np.hypot(across, down)
        block = (np.abs(across) < size * 1.6) & (np.abs(down) < size * 0.35)
        letters = block & (np.sin(across * 140 + np.sin(down * 90)) > 0)
        return np.asarray((radius < size, np.abs(radius - size) < size * 0.25, letters)[kind], np.float32)

    return pattern


PATTERNS: tuple[Callable[[Random], _Pattern], ...] = (
    *(_dots, _stripes, _checks, _flowers, _camouflage, _emblem, _emblem),
)
