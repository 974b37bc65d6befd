"""HTML pages from the templates in ``detector/templates``; each page needs no other file."""

from __future__ import annotations

import base64

from detector.errors import MissingExtraError
from detector.evaluation.charts import DARK, LIGHT

__all__ = ["write_page"]


def write_page(template: str, **content: object) -> str:
    """A page in light and dark colours; it can be written as UTF-8 whatever the names of files are.

    Args:
        template: a file of ``detector/templates``, which extends ``page.html``. The filter ``jpeg`` there turns the
            bytes of a picture into the address of an ``<img>``.
        content: what the template names; text in it is escaped, unless it is a ``markupsafe.Markup``.

    Raises:
        MissingExtraError: Jinja2 is not installed.
    """
    try:
        import jinja2
    except ImportError as error:
        raise MissingExtraError("Jinja2", "score") from error

    pages = jinja2.Environment(
        loader=jinja2.PackageLoader("detector"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["jpeg"] = lambda jpeg: f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
    page = pages.get_template(template).render(content, light=LIGHT, dark=DARK)
    return page.encode(errors="backslashreplace").decode()
