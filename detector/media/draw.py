"""Boxes and labels on a copy of the picture.

Blue and vermillion are the pair of Okabe and Ito's palette (Color Universal Design, 2008) that colour-blind people tell
apart best. Shape says it again, for prints and for those who see no colour at all: a closed box is a mask, four corners
are a bare face.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from detector.detections import Detections

__all__ = ["COLOURS", "draw", "draw_status"]

Image = npt.NDArray[np.uint8]
Boxes = npt.NDArray[np.int64]

COLOURS: dict[str, tuple[int, int, int]] = {"with_mask": (233, 180, 86), "without_mask": (0, 94, 213)}
"""BGR of each class."""

WORDS = {"with_mask": "mask", "without_mask": "no mask"}
INK = {"with_mask": (0, 0, 0), "without_mask": (255, 255, 255)}
EDGE = (32, 32, 32)  # the rim that keeps a line visible on a background of its own colour
FONT = cv2.FONT_HERSHEY_SIMPLEX
READABLE_PX = 9  # smaller capitals cannot be read
SMALL_FACE_PX = 20  # smaller faces get a line of one pixel without a rim: it would hide them


@dataclass(frozen=True)
class Label:
    """Text in a filled rectangle.

    Args:
        text: what it says.
        size: (width, height) of the rectangle in pixels.
        scale: OpenCV's font scale.
        weight: thickness of the strokes in pixels.
        baseline: from the rectangle's left top to the start of the text.
    """

    text: str
    size: tuple[int, int]
    scale: float
    weight: int
    baseline: tuple[int, int]


def draw(image: Image, detections: Detections, *, labels: bool = True) -> Image:
    """Draw each face's box, class and confidence, and the person's number where there is one.

    Lines lie outside the boxes, so that a face of a few pixels stays visible. A label goes above its box, below it or
    into its top edge, where it covers no other face and no other label; a face with room for none gets only its box.

    Args:
        image: BGR uint8 (H, W, 3); it is not changed.
        detections: faces in pixels of this image.
        labels: False draws boxes only.

    Returns:
        A new image of the same shape.
    """
    canvas = image.copy()
    height, width = canvas.shape[:2]
    boxes: Boxes = np.rint(np.clip(detections.xyxy, 0, [width, height, width, height])).astype(np.int64)
    order = np.argsort(-(boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]), kind="stable").tolist()
    line = max(1, round(0.6 + 0.0009 * (height + width)))
    names = detections.names
    for index in order:
        _draw_box(canvas, boxes[index].tolist(), names[index], line)
    if labels:
        taken = boxes
        for index in order:
            name = names[index]
            number = f"#{detections.track_id[index]} " if detections.track_id[index] >= 0 else ""
            words = f"{number}{WORDS[name]} {100 * detections.confidence[index]:.0f} %"
            label = _label(words, boxes[index].tolist(), height + width)
            place = _place(label, index, taken, (width, height), line)
            if place is not None:
                _draw_label(canvas, label, place, COLOURS[name], INK[name])
                taken = np.vstack([taken, [*place, place[0] + label.size[0], place[1] + label.size[1]]])
    return canvas


def draw_status(image: Image, text: str) -> Image:
    """Write one line on a dark band at the top left of a copy of the image, BGR uint8 (H, W, 3)."""
    canvas = image.copy()
    label = _text(text, max(READABLE_PX + 1, round(0.007 * sum(canvas.shape[:2]))))
    width, height = (min(side, limit) for side, limit in zip(label.size, canvas.shape[1::-1], strict=True))
    canvas[:height, :width] = (canvas[:height, :width] * 0.35).astype(np.uint8)
    cv2.putText(canvas, text, label.baseline, FONT, label.scale, (255, 255, 255), label.weight, cv2.LINE_AA)
    return canvas


def _draw_box(canvas: Image, box: list[int], name: str, line: int) -> None:
    left, top, right, bottom = box
    side = min(right - left, bottom - top)
    line = min(line, max(1, side // 12))
    height, width = canvas.shape[:2]
    outer = (max(left - line, 0), max(top - line, 0), min(right + line, width), min(bottom + line, height))
    bars = _bars(outer, line, closed=name == "with_mask" or side < SMALL_FACE_PX // 2)
    # Filled rectangles, because OpenCV's thick lines end round and a pixel wider than asked for.
    if side >= SMALL_FACE_PX:
        for x1, y1, x2, y2 in bars:
            cv2.rectangle(canvas, (x1 - 1, y1 - 1), (x2, y2), EDGE, cv2.FILLED)
    for x1, y1, x2, y2 in bars:
        cv2.rectangle(canvas, (x1, y1), (x2 - 1, y2 - 1), COLOURS[name], cv2.FILLED)


def _bars(outer: tuple[int, int, int, int], line: int, *, closed: bool) -> list[tuple[int, int, int, int]]:
    """Rectangles, right and bottom exclusive, along the inside of ``outer``: whole sides, or the ends of each side."""
    left, top, right, bottom = outer
    across, down = (right - left) * 3 // 10, (bottom - top) * 3 // 10
    columns = [(left, right)] if closed else [(left, left + across), (right - across, right)]
    rows = [(top, bottom)] if closed else [(top, top + down), (bottom - down, bottom)]
    flat = [(x1, y, x2, y + line) for x1, x2 in columns for y in (top, bottom - line)]
    upright = [(x, y1, x + line, y2) for y1, y2 in rows for x in (left, right - line)]
    return flat + upright


def _label(text: str, box: list[int], extent: int) -> Label:
    """A label whose letters grow with the face, between the readable and the seemly."""
    largest = max(READABLE_PX + 1, 0.0075 * extent)
    smallest = max(READABLE_PX, 0.5 * largest)
    return _text(text, round(min(largest, max(smallest, 0.09 * (box[2] - box[0])))))


def _text(text: str, capital_px: int) -> Label:
    scale = capital_px / _capital_px()
    weight = max(1, round(capital_px / 9))
    (width, _), _ = cv2.getTextSize(text, FONT, scale, weight)
    pad = max(3, round(capital_px * 0.45))
    return Label(text, (width + 2 * pad, capital_px + 2 * pad), scale, weight, (pad, capital_px + pad))


@lru_cache(maxsize=1)
def _capital_px() -> float:
    """Height of a capital at scale 1; OpenCV 5 draws this font differently from OpenCV 4."""
    return cv2.getTextSize("M", FONT, 4.0, 1)[0][1] / 4.0


def _place(label: Label, index: int, taken: Boxes, extent: tuple[int, int], line: int) -> tuple[int, int] | None:
    """Left top of a free place for the label of box ``index``; None where there is none."""
    width, height = label.size
    left, top, right, bottom = taken[index].tolist()
    if width > extent[0] or height > extent[1] or width > 4 * (right - left) + 2 * READABLE_PX:
        return None
    gap = line + 1
    x = min(max(left - line, 0), extent[0] - width)
    flush_right = min(max(right + line - width, 0), extent[0] - width)
    outside = [
        (x, top - gap - height),
        (flush_right, top - gap - height),
        (x, bottom + gap),
        (flush_right, bottom + gap),
    ]
    others = np.delete(taken, index, axis=0)
    for place in outside:
        if 0 <= place[1] <= extent[1] - height and not _covers(place, label.size, others):
            return place
    # Into the box, on the forehead: only on a face that stays visible under it.
    inside = (max(left, 0), max(top, 0))
    fits = width <= right - left and 4 * height <= bottom - top
    return inside if fits and not _covers(inside, label.size, others) else None


def _covers(place: tuple[int, int], size: tuple[int, int], others: Boxes) -> bool:
    x, y = place
    left, top, right, bottom = others.T
    return bool(((left < x + size[0]) & (x < right) & (top < y + size[1]) & (y < bottom)).any())


def _draw_label(
    canvas: Image, label: Label, place: tuple[int, int], colour: tuple[int, int, int], ink: tuple[int, int, int]
) -> None:
    x, y = place
    cv2.rectangle(canvas, (x, y), (x + label.size[0] - 1, y + label.size[1] - 1), colour, cv2.FILLED)
    start = (x + label.baseline[0], y + label.baseline[1])
    cv2.putText(canvas, label.text, start, FONT, label.scale, ink, label.weight, cv2.LINE_AA)
