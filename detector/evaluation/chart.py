"""Line charts as SVG: small, sharp at any size, and readable in light and dark, in a report or as a file.

A series is told by its marker, its dashes and its colour, in this order of trust: the colours are Okabe and Ito's
(Color Universal Design, 2008), darkened on white and lightened on black to a contrast of three to one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

__all__ = [
    "CHART_CSS",
    "CHART_RULES",
    "DARK",
    "LIGHT",
    "MARKERS",
    "Chart",
    "Series",
    "document",
    "draw_chart",
    "draw_marker",
    "ticks_up_to",
]

WIDTH, HEIGHT = 440, 290
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 12, 50
LEGEND_LINE = 22
MARKERS = 5
"""Kinds of series that can be told apart."""

DASHES = ("", "7 4", "2 4", "10 4 2 4", "5 2")

LIGHT = "--paper:#fff;--ink:#1a1a1a;--faint:#d6d6d6;--s0:#0072b2;--s1:#b45309;--s2:#00805c;--s3:#a0458a;--s4:#5b5b5b"
DARK = "--paper:#15181c;--ink:#e9e9e9;--faint:#3b4047;--s0:#56b4e9;--s1:#f0a030;--s2:#2cc79a;--s3:#e39ac8;--s4:#b9b9b9"
"""The colours of a chart as CSS variables, on white and on black."""

CHART_RULES = (
    "svg.chart{font:14px system-ui,sans-serif;fill:var(--ink)}"
    "svg.chart .grid{stroke:var(--faint)}svg.chart .axis{stroke:var(--ink)}"
    "svg .line{fill:none;stroke-width:2.2;stroke-linejoin:round}svg .marker{stroke:var(--paper);stroke-width:1}"
    + "".join(f"svg .s{i}{{--s:var(--s{i})}}" for i in range(MARKERS))
    + "svg .line{stroke:var(--s)}svg .marker{fill:var(--s)}"
)
"""How charts use :data:`LIGHT` or :data:`DARK`, on a page that has a switch of its own between the two."""

CHART_CSS = (
    f":root{{color-scheme:light dark;{LIGHT}}}@media (prefers-color-scheme:dark){{:root{{{DARK}}}}}" + CHART_RULES
)
"""The colours of a page and of its charts; put once into the page."""


@dataclass(frozen=True)
class Series:
    """One line.

    Args:
        name: what the legend says.
        points: x and y in the units of the axes; a y that is NaN leaves a gap.
        markers: every how many points a marker is drawn.
    """

    name: str
    points: Sequence[tuple[float, float]]
    markers: int = 1


@dataclass(frozen=True)
class Chart:
    """A line chart.

    Args:
        title: what it shows, for those who cannot see it.
        x_label, y_label: what the axes say.
        x_ticks: positions and their labels; the first and the last are the ends of the axis.
        y_ticks: likewise, from the bottom up.
        series: at most :data:`MARKERS` lines.
    """

    title: str
    x_label: str
    y_label: str
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]
    series: Sequence[Series]


def ticks_up_to(highest: float) -> list[tuple[float, str]]:
    """Round numbers from 0 to at least ``highest``, four to six of them."""
    rough = max(highest, 1e-9) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    return [(step * index, f"{step * index:g}") for index in range(math.ceil(highest / step - 1e-9) + 1)]


def draw_chart(chart: Chart) -> str:
    """The chart as an ``<svg>`` element; its page needs :data:`CHART_CSS`."""
    height = HEIGHT + LEGEND_LINE * len(chart.series)
    parts = [_grid(chart)]
    for index, series in enumerate(chart.series):
        parts.append(_line(chart, series, index))
        parts.append(_legend(series.name, index, HEIGHT + LEGEND_LINE * index + 8))
    title = escape(chart.title)
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{title}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def document(chart: Chart) -> str:
    """The chart as an SVG file of its own."""
    style = f"<style>{CHART_CSS}svg.chart{{background:var(--paper)}}</style><title>{escape(chart.title)}</title>"
    start, _, rest = draw_chart(chart).partition(">")
    return f"{start}>{style}{rest}\n"


def draw_marker(index: int, x: float, y: float, tip: str = "") -> str:
    """The marker of a series around a point of an ``<svg>``: circle, square, triangle, diamond or cross."""
    shape = (
        "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0z", "M-4-4h8v8h-8z", "M0-5.4L5 3.8H-5z",
        "M0-5.6L5.6 0L0 5.6L-5.6 0z", "M-1.8-5h3.6v3.2h3.2v3.6h-3.2v3.2h-3.6v-3.2h-3.2v-3.6h3.2z",
    )[index]  # fmt: skip
    title = f"<title>{escape(tip)}</title>" if tip else ""
    return f'<path class="marker s{index}" transform="translate({x:.1f} {y:.1f})" d="{shape}">{title}</path>'


def _place(chart: Chart, x: float, y: float) -> tuple[float, float]:
    """A point of the axes in the units of the picture."""
    (x0, x1), (y0, y1) = ((ticks[0][0], ticks[-1][0]) for ticks in (chart.x_ticks, chart.y_ticks))
    across = LEFT + (WIDTH - LEFT - RIGHT) * (x - x0) / (x1 - x0 or 1.0)
    return across, HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (y - y0) / (y1 - y0 or 1.0)


def _grid(chart: Chart) -> str:
    parts = []
    bottom = HEIGHT - BOTTOM
    for value, label in chart.y_ticks:
        y = _place(chart, chart.x_ticks[0][0], value)[1]
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{escape(label)}</text>')
    for index, (value, label) in enumerate(chart.x_ticks):
        x = _place(chart, value, chart.y_ticks[0][0])[0]
        anchor = "end" if index == len(chart.x_ticks) - 1 else "middle"
        parts.append(f'<path class="axis" d="M{x:.1f} {bottom}v4"/>')
        end = x + RIGHT - 2 if anchor == "end" else x
        parts.append(f'<text x="{end:.1f}" y="{bottom + 18}" text-anchor="{anchor}">{escape(label)}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<path class="axis" d="M{LEFT} {bottom}H{WIDTH - RIGHT}"/>')
    parts.append(f'<text x="{middle}" y="{bottom + 40}" text-anchor="middle">{escape(chart.x_label)}</text>')
    turned = f"rotate(-90) translate({-(TOP + bottom) / 2} 12)"
    parts.append(f'<text transform="{turned}" text-anchor="middle">{escape(chart.y_label)}</text>')
    return "".join(parts)


def _line(chart: Chart, series: Series, index: int) -> str:
    labels = dict(chart.x_ticks)
    path, markers, drawing = [], [], False
    for number, (x, y) in enumerate(series.points):
        if math.isnan(y):
            drawing = False
            continue
        across, up = _place(chart, x, y)
        path.append(f"{'L' if drawing else 'M'}{across:.1f} {up:.1f}")
        drawing = True
        if number % series.markers == 0:
            tip = f"{series.name}: {chart.x_label} {labels.get(x, f'{x:g}')}, {chart.y_label} {y:.3g}"
            markers.append(draw_marker(index, across, up, tip))
    dashes = f' stroke-dasharray="{DASHES[index]}"' if DASHES[index] else ""
    return f'<path class="line s{index}"{dashes} d="{"".join(path) or "M0 0"}"/>{"".join(markers)}'


def _legend(name: str, index: int, y: float) -> str:
    dashes = f' stroke-dasharray="{DASHES[index]}"' if DASHES[index] else ""
    return (
        f'<path class="line s{index}"{dashes} d="M{LEFT} {y}h40"/>{draw_marker(index, LEFT + 20, y)}'
        f'<text x="{LEFT + 50}" y="{y + 4}">{escape(name)}</text>'
    )
