"""Faces that were outlined by a polygon, or by a box that is turned: the upright box around each."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

from lxml import etree

__all__ = ["around", "box_around"]

XYXY = tuple[float, float, float, float]
POINT_TAG = re.compile(r"([xy])\d*")  # <polygon><x1>..<y1>.. of Roboflow, <polygon><pt><x>..<y>.. of LabelMe
TURNED = ("cx", "cy", "w", "h", "angle")  # of roLabelImg; radians


def around(xs: Sequence[float], ys: Sequence[float]) -> XYXY:
    """The box around some points."""
    return min(xs), min(ys), max(xs), max(ys)


def box_around(element: etree._Element, number: Callable[[str], float | None]) -> XYXY | None:
    """The box around an object's ``polygon`` or ``robndbox``; None where it has none that can be understood.

    Args:
        element: the object of a label file.
        number: what a text says; None if it is no number.
    """
    polygon, turned = element.find("polygon"), element.find("robndbox")
    if polygon is not None:
        axes: dict[str, list[float | None]] = {"x": [], "y": []}
        for child in polygon.iterdescendants():
            if found := POINT_TAG.fullmatch(str(child.tag)):
                axes[found[1]].append(number((child.text or "").strip()))
        xs, ys = ([value for value in values if value is not None] for values in axes.values())
        whole = len(xs) == len(ys) == len(axes["x"]) == len(axes["y"])
        return around(xs, ys) if whole and len(xs) > 2 else None
    if turned is not None:
        values = [number((turned.findtext(tag) or "").strip()) for tag in TURNED]
        x, y, width, height, angle = (math.nan if value is None else value for value in values)
        across = (abs(width * math.cos(angle)) + abs(height * math.sin(angle))) / 2
        down = (abs(width * math.sin(angle)) + abs(height * math.cos(angle))) / 2
        return None if None in values else (x - across, y - down, x + across, y + down)
    return None
