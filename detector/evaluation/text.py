"""Figures as text: aligned tables for a terminal, Markdown for a README."""

from __future__ import annotations

import math
from collections.abc import Sequence

from detector.data.sample import Sample
from detector.defaults import sample_folder
from detector.detections import CLASSES
from detector.evaluation.figures import Figures
from detector.scoring import Confusion, calibration_error

__all__ = ["UNDEFINED", "WORDS", "aligned", "caveat", "describe", "markdown", "number", "word_cells"]

OF_THE_SAMPLE = "these are the sample's pictures, of three people with drawn masks: a score on them proves nothing"

UNDEFINED = "–"
"""Stands where a figure would divide by zero: there is no such face."""

WORDS = ("right", "wrong", "missed", "wrong of found", "false/100")
"""Heads of the shares of the faces that got the right word, the wrong one and none, and false boxes per 100 images."""

Row = Sequence[str]


def caveat(labelled: Sequence[Sample]) -> str:
    """What to say of figures on these images: where all are the sample's, that they prove nothing; else nothing."""
    return OF_THE_SAMPLE if all(image.path.resolve().is_relative_to(sample_folder()) for image in labelled) else ""


def number(value: float, decimals: int = 3) -> str:
    """With so many decimals, or a dash."""
    return UNDEFINED if math.isnan(value) else f"{value:.{decimals}f}"


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


def word_cells(confusion: Confusion, *names: str) -> tuple[str, ...]:
    """The cells below :data:`WORDS`: of the faces of these classes, of all by default."""
    return (*map(number, confusion.words(*names).shares.values()), f"{confusion.false_per_100(*names):.1f}")


def describe(figures: Figures, sets: Sequence[Figures] = ()) -> str:
    """Everything about one engine, for a terminal; ``sets`` are its figures on each set of the images."""
    chosen, best = figures.chosen.overall, figures.best
    sections = [
        f"{figures.name}: {figures.images} image{'' if figures.images == 1 else 's'}",
        _average_precision(figures),
        _classes(chosen),
        _sizes(figures),
        *([_sets(sets)] if len(sets) > 1 else []),
        _confusion(chosen),
        f"expected calibration error of the faces shown: {number(calibration_error(figures.reliability))}",
    ]
    if best:
        sections.append(
            f"best threshold {best.threshold:g}: right less wrong less false is {best.overall.words().balance}, "
            f"at {chosen.threshold:g} {chosen.words().balance}"
        )
    return "\n\n".join(sections)


def _average_precision(figures: Figures) -> str:
    rows = [(s.name, str(s.support), number(s.ap50), number(s.ap50_95)) for s in figures.scores]
    return aligned([("average precision", "faces", "AP50", "AP50-95"), *rows, ("mean", "", number(figures.ap50), "")])


def _classes(at: Confusion) -> str:
    rows: list[Row] = [(f"at {at.threshold:g}", "faces", *WORDS, "precision", "F1")]
    for name in CLASSES:
        more = number(at.precision(name)), number(at.f1(name))
        rows.append((name, str(at.words(name).faces), *word_cells(at, name), *more))
    rows.append(("all", str(at.words().faces), *word_cells(at), "", number(at.mean_f1)))
    return aligned(rows)


def _sizes(figures: Figures) -> str:
    rows: list[Row] = [("shorter side, px", f"at {figures.chosen.threshold:g}", "faces", "AP50", *WORDS)]
    for score in figures.scores:
        for size, at in figures.chosen.by_size.items():
            faces, ap50 = str(at.words(score.name).faces), number(score.ap50_by_size[size])
            rows.append((size, score.name, faces, ap50, *word_cells(at, score.name)))
    return aligned(rows, words=2)


def _sets(sets: Sequence[Figures]) -> str:
    rows: list[Row] = [("set", "images", "faces", *(f"AP50 {name}" for name in CLASSES), *WORDS)]
    for one in sets:
        at, ap50 = one.chosen.overall, [number(score.ap50) for score in one.scores]
        rows.append((one.name, str(one.images), str(at.words().faces), *ap50, *word_cells(at)))
    return aligned(rows)


def _confusion(at: Confusion) -> str:
    head = (f"at {at.threshold:g}", *(f"found as {name}" for name in CLASSES), "not found")
    rows = [(f"labelled {name}", *map(str, row)) for name, row in zip(CLASSES, at.counts, strict=False)]
    return aligned([head, *rows, ("no face there", *map(str, at.counts[2][:2]), "")])
