"""Line charts as SVG: sharp at any size, in a page of light or dark colours or as a file.

A line is told by its marker, its dashes and its colour, in this order of trust.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from detector.detections import CLASSES
from detector.errors import require_extra
from detector.evaluation.figures import Figures
from detector.evaluation.pages import COLOURS
from detector.scoring import SAME_FACE_IOU, calibration_error, reliability

__all__ = [
    "LINES",
    "Chart",
    "chart_file",
    "draw_chart",
    "precision_recall_chart",
    "reliability_chart",
]

PAPER, INK, FAINT, *LINE_COLOURS = (light for light, _ in COLOURS.values())
MARKERS = "os^DP"
DASHES = ("-", "--", ":", "-.", (0, (5, 2)))
LINES = len(MARKERS)
"""A chart's lines at most: so many can be told apart."""


@dataclass(frozen=True)
class Chart:
    """A line chart.

    Args:
        title: what it shows, for those who cannot see it.
        x_label, y_label: what the axes say.
        lines: for each name in the legend its points (x, y); a y that is NaN leaves a gap. At most :data:`LINES`.
        x_ticks: positions with their labels; round numbers by default.
        top: where the y axis ends; above the highest point by default. It begins at 0.
    """

    title: str
    x_label: str
    y_label: str
    lines: Mapping[str, Sequence[tuple[float, float]]]
    x_ticks: Mapping[float, str] | None = None
    top: float | None = None


def chart_file(chart: Chart) -> str:
    """The chart as an SVG file on white.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    require_extra("score", "matplotlib")
    import matplotlib  # here: it takes half a second
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    # Text stays text; a name with a $ is no formula; and the same chart gives the same bytes.
    settings: dict[Any, Any] = {"svg.fonttype": "none", "text.parse_math": False, "svg.hashsalt": chart.title}
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(5, 3.3 + 0.25 * len(chart.lines)), layout="constrained", facecolor=PAPER)
        axes = figure.subplots()
        axes.set_facecolor("none")
        axes.spines[:].set_visible(False)
        axes.spines["bottom"].set(visible=True, color=INK)
        axes.tick_params(colors=INK, left=False)
        axes.grid(axis="y", color=FAINT, clip_on=False)
        for (name, points), marker, dashes, colour in zip(
            chart.lines.items(), MARKERS, DASHES, LINE_COLOURS, strict=False
        ):
            xs, ys = zip(*points, strict=True) if points else ((), ())
            every = max(1, len(points) // 12)
            axes.plot(xs, ys, label=name, marker=marker, markevery=every, linestyle=dashes, color=colour, clip_on=False)
        axes.set_xlabel(chart.x_label, color=INK)
        axes.set_ylabel(chart.y_label, color=INK)
        axes.margins(y=0)
        axes.set_ylim(0, chart.top)
        counts = all(y % 1 == 0 for points in chart.lines.values() for _, y in points)
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10], integer=counts))
        axes.yaxis.set_major_formatter("{x:g}")
        if chart.x_ticks:
            axes.set_xticks(list(chart.x_ticks), list(chart.x_ticks.values()))
        figure.legend(loc="outside lower left", frameon=False, labelcolor=INK, handlelength=3)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return file.getvalue()


def draw_chart(chart: Chart) -> str:
    """The chart as an ``<svg>`` element, in the colours of its page.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    drawn = chart_file(chart).partition("<svg ")[2]
    for name, (light, _) in COLOURS.items():
        drawn = drawn.replace(light, f"var(--{name})")
    return f'<svg class="chart" role="img" aria-label="{escape(chart.title)}" {drawn}'


def precision_recall_chart(figures: Figures) -> Chart:
    """The precision-recall curve of each class that has faces."""
    lines = {
        f"{score.name}: AP50 {score.ap50:.3f} ({score.support} faces)": [
            (index / (len(score.curve) - 1), precision) for index, precision in enumerate(score.curve)
        ]
        for score in figures.scores
        if score.support
    }
    title = f"Precision against recall, {figures.name}, {figures.images} images"
    return Chart(title, "recall", f"precision (IoU {SAME_FACE_IOU})", lines, top=1)


def reliability_chart(figures: Figures) -> Chart:
    """The share of the shown faces that are right against their confidence, of each class that has any."""
    lines = {"as it should be": [(0.0, 0.0), (1.0, 1.0)]}
    for name in CLASSES:
        bins = reliability(figures.matches, figures.chosen.threshold, [name])
        if bins:
            faces, error = sum(each.faces for each in bins), calibration_error(bins)
            lines[f"{name}: {faces} boxes, expected calibration error {error:.3f}"] = [
                (each.confidence, each.right) for each in bins
            ]
    title = f"Right among the faces shown, {figures.name}, {figures.images} images"
    return Chart(title, "confidence", "share that is right", lines, top=1)
