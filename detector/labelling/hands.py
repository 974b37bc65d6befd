"""Hands and cups in front of a mouth, drawn as fields of heights that the light falls on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detector.labelling.canvas import Canvas, Drawn
from detector.labelling.fabrics import random_color
from detector.labelling.landmarks import Face, Floats
from detector.labelling.light import Light, Map, Random, Window, blurred, measure
from detector.media.images import Image

__all__ = ["add_cup", "add_hand"]

HAND = 0.47
"""Width of a palm as a share of the face's height from forehead to chin."""

COARSER = 0.5
"""Hands have less fine detail than cloth."""

SOFT = 0.03
"""How softly two parts of a hand run into each other, palm widths."""


@dataclass(frozen=True)
class _Bone:
    """A finger's part or an arm: from one point to another, palm widths, with a radius at either end."""

    start: tuple[float, float]
    end: tuple[float, float]
    radii: tuple[float, float]

    @property
    def length(self) -> float:
        return max(float(np.hypot(self.end[0] - self.start[0], self.end[1] - self.start[1])), 1e-6)


class _Frame:
    """A drawing's own axes on a canvas: x to its right, y down, in its own unit.

    Args:
        canvas: what is drawn on.
        center: (2,), px of the image.
        axes: (2, 2): x and y in the image, as rows, unit vectors.
        unit: px of the image.

    Attributes:
        x, y: (H, W), of each fine pixel.
        origin: (2,), in fine pixels.
        unit: in fine pixels.
    """

    def __init__(self, canvas: Canvas, center: Floats, axes: Floats, unit: float) -> None:
        rows, columns = canvas.shape
        at_x, at_y = np.meshgrid(np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32))
        self.axes, self.origin, self.unit = axes, canvas.place(center), unit * canvas.fine
        dx, dy = at_x - np.float32(self.origin[0]), at_y - np.float32(self.origin[1])
        fine = np.float32(self.unit)
        self.x, self.y = ((dx * np.float32(axis[0]) + dy * np.float32(axis[1])) / fine for axis in axes)

    def heights(self, bones: Sequence[_Bone]) -> Map:
        """How high the bones stand above the ground, units, (H, W); far under 0 beside them."""
        total = np.full(self.x.shape, 1e-9, np.float32)
        for bone in bones:
            rows, columns = self._part(bone)
            (x0, y0), (x1, y1) = bone.start, bone.end
            x, y = self.x[rows, columns] - np.float32(x0), self.y[rows, columns] - np.float32(y0)
            dx, dy = np.float32(x1 - x0), np.float32(y1 - y0)
            t = np.clip((x * dx + y * dy) / max(dx * dx + dy * dy, np.float32(1e-6)), 0, 1)
            distance = np.hypot(x - t * dx, y - t * dy)
            radius = np.float32(bone.radii[0]) * (1 - t) + np.float32(bone.radii[1]) * t
            inside = np.sqrt(np.clip(1 - (distance / radius) ** 2, 0, 1)) * radius
            height = np.where(distance < radius, inside, radius - distance)
            total[rows, columns] += np.exp(np.clip(height / np.float32(SOFT), -20, 20))
        return np.asarray(np.float32(SOFT) * np.log(total), np.float32)

    def along(self, bone: _Bone) -> tuple[Map, Map]:
        """Distance from a bone's line, units, and place along it, 0 to 1."""
        dx, dy = bone.end[0] - bone.start[0], bone.end[1] - bone.start[1]
        x, y = self.x - bone.start[0], self.y - bone.start[1]
        across, along = (x * dy - y * dx) / bone.length, (x * dx + y * dy) / bone.length**2
        return np.asarray(across, np.float32), np.asarray(along, np.float32)

    def _part(self, bone: _Bone) -> tuple[slice, slice]:
        """The rows and columns of the canvas that a bone can reach."""
        ends = np.array([bone.start, bone.end]) @ self.axes * self.unit + self.origin
        margin = (max(bone.radii) + 4 * SOFT) * self.unit + 2
        rows, columns = self.x.shape
        low = np.clip(ends.min(axis=0) - margin, 0, (columns, rows)).astype(int)
        high = np.clip(ends.max(axis=0) + margin, 0, (columns, rows)).astype(int)
        return slice(low[1], high[1]), slice(low[0], high[0])


def add_hand(image: Image, face: Face, rng: Random) -> Drawn:
    """Hold a hand before the mouth, in place."""
    angle = float(rng.choice((-1, 1)) * rng.uniform(0.15, 1.25))
    mirrored = rng.random() < 0.5
    fist = rng.random() < 0.3
    mouth = face.middle(13, 14, 2, 17)[:2] + rng.normal(0, 0.03, 2) * face.height
    right, down = _plane(face, angle)
    unit = HAND * face.height * rng.uniform(0.85, 1.1)
    lower = 0.0 if fist else 0.7 * np.cos(angle) + rng.uniform(-0.2, 0.15)  # fingers that point up stay below the eyes
    center = mouth + down * unit * lower
    canvas, light = _canvas(image, face, rng, (center, 1.7 * unit), (center + down * unit * 4.0, 0.7 * unit))
    frame = _Frame(canvas, center, np.stack([right * (-1 if mirrored else 1), down]), unit)
    fingers = _fist(rng) if fist else _fingers(rng)
    sleeve = np.array(random_color(rng, (0, 0.6), (0.1, 0.85)))
    cuff = rng.uniform(0.9, 1.9)
    arm = frame.heights([_Bone((0, 0.9), (rng.uniform(-0.3, 0.3), 5.0), (0.45, 0.65))])
    _paint_skin(canvas, frame, [*fingers, *PALM], light, rng, nails=[] if fist else fingers[1:8:2])
    sleeved = (arm > 0) & (frame.y > cuff)
    _paint(canvas, frame, arm, sleeve * light.white * 0.95, light, sleeved.astype(np.float32))
    return canvas.drawn(canvas.lay(image, light, rng, shadow=float(rng.uniform(0.25, 0.5))), face)


def add_cup(image: Image, face: Face, rng: Random) -> Drawn:
    """Hold a cup before the mouth, in place."""
    right, down = _plane(face, float(rng.normal(0, 0.2)))
    unit = face.height * rng.uniform(0.42, 0.56)
    center = face.middle(13, 14)[:2] + down * unit * rng.uniform(-0.05, 0.3) + right * unit * rng.normal(0, 0.05)
    side = float(rng.choice((-1, 1)))
    arm_end = center + (down * 1.6 + right * side * 2.2) * unit
    canvas, light = _canvas(image, face, rng, (center, 1.2 * unit), (arm_end, 0.6 * unit))
    _paint_cup(canvas, _Frame(canvas, center, np.stack([right, down]), unit), light, rng)
    held = _Frame(canvas, center, np.stack([right * side, down]), unit * 0.85)
    tips = [float(rng.uniform(-0.3, -0.15)) for _ in range(4)]
    grip = [_Bone((0.62, 0.1 + 0.19 * k), (tip, 0.02 + 0.19 * k), (0.12, 0.1)) for k, tip in enumerate(tips)]
    back = [_Bone((0.66, 0.15), (0.72, 0.6), (0.2, 0.22)), _Bone((0.8, 0.55), (3.0, 2.6), (0.24, 0.36))]
    _paint_skin(canvas, held, [*grip, *back], light, rng, nails=grip)
    return canvas.drawn(canvas.lay(image, light, rng, shadow=float(rng.uniform(0.25, 0.45))), face)


PALM = (
    *(_Bone((x, -0.3), (x * 0.75, 0.35), (0.22, 0.26)) for x in (-0.27, 0.0, 0.27)),
    _Bone((0.0, 0.4), (0.0, 2.2), (0.36, 0.34)),
)


def _fingers(rng: Random) -> list[_Bone]:
    """Two bones for each of four stretched fingers, and the thumb."""
    spread, bend = rng.uniform(0.0, 0.22), rng.uniform(0.8, 1.0)
    bones = []
    for x, length in ((-0.37, 0.78), (-0.125, 0.92), (0.125, 0.87), (0.36, 0.68)):
        lean = x * spread * 2 + rng.normal(0, 0.02)
        middle = (x + lean * 0.5, -0.42 - length * bend * 0.5)
        tip = (x + lean, -0.42 - length * bend * rng.uniform(0.9, 1.0))
        bones += [_Bone((x, -0.35), middle, (0.135, 0.125)), _Bone(middle, tip, (0.125, 0.1))]
    away = rng.uniform(0.1, 0.5)
    knee = (-0.5 - away * 0.5, -0.1)
    return [*bones, _Bone((-0.32, 0.35), knee, (0.2, 0.14)), _Bone(knee, (-0.5 - away * 0.8, -0.5), (0.14, 0.11))]


def _fist(rng: Random) -> list[_Bone]:
    """Four fingers rolled in, seen from their knuckles, with the thumb before them."""
    bones = [_Bone((x, -0.35), (x + rng.normal(0, 0.015), 0.05), (0.15, 0.13)) for x in (-0.38, -0.13, 0.12, 0.36)]
    return [*bones, _Bone((-0.42, 0.3), (0.0, 0.12), (0.16, 0.13))]


def _plane(face: Face, angle: float) -> tuple[Floats, Floats]:
    """The face's right and down in the picture, unit vectors (2,), turned by ``angle``."""
    down = face.axes[1][:2] / max(float(np.linalg.norm(face.axes[1][:2])), 1e-6)
    down = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ down
    return np.array([down[1], -down[0]]), down


def _canvas(image: Image, face: Face, rng: Random, *around: tuple[Floats, float]) -> tuple[Canvas, Light]:
    """A canvas over some points, each with so many px around it, and the light there."""
    corners = np.stack([center + sign * reach for center, reach in around for sign in (-1, 1)])
    canvas = Canvas(Window.around(corners, 2, image), face.height, COARSER)
    return canvas, measure(image, face, canvas.window, rng)


def _paint_skin(
    canvas: Canvas, frame: _Frame, bones: list[_Bone], light: Light, rng: Random, nails: list[_Bone]
) -> None:
    heights = frame.heights(bones)
    tone = rng.uniform(0.9, 1.04)
    skin = np.clip(light.skin * tone * (1.0, 1.0, rng.uniform(1.0, 1.05)), 0, 1)
    color = np.broadcast_to(skin.astype(np.float32), (*canvas.shape, 3)).copy()
    creases = np.zeros_like(heights)
    for bone in bones[: 2 * len(nails)]:
        across, along = frame.along(bone)
        creases = np.maximum(creases, np.exp(-((along - 0.1) ** 2) / 0.004) * (np.abs(across) < bone.radii[0]))
    color *= (1 - 0.12 * creases)[..., None]
    for bone in nails:
        across, along = frame.along(bone)
        radius = bone.radii[1]
        nail = (across / (radius * 0.62)) ** 2 + ((along - 1) * bone.length / (radius * 0.8)) ** 2 < 1
        color[nail] = np.clip(color[nail] * (1.08, 1.06, 1.1) + 0.02, 0, 1)
    _paint(canvas, frame, heights, color, light, (heights > 0).astype(np.float32))


def _paint(canvas: Canvas, frame: _Frame, heights: Map, color: Map | Floats, light: Light, cover: Map) -> None:
    """Paint what stands ``heights`` high, lit, darker in its furrows."""
    raised = np.maximum(heights, 0)
    soft = blurred(raised, 0.02 * frame.unit + 0.5)
    slope_y, slope_x = np.gradient(soft * frame.unit)
    facing = (-slope_x * light.direction[0] - slope_y * light.direction[1]) - light.direction[2]
    shade = 0.55 + 0.45 * np.clip(facing / np.sqrt(1 + slope_x**2 + slope_y**2), 0, None)
    shade /= 0.55 + 0.45 * max(float(-light.direction[2]), 0.3)
    furrows = np.clip(blurred(raised, 0.07 * frame.unit) - soft, 0, 0.1) * 5
    lit = (shade * (1 - furrows) * canvas.enlarge(light.shade)).astype(np.float32)
    canvas.over(np.asarray(color, np.float32) * lit[..., None], cover)


def _paint_cup(canvas: Canvas, frame: _Frame, light: Light, rng: Random) -> None:
    """A paper or china cup: a truncated cone with a rim, perhaps a lid and a band."""
    top, bottom = -0.5, rng.uniform(0.45, 0.65)
    wide, narrow = rng.uniform(0.34, 0.42), rng.uniform(0.24, 0.32)
    share = np.clip((frame.y - top) / (bottom - top), 0, 1)
    radius = wide + (narrow - wide) * share
    bow = 0.09 * np.sqrt(np.clip(1 - (frame.x / radius) ** 2, 0, 1))  # both ends are circles seen from above
    body = (np.abs(frame.x) < radius) & (frame.y > top - bow) & (frame.y < bottom + bow)
    heights = np.sqrt(np.clip(radius**2 - frame.x**2, 0, None)) * body
    base = random_color(rng, (0.0, 0.75), (0.3, 0.98)) if rng.random() < 0.6 else (0.93, 0.94, 0.95)
    color = np.broadcast_to(np.array(base, np.float32), (*canvas.shape, 3)).copy()
    if rng.random() < 0.6:
        color[(share > 0.3) & (share < 0.75)] = random_color(rng, (0.0, 0.7), (0.15, 0.9))
    rim = (frame.y < top + bow) if rng.random() < 0.5 else (frame.y < top + 0.09 + bow * 0.5)
    color[rim] = color[rim] * 0.4 + (0.55 if rng.random() < 0.6 else 0.05)
    _paint(
        canvas,
        frame,
        heights.astype(np.float32) * 0.8,
        color * light.white.astype(np.float32),
        light,
        body.astype(np.float32),
    )
