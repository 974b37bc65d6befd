"""What a chat shows of a link to the page: by itself it would find Gradio's title, sentence and picture first."""

from __future__ import annotations

import re
from importlib.resources import files

from gradio import routes
from jinja2 import ChoiceLoader, DictLoader
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

__all__ = ["SENTENCE", "TITLE", "preview_route", "set_link_preview"]

TITLE = "Mask detector"
SENTENCE = (
    "Finds the faces in a picture, in a video or before your camera, and says who wears a mask over nose and mouth."
)
TAGS = f"""<head>
<title>{TITLE}</title>
<meta name="description" content="{SENTENCE}">
<meta property="og:type" content="website">
<meta property="og:title" content="{TITLE}">
<meta property="og:description" content="{SENTENCE}">
<meta property="og:image" content="{{{{ config['root'] }}}}/preview.jpg">
<meta property="og:image:width" content="1200">
<meta property="og:image:height" content="630">
<meta name="twitter:card" content="summary_large_image">"""
_GRADIOS = re.compile(r"<meta\s+(?:property|name)=\"(?:og|twitter):[^>]*>\s*")


def set_link_preview() -> None:
    """Put the page's tags in place of Gradio's, in the templates that it serves in this process."""
    environment = routes.templates.env
    known = environment.loader
    if known is None or isinstance(known, ChoiceLoader):  # done already
        return
    pages = {}
    for name in ("frontend/index.html", "frontend/share.html"):
        source = _GRADIOS.sub("", known.get_source(environment, name)[0])
        pages[name] = source.replace("<head>", TAGS, 1)
    environment.loader = ChoiceLoader([DictLoader(pages), known])


def preview_route() -> Route:
    """The picture, at /preview.jpg, 1200 x 630 px."""
    jpeg = files("detector").joinpath("templates/web/preview.jpg").read_bytes()

    async def answer(_: Request) -> Response:
        return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "max-age=86400"})

    return Route("/preview.jpg", answer)
