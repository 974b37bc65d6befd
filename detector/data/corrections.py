"""Corrections to annotations that one does not want to edit, as rows of a CSV file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from detector.boxes import overlap
from detector.data.csvfile import read_rows
from detector.data.voc import MAX_COORDINATE, NUMBER, Box
from detector.errors import AnnotationError

__all__ = ["Correction", "Outcome", "apply", "read_corrections"]

ACTIONS = ("add", "remove", "class", "drop")
CORNERS = ("xmin", "ymin", "xmax", "ymax")
SAME_BOX_IOU = 0.5


@dataclass(frozen=True)
class Correction:
    """One row.

    Args:
        set_name: the set, None for any.
        image: the image's file name.
        action: "add" a box that was left out, "remove" one, give one another "class", or "drop" the image.
        box: where, and the new class name for "add" and "class"; None for "drop".
        line: where the row stands in its file.
    """

    set_name: str | None
    image: str
    action: str
    box: Box | None
    line: int


@dataclass(frozen=True)
class Outcome:
    """Boxes after the corrections (None: leave the image out), the actions done, and why others were not."""

    boxes: tuple[Box, ...] | None
    done: tuple[str, ...]
    failed: tuple[str, ...]


def read_corrections(path: Path) -> list[Correction]:
    """Read a file with the columns image, action, xmin, ymin, xmax, ymax, name, and optionally set and reason.

    Raises:
        AnnotationError: the file cannot be read, or a row is incomplete.
    """
    rows = read_rows(path, ("image", "action", *CORNERS, "name"), "--corrections")
    return [_correction(path, line, row) for line, row in rows]


def apply(boxes: Iterable[Box], corrections: Iterable[Correction]) -> Outcome:
    """Apply the corrections of one image, in their order."""
    kept = list(boxes)
    done: list[str] = []
    failed: list[str] = []
    for correction in corrections:
        if correction.box is None:
            return Outcome(None, (*done, correction.action), tuple(failed))
        overlaps = overlap(_corners(kept), _corners([correction.box]))[:, 0]
        best = int(overlaps.argmax()) if kept else None
        found = best is not None and overlaps[best] >= SAME_BOX_IOU
        if found == (correction.action == "add"):
            why = "a label is there already" if found else f"no label overlaps it by {SAME_BOX_IOU} IoU"
            failed.append(f"line {correction.line}, {correction.action} {correction.box}: {why}")
            continue
        if best is None or correction.action == "add":
            kept.append(correction.box)
        elif correction.action == "remove":
            del kept[best]
        else:
            kept[best] = replace(kept[best], name=correction.box.name)
        done.append(correction.action)
    return Outcome(tuple(kept), tuple(done), tuple(failed))


def _correction(path: Path, line: int, row: dict[str, str]) -> Correction:
    action = row["action"]
    if action not in ACTIONS:
        raise AnnotationError(f"{path}: line {line}: unknown action {action!r}: use {', '.join(ACTIONS)}")
    if not row["image"]:
        raise AnnotationError(f"{path}: line {line}: no image: name the image file")
    set_name = row.get("set") or None
    if action == "drop":
        return Correction(set_name, row["image"], action, None, line)
    if action != "remove" and not row["name"]:
        raise AnnotationError(f"{path}: line {line}: {action} needs a class in the column name")
    if not all(NUMBER.fullmatch(row[c]) and abs(float(row[c])) <= MAX_COORDINATE for c in CORNERS):
        raise AnnotationError(f"{path}: line {line}: {action} needs pixel numbers in {', '.join(CORNERS)}")
    xmin, ymin, xmax, ymax = (float(row[corner]) for corner in CORNERS)
    return Correction(set_name, row["image"], action, Box(row["name"] or "box", xmin, ymin, xmax, ymax), line)


def _corners(boxes: list[Box]) -> npt.NDArray[np.float64]:
    """Left, top, right, bottom (N, 4); in a label, corners may be swapped."""
    corners = np.array([[box.xmin, box.ymin, box.xmax, box.ymax] for box in boxes], np.float64).reshape(-1, 2, 2)
    return np.sort(corners, axis=1).reshape(-1, 4)
