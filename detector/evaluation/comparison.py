"""Several engines on the same images: the table that says which is ahead, and where they differ most."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detector.data.sample import Sample
from detector.detections import CLASSES, Detections
from detector.evaluation import text
from detector.evaluation.contenders import Findings
from detector.evaluation.figures import Figures
from detector.evaluation.timing import CANVAS, Timing
from detector.scoring import Words, count, match

__all__ = ["Comparison", "Difference", "Row", "Verdict", "most_different", "table", "table_rows"]

TIMED = (1, 16)
"""Numbers of faces that the table has the time for."""


@dataclass(frozen=True)
class Verdict:
    """How one engine did on one image.

    Args:
        found: what it shows at the threshold.
        words: what became of the labelled faces.
    """

    found: Detections
    words: Words


@dataclass(frozen=True)
class Difference:
    """An image and what each engine made of it.

    Args:
        image: the image.
        amount: faces that some engines got right and others not, plus how far apart their false alarms are.
        verdicts: one for each engine.
    """

    image: Sample
    amount: int
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True)
class Comparison:
    """The outcome of a comparison.

    Args:
        figures: one for each engine, in the order of the table.
        timings: from the fewest faces to the most; none where there was no face to time with.
        differences: the images on which the engines differ most.
        labelled: the images that all engines saw.
        unreadable: a line for each image that could not be read.
        min_side: faces under this many px did not count.
    """

    figures: Sequence[Figures]
    timings: Sequence[Timing]
    differences: Sequence[Difference]
    labelled: Sequence[Sample]
    unreadable: Sequence[str]
    min_side: float

    @property
    def names(self) -> list[str]:
        """The engines."""
        return [figures.name for figures in self.figures]

    @property
    def thresholds(self) -> str:
        """From which confidence on faces were shown; one after the other where the engines have their own."""
        own = [f"{figures.chosen.threshold:g}" for figures in self.figures]
        return own[0] if len(set(own)) == 1 else " / ".join(own)


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Args:
        label: what it says.
        cells: one for each engine.
        best: whether the engine's cell is the best, or as good as it once rounded; none if all are the same.
    """

    label: str
    cells: tuple[str, ...]
    best: tuple[bool, ...]


def table_rows(comparison: Comparison) -> list[Row]:
    """The rows: average precision, what is said at the threshold, and time; all of one word per face."""
    figures, at = comparison.figures, f"at {comparison.thresholds}"
    overall = [f.chosen.overall for f in figures]
    shares = [each.words().shares for each in overall]
    rows = [
        _row(f"AP50 `{name}` ({figures[0].scores[index].support} faces)", [f.scores[index].ap50 for f in figures])
        for index, name in enumerate(CLASSES)
    ]
    rows += [
        _row("AP50, mean", [f.ap50 for f in figures]),
        _row(f"right word {at}, of all faces", [each["right"] for each in shares]),
        _row(f"wrong word {at}, of all faces", [each["wrong"] for each in shares], lowest=True),
        _row(f"missed {at}", [each["missed"] for each in shares], lowest=True),
        _row(f"false boxes per 100 images {at}", [each.false_per_100() for each in overall], lowest=True, decimals=1),
        _row(f"masked faces found {at} (recall)", [each.recall("with_mask") for each in overall]),
        _best_word(figures),
    ]
    for timing in comparison.timings:
        if timing.faces in TIMED:
            label = f"ms at {timing.faces} face{'' if timing.faces == 1 else 's'}, {CANVAS[0]}x{CANVAS[1]}"
            rows.append(_row(label, timing.ms, lowest=True, decimals=1))
    return rows


def table(comparison: Comparison) -> str:
    """The table in Markdown, the best of each row in bold."""
    rows = [
        (row.label, *(f"**{cell}**" if best else cell for cell, best in zip(row.cells, row.best, strict=True)))
        for row in table_rows(comparison)
    ]
    return text.markdown([("", *comparison.names), *rows])


def most_different(
    findings: Findings, thresholds: Sequence[float], *, min_side: float, most: int = 12
) -> list[Difference]:
    """The images with the greatest differences, the greatest first; fewer than ``most`` if the engines agree on others.

    Args:
        findings: what the engines found.
        thresholds: from which confidence on each engine shows a face.
        min_side: faces under this many px do not count.
        most: at most so many images.
    """
    differences = []
    for index, image in enumerate(findings.labelled):
        right, verdicts = [], []
        for examples, threshold in zip(findings.examples, thresholds, strict=True):
            matches, found = match([examples[index]], min_side=min_side), examples[index].found
            right.append((matches.confidence >= threshold) & (matches.found == matches.truth))
            verdicts.append(Verdict(found[found.confidence >= threshold], count(matches, threshold).words()))
        torn = np.any(right, axis=0) & ~np.all(right, axis=0)
        alarms = [verdict.words.false for verdict in verdicts]
        differences.append(Difference(image, int(torn.sum()) + max(alarms) - min(alarms), tuple(verdicts)))
    differences.sort(key=lambda difference: -difference.amount)  # stable: images that tie keep their order
    return [difference for difference in differences[:most] if difference.amount]


def _row(label: str, values: Sequence[float], *, lowest: bool = False, decimals: int = 3) -> Row:
    cells = tuple(text.number(value, decimals) for value in values)
    known = [value for value in values if not math.isnan(value)]
    if len(set(cells)) == 1:
        return Row(label, cells, (False,) * len(cells))
    best = text.number(min(known) if lowest else max(known), decimals)
    return Row(label, cells, tuple(cell == best for cell in cells))


def _best_word(figures: Sequence[Figures]) -> Row:
    """Confidences of different engines mean different things, so each is also shown at its own best threshold."""
    shares = [f.best.overall.words().shares["right"] if f.best else math.nan for f in figures]
    row = _row("right word at the engine's best threshold", shares)
    at = (f" (at\N{NO-BREAK SPACE}{f.best.threshold:g})" if f.best else "" for f in figures)
    return Row(row.label, tuple(map("".join, zip(row.cells, at, strict=True))), row.best)
