"""Corrections to annotations that one does not want to edit, as rows of a CSV file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from detector.boxes import overlap
from detector.data.csvfile import read_rows
from detector.data.pairing import Pair
from detector.data.report import Report
from detector.data.voc import CORNERS, Box, corners_in
from detector.errors import AnnotationError, SourceError
from detector.media.images import image_size

__all__ = ["Correction", "correct", "read_corrections"]

ACTIONS = ("add", "remove", "class", "drop")
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


def read_corrections(path: Path) -> list[Correction]:
    """Read a file with the columns image, action, xmin, ymin, xmax, ymax, name, and optionally set and reason.

    Raises:
        AnnotationError: the file cannot be read, or a row is incomplete.
    """
    rows = read_rows(path, ("image", "action", *CORNERS, "name"), "--corrections")
    return [_correction(f"{path}: line {line}", line, row) for line, row in rows]


def correct(pairs: Iterable[Pair], rows: Sequence[Correction], report: Report) -> list[Pair]:
    """Apply corrections to their images, in the order of their lines.

    Images that they drop are gone from the result. What was done is counted in the report, what could not be is said.
    """
    by_image: dict[tuple[str | None, str], list[Correction]] = defaultdict(list)
    for row in rows:
        by_image[row.set_name, row.image].append(row)
    unused = set(by_image)
    kept = []
    for found in pairs:
        keys = ((found.set_name, found.image.name), (None, found.image.name))
        unused.difference_update(keys)
        boxes: list[Box] | None = list(found.label.boxes)
        for row in sorted((row for key in keys for row in by_image.get(key, ())), key=lambda row: row.line):
            if boxes is not None:
                boxes = _apply(row, boxes, found, report)
        if boxes is not None:
            kept.append(replace(found, label=replace(found.label, boxes=tuple(boxes))))
    for set_name, image in sorted(unused, key=str):
        reason = f"line {by_image[set_name, image][0].line} and all for this image: no such image is used"
        report.suspect("correction", f"{set_name or '*'}/{image}", reason)
    return kept


def _apply(row: Correction, boxes: list[Box], image: Pair, report: Report) -> list[Box] | None:
    """The boxes of one image after one correction; None if the image is left out."""
    title = image.title
    if row.box is None:
        report.corrected[row.action] += 1
        report.drop("image", title, "dropped by a correction")
        return None
    overlaps = _overlaps(boxes, row.box, image.image)
    best = int(overlaps.argmax()) if boxes else -1
    found = bool(boxes) and overlaps[best] >= SAME_BOX_IOU
    if found == (row.action == "add"):
        why = "a label is there already" if found else f"no label overlaps it by {SAME_BOX_IOU} IoU"
        report.suspect("correction", title, f"line {row.line}, {row.action} {row.box}: {why}")
        return boxes
    report.corrected[row.action] += 1
    if row.action == "add":
        return [*boxes, row.box]
    changed = [replace(boxes[best], name=row.box.name)] if row.action == "class" else []
    return boxes[:best] + changed + boxes[best + 1 :]


def _overlaps(boxes: list[Box], row: Box, image: Path) -> npt.NDArray[np.float32]:
    """IoU (N,) of the labels with a correction's box, as they are or within the image, where that is more."""
    given, found = _corners([row]), _corners(boxes)
    try:
        limit = np.array(image_size(image) * 2, np.float64)
    except SourceError:  # said when its size is asked for
        limit = np.full(4, np.inf)
    inside = [np.clip(corners, 0, limit) for corners in (found, given)]
    best = np.maximum(overlap(found, given), overlap(*inside))[:, 0]
    return np.where((found == given).all(axis=1), 1, best).astype(np.float32)  # also of a box without an area


def _correction(where: str, line: int, row: dict[str, str]) -> Correction:
    action = row["action"]
    if action not in ACTIONS:
        raise AnnotationError(f"{where}: unknown action {action!r}: use {', '.join(ACTIONS)}")
    if not row["image"]:
        raise AnnotationError(f"{where}: no image: name the image file")
    set_name = row.get("set") or None
    if action == "drop":
        return Correction(set_name, row["image"], action, None, line)
    if action != "remove" and not row["name"]:
        raise AnnotationError(f"{where}: {action} needs a class in the column name")
    corners = corners_in(row)
    if corners is None:
        raise AnnotationError(f"{where}: {action} needs pixel numbers in {', '.join(CORNERS)}")
    return Correction(set_name, row["image"], action, Box(row["name"] or "box", *corners), line)


def _corners(boxes: list[Box]) -> npt.NDArray[np.float64]:
    """Left, top, right, bottom (N, 4); in a label, corners may be swapped."""
    corners = np.array([box.xyxy for box in boxes], np.float64).reshape(-1, 2, 2)
    return np.sort(corners, axis=1).reshape(-1, 4)
