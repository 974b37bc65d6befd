"""What axe-core finds on the page: nothing above "minor", in both themes, on a desk and on a phone, on every tab."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def axe() -> str:
    """The script that looks at a page."""
    package = pytest.importorskip("axe_playwright_python")
    return (Path(package.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


def findings(page: Any, tab: str) -> Iterator[str]:
    """What is above "minor", with where it is."""
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.wait_for_function(f"document.body.classList.contains('dark') === {str(theme == 'dark').lower()}")
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 844})
            for each in page.evaluate("axe.run(document, { resultTypes: ['violations'] })")["violations"]:
                if each["impact"] != "minor":
                    for node in each["nodes"]:
                        where = f"{tab}, {theme}, {width}: {node['html'][:200]}"
                        yield f"{where}: {each['id']} ({each['impact']}): {node['failureSummary']}"


def test_axe_finds_nothing_above_minor(axe: str, page: Any, clip: Path) -> None:
    page.evaluate(axe)
    page.add_style_tag(content="* { transition: none !important; }")  # else colours are caught between two themes
    found = [*findings(page, "Picture, empty")]
    page.locator("#picture .choose").set_input_files(str(ROOT / "data/images/video_call_six.jpg"))
    page.locator("#picture .result", has_text="6 faces").wait_for(timeout=30_000)
    found += findings(page, "Picture")
    page.get_by_role("tab", name="Webcam").click()
    found += findings(page, "Webcam, off")
    page.locator("#live .start").click()
    page.locator("#live .sentence", has_text="3 faces").wait_for(timeout=30_000)
    found += findings(page, "Webcam")
    page.locator("#live .start").click()
    page.get_by_role("tab", name="Video").click()
    found += findings(page, "Video, empty")
    page.locator("#video .choose").set_input_files(str(clip))
    page.locator("#video .start").click()
    page.locator("#video .saves").wait_for(timeout=60_000)
    found += findings(page, "Video")
    assert found == []
