"""Disagreements as rows of a corrections file, and as a contact sheet: a page whose button saves the ticked rows."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from detector.data.csvfile import read_rows
from detector.data.progress import Progress, silent
from detector.data.voc import CORNERS, format_number
from detector.evaluation.pages import write_page
from detector.labelling.disagreements import KINDS, Disagreement
from detector.media import images

__all__ = ["Row", "earlier_rows", "rows_of", "to_csv", "write_sheet"]

Row = Mapping[str, str]

COLUMNS = ("item", "set", "image", "action", *CORNERS, "name", "reason")
"""``item`` is the number on the sheet; what applies the file does not need it."""

CONTEXT = 2.5
"""The picture shows so many times the longer side of the boxes."""

LEAST_SIDE = 90  # px of the image: less of it around a small face says nothing
MOST_PIXELS = 400  # px of the picture in the page, for sharp screens; CSS shows it at 200 to 380 px
JPEG_QUALITY = 80

WORDS = {"with_mask": "with a mask", "without_mask": "without a mask"}
DOES = {"missed": "add the box", "extra": "remove the box", "class": "change the class", "loose": "move the box"}
SAID = {
    "missed": "The network sees a face {found}. There is no label.",
    "extra": "Labelled {label}. The network sees no face.",
    "class": "Labelled {label}. The network sees it {found}.",
    "loose": "Labelled {label}. The network sees the face elsewhere, {found}.",
}


def rows_of(item: int, one: Disagreement) -> list[Row]:
    """The rows that give the network its way: one, or for a loose box two that belong together."""
    width, height = one.image.size
    seen = tuple(np.rint(np.clip(one.found.xyxy, 0, [width, height, width, height])).tolist()) if one.found else ()
    labelled, name, found = (one.label.xyxy, one.label.name, one.found) if one.label else ((), "", one.found)
    actions = {
        "missed": [("add", seen, found.name if found else "", "")],
        "extra": [("remove", labelled, "", "")],
        "class": [("class", labelled, found.name if found else "", "")],
        "loose": [("remove", labelled, "", ", 1 of 2"), ("add", seen, name, ", 2 of 2")],
    }
    return [
        {
            "item": str(item),
            "set": one.image.set_name,
            "image": one.image.path.name,
            "action": action,
            **dict(zip(CORNERS, map(format_number, box), strict=True)),
            "name": class_name,
            "reason": f"{KINDS[one.kind]}{which} ({one.score:.2f})",
        }
        for action, box, class_name, which in actions[one.kind]
    ]


def earlier_rows(path: Path | None) -> list[Row]:
    """The rows of a corrections file that was applied already, so that a new file can take its place.

    Raises:
        AnnotationError: the file cannot be read.
    """
    rows = read_rows(path, ("image", "action", *CORNERS, "name"), "--corrections") if path else []
    return [{column: row.get(column, "") for column in COLUMNS} | {"item": ""} for _, row in rows]


def to_csv(rows: Iterable[Row], *, head: bool = True) -> str:
    """A CSV file, or its lines without the head."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    if head:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_sheet(
    disagreements: Sequence[Disagreement], earlier: Sequence[Row], images_seen: int, progress: Progress = silent
) -> str:
    """The page; it needs no other file.

    Args:
        disagreements: what to show, in this order; their numbers begin with 1. The images are read again.
        earlier: rows that the saved file begins with.
        images_seen: how many images were looked at.
        progress: wraps the loop over the pictures.

    Raises:
        SourceError: an image cannot be read any more.
        MissingExtraError: Jinja2 is not installed.
    """
    lines = {str(item): to_csv(rows_of(item, one), head=False) for item, one in enumerate(disagreements, 1)}
    counts = Counter(one.kind for one in disagreements)
    return write_page(
        "check_sheet.html",
        items=[_item(one) for one in progress(disagreements, "drawing")],
        rows={"head": to_csv(earlier), "items": lines},
        counts={kind: counts[kind] for kind in KINDS if counts[kind]},
        images_seen=images_seen,
        kinds=KINDS,
        does=DOES,
    )


def _item(one: Disagreement) -> dict[str, object]:
    """What the page shows of a disagreement; boxes in px of its picture, which the browser draws on.

    So they stay thin on a small face.
    """
    whole = images.read(one.image.path)
    left, top, right, bottom = _window(one, (whole.shape[1], whole.shape[0]))
    cut = whole[top:bottom, left:right]
    scale = MOST_PIXELS / max(cut.shape[:2])
    if scale < 1:
        cut = cv2.resize(cut, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    corner = np.array([left, top, left, top])
    faces = {"label": one.label, "found": one.found}
    words = {kind: WORDS[face.name] for kind, face in faces.items() if face}
    if one.found:
        words["found"] += f" ({100 * one.found.confidence:.0f} %)"
    return {
        "kind": one.kind,
        "title": one.image.title,
        "score": one.score,
        "said": SAID[one.kind].format(**words),
        "jpeg": images.encode(np.ascontiguousarray(cut), ".jpg", JPEG_QUALITY),
        "width": right - left,
        "height": bottom - top,
        "others": (np.array(one.others).reshape(-1, 4) - corner).tolist(),
        "shown": {kind: (np.array(face.xyxy) - corner).tolist() for kind, face in faces.items() if face},
    }


def _window(one: Disagreement, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """A square around the boxes, moved into the image and cut where it is larger: left, top, right, bottom."""
    corners = np.array([face.xyxy for face in (one.label, one.found) if face])
    low, high = corners[:, :2].min(axis=0), corners[:, 2:].max(axis=0)
    side = max(LEAST_SIDE, CONTEXT * float((high - low).max()))
    start = np.clip((low + high - side) / 2, 0, np.maximum(np.array(size) - side, 0))
    end = np.minimum(start + side, size)
    left, top, right, bottom = np.rint([*start, *end]).astype(int).tolist()
    return left, top, right, bottom
