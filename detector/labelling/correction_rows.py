"""Disagreements as rows of a corrections file, see :mod:`detector.data.corrections`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from detector.data.csvfile import read_rows
from detector.data.voc import CORNERS, format_number
from detector.labelling.disagreements import KINDS, Disagreement, Face

__all__ = ["COLUMNS", "earlier_rows", "rows_of", "to_csv"]

COLUMNS = ("item", "set", "image", "action", *CORNERS, "name", "reason")
"""``item`` is the number on the sheet; what applies the file does not need it."""

Row = Mapping[str, str]


def rows_of(item: int, disagreement: Disagreement) -> list[Row]:
    """The rows that give the network its way: one, or for a loose box two that belong together."""
    match disagreement.kind, disagreement.label, disagreement.found:
        case "missed", None, Face() as found:
            return [_row(item, disagreement, "add", _whole(found, disagreement), found.name)]
        case "extra", Face() as label, None:
            return [_row(item, disagreement, "remove", label.xyxy, "")]
        case "class", Face() as label, Face() as found:
            return [_row(item, disagreement, "class", label.xyxy, found.name)]
        case "loose", Face() as label, Face() as found:
            return [
                _row(item, disagreement, "remove", label.xyxy, "", ", 1 of 2"),
                _row(item, disagreement, "add", _whole(found, disagreement), label.name, ", 2 of 2"),
            ]
    raise ValueError(f"a disagreement of kind {disagreement.kind} without what belongs to it")


def earlier_rows(path: Path | None) -> list[Row]:
    """The rows of a corrections file that was applied already, so that a new file can take its place.

    Raises:
        AnnotationError: the file cannot be read.
    """
    needed = ("image", "action", *CORNERS, "name")
    rows = read_rows(path, needed, "--corrections") if path else []
    return [{column: row.get(column, "") for column in COLUMNS} | {"item": ""} for _, row in rows]


def to_csv(rows: Iterable[Row], *, head: bool = True) -> str:
    """A CSV file, or its lines without the head."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    if head:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _row(
    item: int, disagreement: Disagreement, action: str, box: Sequence[float], name: str, which: str = ""
) -> dict[str, str]:
    return {
        "item": str(item),
        "set": disagreement.image.set_name,
        "image": disagreement.image.path.name,
        "action": action,
        **dict(zip(CORNERS, map(format_number, box), strict=True)),
        "name": name,
        "reason": f"{KINDS[disagreement.kind]}{which} ({disagreement.score:.2f})",
    }


def _whole(found: Face, disagreement: Disagreement) -> tuple[float, ...]:
    """The network's box in whole pixels inside the image."""
    width, height = disagreement.image.size
    return tuple(np.rint(np.clip(found.xyxy, 0, [width, height, width, height])).tolist())
