"""Figures as text: aligned tables for a terminal, Markdown for a README."""

from __future__ import annotations

import math
from collections.abc import Sequence

from detector.detections import CLASSES
from detector.evaluation.figures import At, Figures
from detector.scoring import FACE_SIZES, Confusion

__all__ = ["UNDEFINED", "aligned", "describe", "markdown", "number"]

UNDEFINED = "–"
"""Stands where a figure would divide by zero: there is no such face."""

Row = Sequence[str]


def number(value: float) -> str:
    """Three decimals, or a dash."""
    return UNDEFINED if math.isnan(value) else f"{value:.3f}"


def aligned(rows: Sequence[Row], words: int = 1) -> str:
    """Columns one below the other; the first ``words`` to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    align = [str.ljust] * words + [str.rjust] * (len(widths) - words)
    return "\n".join(
        "  ".join(place(cell, width) for place, cell, width in zip(align, row, widths, strict=True)).rstrip()
        for row in rows
    )


def markdown(rows: Sequence[Row]) -> str:
    """A Markdown table, the first row its head."""
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def describe(figures: Figures) -> str:
    """Everything about one engine, for a terminal."""
    sections = [
        f"{figures.name}: {figures.images} image{'' if figures.images == 1 else 's'}",
        aligned(
            [("average precision", "faces", "AP50", "AP50-95")]
            + [(s.name, str(s.support), number(s.ap50), number(s.ap50_95)) for s in figures.scores]
        ),
        _point(figures.chosen, "chosen"),
    ]
    if figures.best:
        sections.append(_point(figures.best, f"best mean F1, {number(figures.best.overall.mean_f1)}"))
    return "\n\n".join([*sections, _sizes(figures), _confusion(figures.chosen.overall)])


def _point(at: At, why: str) -> str:
    confusion = at.overall
    rows: list[Row] = [(f"at {at.threshold:g} ({why})", "faces", "precision", "recall", "F1")]
    rows += [(name, *_counts(confusion, name)) for name in CLASSES]
    return aligned(rows)


def _sizes(figures: Figures) -> str:
    at = f"at {figures.chosen.threshold:g}"
    rows: list[Row] = [("shorter side, px", at, "faces", "AP50", "precision", "recall", "F1")]
    for score in figures.scores:
        for size in FACE_SIZES:
            faces, *rest = _counts(figures.chosen.by_size[size], score.name)
            rows.append((size, score.name, faces, number(score.ap50_by_size[size]), *rest))
    return aligned(rows, words=2)


def _counts(confusion: Confusion, name: str) -> tuple[str, str, str, str]:
    figures = (confusion.precision(name), confusion.recall(name), confusion.f1(name))
    precision, recall, f1 = map(number, figures)
    return str(confusion.support(name)), precision, recall, f1


def _confusion(confusion: Confusion) -> str:
    rows: list[Row] = [(f"at {confusion.threshold:g}", *(f"found as {name}" for name in CLASSES), "not found")]
    for name, counts in zip((*CLASSES, "no face there"), confusion.counts, strict=True):
        cells = list(map(str, counts))
        rows.append((f"labelled {name}" if name in CLASSES else name, *cells[:2], cells[2] if name in CLASSES else ""))
    return aligned(rows)
