"""Figures as text: aligned tables for a terminal, Markdown for a README."""

from __future__ import annotations

import math
from collections.abc import Sequence

from detector.detections import CLASSES
from detector.evaluation.figures import At, Figures
from detector.scoring import Confusion, calibration_error

__all__ = ["UNDEFINED", "WORDS", "aligned", "describe", "markdown", "number", "word_cells"]

UNDEFINED = "–"
"""Stands where a figure would divide by zero: there is no such face."""

WORDS = ("right", "wrong", "missed", "wrong of found", "false/100")
"""Heads of the shares of the faces that got the right word, the wrong one and none, and false boxes per 100 images."""

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


def describe(figures: Figures, sets: Sequence[Figures] = ()) -> str:
    """Everything about one engine, for a terminal; ``sets`` are its figures on each set of the images."""
    at, error = figures.chosen, calibration_error(figures.reliability)
    sections = [
        f"{figures.name}: {figures.images} image{'' if figures.images == 1 else 's'}",
        aligned(
            [("average precision", "faces", "AP50", "AP50-95")]
            + [(s.name, str(s.support), number(s.ap50), number(s.ap50_95)) for s in figures.scores]
            + [("mean", "", number(figures.ap50), "")]
        ),
        _classes(at),
        _sizes(figures),
        *([_sets(sets)] if len(sets) > 1 else []),
        _confusion(at.overall),
        f"expected calibration error of the faces shown: {number(error)}",
    ]
    if figures.best:
        balance, best = at.overall.words().balance, figures.best
        sections.append(
            f"best threshold {best.threshold:g}: right less wrong less false is {best.overall.words().balance}, "
            f"at {at.threshold:g} {balance}"
        )
    return "\n\n".join(sections)


def word_cells(at: At, confusion: Confusion, *names: str) -> tuple[str, ...]:
    """The cells below :data:`WORDS`: of the faces of these classes, of all by default."""
    found = confusion.words(*names)
    return (*map(number, found.shares.values()), f"{at.false_per_100(found):.1f}")


def _classes(at: At) -> str:
    rows: list[Row] = [(f"at {at.threshold:g}", "faces", *WORDS, "precision", "F1")]
    for name in CLASSES:
        more = at.overall.precision(name), at.overall.f1(name)
        rows.append((name, str(at.overall.support(name)), *word_cells(at, at.overall, name), *map(number, more)))
    rows.append(("all", str(at.overall.words().faces), *word_cells(at, at.overall), "", number(at.overall.mean_f1)))
    return aligned(rows)


def _sizes(figures: Figures) -> str:
    at = figures.chosen
    rows: list[Row] = [("shorter side, px", f"at {at.threshold:g}", "faces", "AP50", *WORDS)]
    for score in figures.scores:
        for size, confusion in at.by_size.items():
            faces, ap50 = str(confusion.support(score.name)), number(score.ap50_by_size[size])
            rows.append((size, score.name, faces, ap50, *word_cells(at, confusion, score.name)))
    return aligned(rows, words=2)


def _sets(sets: Sequence[Figures]) -> str:
    rows: list[Row] = [("set", "images", "faces", *(f"AP50 {name}" for name in CLASSES), *WORDS)]
    for one in sets:
        faces, ap50 = str(one.chosen.overall.words().faces), [number(score.ap50) for score in one.scores]
        rows.append((one.name, str(one.images), faces, *ap50, *word_cells(one.chosen, one.chosen.overall)))
    return aligned(rows)


def _confusion(confusion: Confusion) -> str:
    rows: list[Row] = [(f"at {confusion.threshold:g}", *(f"found as {name}" for name in CLASSES), "not found")]
    for name, counts in zip((*CLASSES, "no face there"), confusion.counts, strict=True):
        cells = list(map(str, counts))
        rows.append((f"labelled {name}" if name in CLASSES else name, *cells[:2], cells[2] if name in CLASSES else ""))
    return aligned(rows)
