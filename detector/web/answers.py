"""Answers as HTML: one piece of the page that reads well on a phone, with a screen reader, and without colours.

Pictures travel inside it, so that nothing of a result is ever written to the server's disk.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

import cv2
import numpy as np

from detector.detections import Detections
from detector.media import images
from detector.media.draw import draw
from detector.media.images import Image
from detector.web.words import VERDICTS, sentence

__all__ = ["SHOWN_SIDE", "Panel", "answer", "data_url", "download", "figure", "problem", "shown"]

SHOWN_SIDE = 1600
"""Longest side of a picture on the page, px; larger ones are found in as they are and shown scaled down."""

ROWS = 50
"""Faces in the table; the JSON has all."""


@dataclass(frozen=True)
class Panel:
    """What one engine says of a picture.

    Args:
        engine: its name on the page.
        image: the picture as shown, BGR uint8 (H, W, 3).
        scale: the shown size by the original's.
        found: the faces, in pixels of the original.
        seconds: how long the engine took.
    """

    engine: str
    image: Image
    scale: float
    found: Detections
    seconds: float


def problem(text: str) -> str:
    """A message about what went wrong, read out at once by a screen reader."""
    return f'<p class="problem" role="alert">{escape(text)}</p>'


def shown(image: Image) -> tuple[Image, float]:
    """A BGR picture at the page's size, and that size as a share of the original's."""
    scale = min(1.0, SHOWN_SIDE / max(image.shape[:2]))
    if scale == 1.0:
        return image, scale
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False), scale


def data_url(data: bytes, mime: str) -> str:
    """A file as an address of itself."""
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"


def download(text: str, name: str, data: bytes, mime: str) -> str:
    """A link that saves a file under ``name``."""
    return f'<a class="save" download="{escape(name)}" href="{data_url(data, mime)}">{escape(text)}</a>'


def answer(name: str, panels: list[Panel], record: object, note: str = "") -> str:
    """What the picture tab shows: a sentence, each engine's picture and table, and the downloads.

    Args:
        name: the picture's own name, without its suffix.
        panels: one for each engine.
        record: what the JSON file says.
        note: something to add, such as that an animation's other pictures were left out.
    """
    pictures = [figure(panel, alone=len(panels) == 1) for panel in panels]
    extra = f'<p class="note" role="status">{escape(note)}</p>' if note else ""
    saved = [
        download(f"Save picture{_of(panel, panels)}", f"{name}{_suffix(panel, panels)}.jpg", data, "image/jpeg")
        for panel, (_, data) in zip(panels, pictures, strict=True)
    ]
    saved.append(download("Save JSON", f"{name}.json", json.dumps(record, indent=1).encode(), "application/json"))
    head = f'<p class="sentence" role="status">{escape(sentence(panels[0].found))}</p>' if len(panels) == 1 else ""
    columns = "".join(html for html, _ in pictures)
    return f'{head}{extra}<div class="pair">{columns}</div><p class="saves">{"".join(saved)}</p>'


def figure(panel: Panel, *, alone: bool) -> tuple[str, bytes]:
    """One engine's picture and table, and the picture as a JPEG file."""
    found = panel.found
    drawn = draw(panel.image, Detections(found.xyxy * np.float32(panel.scale), found.confidence, found.class_id))
    data = images.encode(drawn, ".jpg", 88)
    words = sentence(found)
    title = "" if alone else f'<p class="sentence" role="status">{escape(words)}</p>'
    caption = f"{escape(panel.engine)}, {1000 * panel.seconds:.0f} ms"
    picture = f'<img src="{data_url(data, "image/jpeg")}" alt="The picture with its faces marked. {escape(words)}">'
    return f"<figure>{title}{picture}<figcaption>{caption}</figcaption>{_table(found)}</figure>", data


def _table(found: Detections) -> str:
    if not len(found):
        return ""
    head = "<tr><th>Face</th><th>Verdict</th><th>How sure</th><th>Size</th></tr>"
    more = f'<p class="note">and {len(found) - ROWS} more, see the JSON</p>' if len(found) > ROWS else ""
    return f"<table><thead>{head}</thead><tbody>{''.join(_rows(found[:ROWS]))}</tbody></table>{more}"


def _rows(found: Detections) -> Iterable[str]:
    for number, (box, confidence, name) in enumerate(found, 1):
        size = f"{box[2] - box[0]:.0f} × {box[3] - box[1]:.0f} px"
        verdict = f'<span class="sign {name}"></span>{VERDICTS[name]}'
        yield f"<tr><td>{number}</td><td>{verdict}</td><td>{confidence:.0%}</td><td>{size}</td></tr>"


def _of(panel: Panel, panels: list[Panel]) -> str:
    return "" if len(panels) == 1 else f" ({panel.engine.lower()})"


def _suffix(panel: Panel, panels: list[Panel]) -> str:
    return "-masks" if len(panels) == 1 else "-" + panel.engine.lower().replace(" ", "-")
