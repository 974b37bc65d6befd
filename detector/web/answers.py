"""What the page says: in words for people rather than class names."""

from __future__ import annotations

from html import escape

import cv2
import numpy as np

from detector.detections import Detections
from detector.media.draw import COLOURS
from detector.media.images import Image

__all__ = ["VERDICTS", "hex_colour", "percent", "problem", "sentence", "shrink"]

VERDICTS = {"with_mask": "with a mask", "without_mask": "without a mask"}


def sentence(found: Detections) -> str:
    """One picture in words: ``3 faces: 2 with a mask, 1 without``."""
    masked, bare = (found.count(name) for name in VERDICTS)
    verdict = VERDICTS["with_mask" if masked else "without_mask"]
    if not len(found):
        return "No face found"
    if len(found) == 1:
        return f"1 face: {verdict}"
    if not (masked and bare):
        return f"{len(found)} faces: all {verdict}"
    return f"{len(found)} faces: {masked} with a mask, {bare} without"


def percent(share: float) -> str:
    """A share, 0 to 1, as everywhere on the page: ``81 %``."""
    return f"{100 * share:.0f} %"


def problem(text: str) -> str:
    """A message about what went wrong, read out at once by a screen reader."""
    return f'<p class="problem" role="alert">{escape(text)}</p>'


def hex_colour(name: str) -> str:
    """A class's colour as a page writes it."""
    return "#{2:02x}{1:02x}{0:02x}".format(*COLOURS[name])


def shrink(image: Image, side: int) -> tuple[Image, float]:
    """A BGR picture whose longest side is ``side`` at most, and its size as a share of the original's."""
    height, width = image.shape[:2]
    scale = min(1.0, side / max(height, width))
    if scale == 1.0:
        return image, scale
    size = (max(1, round(scale * width)), max(1, round(scale * height)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False), scale
