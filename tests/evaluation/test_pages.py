from __future__ import annotations

import jinja2
import pytest

from detector.evaluation.pages import write_page


def test_a_page_has_light_and_dark_colours_and_asks_nothing_of_anyone() -> None:
    page = write_page("page.html")
    assert page.startswith("<!DOCTYPE html>")
    assert page.count("--paper:") == 2
    assert "http" not in page


def test_what_a_template_names_and_nobody_gives_is_an_error_not_a_gap() -> None:
    with pytest.raises(jinja2.UndefinedError):
        write_page("comparison.html")
