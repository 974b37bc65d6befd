from __future__ import annotations

import pytest
from lxml import etree

from detector.evaluation.charts import Chart, chart_file, draw_chart

SVG = "http://www.w3.org/2000/svg"


def test_a_chart_leaves_a_gap_where_nothing_is_known_and_escapes_names() -> None:
    points = [(0.0, 1.0), (1.0, float("nan")), (2.0, 2.0)]
    chart = Chart("a < b", "x", "y", {"<script>": points, "$other$": points})
    drawn = draw_chart(chart)
    root = etree.fromstring(drawn)
    assert root.get("aria-label") == "a < b"
    lines = [path.get("d", "") for path in root.iter(f"{{{SVG}}}path") if "stroke: var(--s0)" in path.get("style", "")]
    assert (lines[0].count("M"), lines[0].count("L")) == (2, 0)
    assert "<script>" not in drawn
    assert "$other$" in drawn  # no formula
    assert "nan" not in drawn
    assert chart_file(chart) == chart_file(chart)


@pytest.mark.parametrize(
    ("highest", "labels"),
    [
        (1, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (2, ["0", "1", "2"]),  # of things that are counted there is no half
        (37, ["0", "10", "20", "30"]),
        (100, ["0", "20", "40", "60", "80", "100"]),
    ],
)
def test_axes_begin_at_0_and_have_round_numbers(highest: float, labels: list[str]) -> None:
    root = etree.fromstring(draw_chart(Chart("", "x", "y", {"a": [(0.0, highest / 2), (1.0, highest)]})))
    (axis,) = (group for group in root.iter(f"{{{SVG}}}g") if group.get("id") == "matplotlib.axis_2")
    assert [text.text for text in axis.iter(f"{{{SVG}}}text")] == [*labels, "y"]
