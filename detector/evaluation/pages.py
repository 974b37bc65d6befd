"""HTML pages from the templates in ``detector/templates``; each page needs no other file."""

from __future__ import annotations

import base64
from functools import cache
from typing import Any

from detector.errors import require_extra

__all__ = ["COLOURS", "DARK", "LIGHT", "write_page"]

COLOURS = {
    "paper": ("#ffffff", "#15181c"),
    "ink": ("#1a1a1a", "#e9e9e9"),
    "faint": ("#d6d6d6", "#3b4047"),
    "s0": ("#0072b2", "#56b4e9"),
    "s1": ("#b45309", "#f0a030"),
    "s2": ("#00805c", "#2cc79a"),
    "s3": ("#a0458a", "#e39ac8"),
    "s4": ("#5b5b5b", "#b9b9b9"),
}
"""Of pages and their charts, on white and on black. Those of lines, s0 to s4, are Okabe and Ito's (Color Universal
Design, 2008), darkened and lightened to a contrast of three to one."""

LIGHT, DARK = (";".join(f"--{name}:{pair[i]}" for name, pair in COLOURS.items()) for i in (0, 1))
"""The same as CSS variables."""


def write_page(template: str, **content: object) -> str:
    """A page in light and dark colours; it can be written as UTF-8 whatever the names of files are.

    Args:
        template: a file of ``detector/templates``; a whole page extends ``page.html``. The filter ``jpeg`` there turns
            the bytes of a picture into the address of an ``<img>``.
        content: what the template names; text in it is escaped, unless it is a ``markupsafe.Markup``.

    Raises:
        MissingExtraError: Jinja2 is not installed.
    """
    page: str = _environment().get_template(template).render(content, light=LIGHT, dark=DARK)
    return page.encode(errors="backslashreplace").decode()


@cache
def _environment() -> Any:
    require_extra("score", "jinja2")
    import jinja2

    pages = jinja2.Environment(
        loader=jinja2.PackageLoader("detector"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["jpeg"] = lambda jpeg: f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
    return pages
