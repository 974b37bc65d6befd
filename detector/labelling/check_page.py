"""The contact sheet: one HTML page with a picture of each disagreement, and a button that saves the ticked ones.

Nothing but the page is needed to look at it: style, script and pictures are in it. Boxes are drawn by the browser, so
that they stay thin on a small face.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Sequence
from html import escape

import cv2
import numpy as np

from detector.data.progress import Progress, silent
from detector.evaluation.pages import DARK, LIGHT
from detector.labelling.correction_rows import Row, rows_of, to_csv
from detector.labelling.disagreements import KINDS, Disagreement
from detector.media import images

__all__ = ["write_sheet"]

CONTEXT = 2.5
"""The picture shows so many times the longer side of the boxes."""

LEAST_SIDE = 90  # px of the image: less of it around a small face says nothing
MOST_PIXELS = 400  # px of the picture in the page, for sharp screens; CSS shows it at 200 to 380 px
JPEG_QUALITY = 80

WORDS = {"with_mask": "with a mask", "without_mask": "without a mask"}
DOES = {"missed": "add the box", "extra": "remove the box", "class": "change the class", "loose": "move the box"}

CSS = (
    f":root{{color-scheme:light dark;{LIGHT}}}@media (prefers-color-scheme:dark){{:root{{{DARK}}}}}"
    + """
*{box-sizing:border-box}
body{margin:0 auto;max-width:1280px;padding:1rem 1rem 5rem;background:var(--paper);color:var(--ink);
font:16px/1.45 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.5rem;line-height:1.25;margin:.3rem 0 .6rem}h2{font-size:1rem;margin:.5rem 0 .1rem}
p{margin:.3rem 0;max-width:75ch}p span{white-space:nowrap}
main{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,230px),1fr));gap:1.2rem 1rem;margin-top:1.2rem}
article p{font-size:.9rem;margin:.15rem 0}article .file{color:var(--s4);font-size:.8rem}
article:has(input:not(:checked)) svg,article:has(input:not(:checked)) p{opacity:.45}
svg.picture{display:block;width:100%;aspect-ratio:1;background:var(--faint)}
svg rect{fill:none;vector-effect:non-scaling-stroke}
svg .rim{stroke:#000;stroke-width:5;stroke-opacity:.55}
svg .label{stroke:#ffb000;stroke-width:2.5}svg .found{stroke:#5cc8ff;stroke-width:2.5;stroke-dasharray:7 4}
svg .other{stroke:#fff;stroke-width:1.5;stroke-opacity:.85;stroke-dasharray:1.5 3}
svg.key{width:2.6em;height:1.3em;vertical-align:-.3em;background:#777}
label{display:flex;gap:.5rem;align-items:center;min-height:2.5rem;cursor:pointer}
input{width:1.25rem;height:1.25rem;margin:0}
#bar{position:fixed;left:0;right:0;bottom:0;padding:.6rem 1rem;background:var(--paper);
border-top:1px solid var(--faint);display:flex;gap:.4rem 1rem;align-items:center;justify-content:center;flex-wrap:wrap}
#bar a{padding:.5rem 1rem;border-radius:.4rem;background:var(--s0);color:var(--paper);
text-decoration:none;font-weight:600}
@media (max-width:600px){main{grid-template-columns:repeat(2,1fr);gap:1rem .7rem}article p{font-size:.85rem}}
@media print{#bar{display:none}article{break-inside:avoid}}
"""
)

SCRIPT = """
const data = JSON.parse(document.getElementById("rows").textContent);
const boxes = [...document.querySelectorAll("article input")];
const link = document.querySelector("#bar a");
let url;
function update() {
  const kept = boxes.filter(box => box.checked);
  URL.revokeObjectURL(url);
  const lines = kept.map(box => data.items[box.value]);
  url = URL.createObjectURL(new Blob([data.head, ...lines], {type: "text/csv"}));
  link.href = url;
  document.getElementById("count").textContent = kept.length + " of " + boxes.length + " ticked";
}
for (const box of boxes) box.addEventListener("change", update);
update();
"""


def write_sheet(
    disagreements: Sequence[Disagreement], earlier: Sequence[Row], images_seen: int, progress: Progress = silent
) -> str:
    """The page.

    Args:
        disagreements: what to show, in this order; their numbers begin with 1. The images are read again.
        earlier: rows that the saved file begins with.
        images_seen: how many images were looked at.
        progress: wraps the loop over the pictures.

    Raises:
        SourceError: an image cannot be read any more.
    """
    numbered = list(enumerate(disagreements, 1))
    articles = [_article(item, disagreement) for item, disagreement in progress(numbered, "drawing")]
    content = {
        "head": to_csv(earlier),
        "items": {str(item): to_csv(rows_of(item, one), head=False) for item, one in numbered},
    }
    rows = json.dumps(content).replace("<", "\\u003c")  # a file name must not end the script
    title = "Labels that the network would change"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{CSS}</style></head>\n<body>\n<h1>{title}</h1>\n"
        f"{_introduction(disagreements, images_seen)}\n<main>\n" + "\n".join(articles) + "\n</main>\n"
        '<div id="bar"><span id="count"></span><a download="corrections.csv" href="#">Save corrections.csv</a></div>\n'
        f'<script type="application/json" id="rows">{rows}</script>\n<script>{SCRIPT}</script>\n</body></html>\n'
    )


def _introduction(disagreements: Sequence[Disagreement], images_seen: int) -> str:
    counts = Counter(disagreement.kind for disagreement in disagreements)
    listed = ", ".join(f"{counts[kind]} × {words}" for kind, words in KINDS.items() if counts[kind]) or "none"
    keys = {"label": "the label", "found": "what the network sees", "other": "other labels"}
    return (
        f"<p>{images_seen} images were compared with their labels. Shown here, the surest first: {listed}.</p>"
        f"<p>{' &ensp; '.join(f'<span>{_key(kind)} {words}</span>' for kind, words in keys.items())}</p>"
        "<p>The network errs too. Untick what is right as it is labelled, and save what is left: "
        "<code>mask-detector convert --corrections</code> applies it. "
        "The pictures are copies: mind whom you send them to.</p>"
    )


def _key(kind: str) -> str:
    rectangle = f'<rect class="{kind}" x="4" y="4" width="32" height="12"/>'
    return f'<svg class="key" viewBox="0 0 40 20" aria-hidden="true">{rectangle}</svg>'


def _article(item: int, one: Disagreement) -> str:
    said = _in_words(one)
    return (
        f"<article>{_picture(one, f'{one.image.title}: {said}')}"
        f"<h2>{item}. {KINDS[one.kind].capitalize()}</h2><p>{escape(said)}</p>"
        f'<p class="file">{escape(one.image.title)}, score {one.score:.2f}</p>'
        f'<label><input type="checkbox" value="{item}" checked autocomplete="off">{DOES[one.kind]}</label></article>'
    )


def _in_words(one: Disagreement) -> str:
    label = WORDS[one.label.name] if one.label else ""
    found = f"{WORDS[one.found.name]} ({one.found.confidence:.2f})" if one.found else ""
    return {
        "missed": f"The network sees a face {found}. There is no label.",
        "extra": f"Labelled {label}. The network sees no face.",
        "class": f"Labelled {label}. The network sees it {found}.",
        "loose": f"Labelled {label}. The network sees the face elsewhere, {found}.",
    }[one.kind]


def _picture(one: Disagreement, alt: str) -> str:
    """The surroundings of the boxes as an ``<svg>`` in pixels of the image."""
    whole = images.read(one.image.path)
    left, top, right, bottom = _window(one, (whole.shape[1], whole.shape[0]))
    cut = whole[top:bottom, left:right]
    scale = MOST_PIXELS / max(cut.shape[:2])
    if scale < 1:
        cut = cv2.resize(cut, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    data = base64.b64encode(images.encode(np.ascontiguousarray(cut), ".jpg", JPEG_QUALITY)).decode()
    width, height = right - left, bottom - top
    drawn = [_rectangle("other", box, left, top) for box in one.others]
    for kind, face in (("label", one.label), ("found", one.found)):
        drawn += [_rectangle("rim", face.xyxy, left, top), _rectangle(kind, face.xyxy, left, top)] if face else []
    return (
        f'<svg class="picture" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(alt)}">'
        f'<image width="{width}" height="{height}" href="data:image/jpeg;base64,{data}"/>{"".join(drawn)}</svg>'
    )


def _window(one: Disagreement, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """A square around the boxes, moved into the image and cut where it is larger: left, top, right, bottom."""
    corners = np.array([face.xyxy for face in (one.label, one.found) if face])
    low, high = corners[:, :2].min(axis=0), corners[:, 2:].max(axis=0)
    side = max(LEAST_SIDE, CONTEXT * float((high - low).max()))
    start = np.clip((low + high - side) / 2, 0, np.maximum(np.array(size) - side, 0))
    end = np.minimum(start + side, size)
    left, top, right, bottom = np.rint([*start, *end]).astype(int).tolist()
    return left, top, right, bottom


def _rectangle(kind: str, box: Sequence[float], left: float, top: float) -> str:
    x1, y1, x2, y2 = box
    return f'<rect class="{kind}" x="{x1 - left:.1f}" y="{y1 - top:.1f}" width="{x2 - x1:.1f}" height="{y2 - y1:.1f}"/>'
