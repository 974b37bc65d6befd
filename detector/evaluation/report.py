"""A comparison as one HTML page that needs nothing else: style, charts and pictures are in it."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape

import cv2
import numpy as np

from detector.data.progress import Progress, silent
from detector.detections import CLASSES, Detections
from detector.evaluation import comparison as comparing
from detector.evaluation.chart import CHART_CSS, Chart, draw_chart
from detector.evaluation.comparison import Comparison
from detector.evaluation.differences import Difference, Verdict
from detector.evaluation.text import number
from detector.evaluation.timing import CANVAS
from detector.media import images
from detector.media.draw import draw
from detector.scoring import FACE_SIZES, SAME_FACE_IOU

__all__ = ["write_report"]

PICTURE_SIDE = 640  # px: enough to see a face in, small enough to send
JPEG_QUALITY = 82

CSS = (
    CHART_CSS
    + """
*{box-sizing:border-box}
body{margin:0 auto;max-width:1240px;padding:1rem;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.6rem;line-height:1.25;margin:.5rem 0}h2{font-size:1.2rem;margin:2.2rem 0 .6rem}
h3{font-size:1rem;margin:0 0 .4rem}p{max-width:75ch;margin:.5rem 0}
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;overflow-wrap:normal}
th,td{padding:.35rem .7rem;border-bottom:1px solid var(--faint);text-align:right;vertical-align:top}
th:first-child,td:first-child{text-align:left;padding-left:0}thead th{border-bottom:2px solid var(--ink)}
tbody th{font-weight:400;min-width:7.5em}td strong::after{content:"\\a0\\2713"}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:1.5rem}
figure{margin:0}figcaption{font-size:.9rem;margin-top:.3rem}svg.chart{width:100%;max-width:600px;display:block}
.images{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,var(--least)),1fr));gap:.8rem;align-items:start}
.images img{width:100%;height:auto;display:block;background:var(--faint)}
article{border-top:1px solid var(--faint);padding:1rem 0}
code{font-size:.95em}footer{margin-top:2rem;font-size:.9rem;border-top:1px solid var(--faint)}
@media (max-width:600px){body{padding:.7rem}table{font-size:.8rem}th,td{padding:.3rem .25rem}tbody th{min-width:6em}}
@media print{article{break-inside:avoid}}
"""
)


def write_report(comparison: Comparison, machine: str, progress: Progress = silent) -> str:
    """The page.

    Args:
        comparison: what to show; the images on which the engines differ are read again.
        machine: one line about the computer, since the times are its own.
        progress: wraps the loop over the images.

    Raises:
        SourceError: an image cannot be read any more.
    """
    title = f"{_listed(comparison.names)} compared"
    sections = [
        f"<h1>{escape(title)}</h1>",
        _introduction(comparison),
        _table(["", *map(escape, comparison.names)], _main_rows(comparison)),
        f'<div class="pair">{_time(comparison)}{_recall(comparison)}</div>',
        "<h2>What is taken for what</h2>",
        f'<div class="pair">{"".join(_confusion(comparison, index) for index in range(len(comparison.names)))}</div>',
        "<h2>Where they differ most</h2>",
        _gallery_introduction(comparison),
        *(_article(difference, comparison.names) for difference in progress(comparison.differences, "drawing")),
        _footer(comparison, machine),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{CSS}</style></head>\n<body>\n"
        + "\n".join(sections)
        + "\n</body></html>\n"
    )


def _introduction(comparison: Comparison) -> str:
    counts = [score.support for score in comparison.figures[0].scores]
    faces = " and ".join(f"{count} <code>{name}</code>" for count, name in zip(counts, CLASSES, strict=True))
    return (
        f"<p>All engines saw the same {len(comparison.labelled)} images with {faces} faces, and are scored alike. "
        f"Faces are shown from a confidence of {comparison.thresholds}. A check mark is the best of its row.</p>"
    )


def _main_rows(comparison: Comparison) -> Iterable[list[str]]:
    for row in comparing.table_rows(comparison):
        label = "".join(
            f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(escape(row.label).split("`"))
        )
        cells = zip(row.cells, row.best, strict=True)
        yield [label, *(f"<strong>{escape(cell)}</strong>" if best else escape(cell) for cell, best in cells)]


def _time(comparison: Comparison) -> str:
    if not comparison.timings:
        return "<figure><h2>Time</h2><p>Not measured: no labelled face of 40 px stands by itself.</p></figure>"
    head = ["faces", *(f"{escape(name)}, ms (found)" for name in comparison.names)]
    rows = [
        [str(timing.faces), *(f"{ms:.1f} ({found})" for ms, found in zip(timing.ms, timing.found, strict=True))]
        for timing in comparison.timings
    ]
    caption = (
        f"Median time for a picture of {CANVAS[0]}x{CANVAS[1]} px put together from labelled faces; the engines took "
        "turns. In brackets how many of the faces each engine found: what is not found takes no time to classify."
    )
    return _figure("Time against the number of faces", comparing.time_chart(comparison), caption, head, rows)


def _recall(comparison: Comparison) -> str:
    head = ["px", "masked faces", *map(escape, comparison.names)]
    rows = []
    for size in FACE_SIZES:
        at = [figures.chosen.by_size[size] for figures in comparison.figures]
        recalls = [number(confusion.recall("with_mask")) for confusion in at]
        rows.append([size, str(at[0].support("with_mask")), *recalls])
    caption = f"Share of the masked faces that are found as such, by their shorter side, at {comparison.thresholds}."
    return _figure("Masked faces found, by size", comparing.recall_chart(comparison), caption, head, rows)


def _figure(title: str, chart: Chart, caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return (
        f"<figure><h2>{title}</h2>{draw_chart(chart)}<figcaption>{escape(caption)}</figcaption>"
        f"<details><summary>As a table</summary>{_table(head, rows)}</details></figure>"
    )


def _confusion(comparison: Comparison, index: int) -> str:
    confusion = comparison.figures[index].chosen.overall
    rows = []
    for name, counts in zip((*CLASSES, None), confusion.counts, strict=True):
        label = f"labelled <code>{name}</code>" if name else "no face there"
        rows.append([label, *map(str, counts[:2]), str(counts[2]) if name else ""])
    head = [f"at {confusion.threshold:g}", *(f"found as <code>{name}</code>" for name in CLASSES), "not found"]
    return f"<div><h3>{escape(comparison.names[index])}</h3>{_table(head, rows)}</div>"


def _gallery_introduction(comparison: Comparison) -> str:
    if not comparison.differences:
        return "<p>Nowhere: every labelled face is right for all engines or for none, with as many false ones.</p>"
    count = len(comparison.differences)
    which = f"The {count} images on" if count > 1 else "The one image on"
    return (
        f"<p>{which} which most faces are right for one engine and not for another, or where one sees most faces that "
        "are none. A blue, closed box means a mask; four vermillion corners mean no mask.</p>"
    )


def _article(difference: Difference, names: Sequence[str]) -> str:
    picture = images.read(difference.image.path)
    scale = min(1.0, PICTURE_SIDE / max(picture.shape[:2]))
    if scale < 1:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(
            np.uint8, copy=False
        )
    title = difference.image.title
    shown = [_picture(picture, difference.image.truth, scale, "Labels", f"{title}: labels")]
    for name, verdict in zip(names, difference.verdicts, strict=True):
        said = _in_words(verdict)
        shown.append(_picture(picture, verdict.found, scale, f"{name}: {said}", f"{title}: {name}"))
    least = 380 if len(shown) % 3 == 0 else 460  # px of a picture: three in a row, or two, leave no one alone
    row = f'<div class="images" style="--least:{least}px">{"".join(shown)}</div>'
    return f"<article><h3>{escape(title)}</h3>{row}</article>"


def _picture(picture: images.Image, faces: Detections, scale: float, caption: str, alt: str) -> str:
    """The picture with its boxes; no words on it, which would hide small faces."""
    scaled = Detections(faces.xyxy * np.float32(scale), faces.confidence, faces.class_id)
    drawn = images.encode(draw(picture, scaled, labels=False), ".jpg", JPEG_QUALITY)
    counted = ", ".join(f"{faces.count(name)} {name}" for name in CLASSES)
    height, width = picture.shape[:2]
    return (
        f'<figure><img width="{width}" height="{height}" alt="{escape(f"{alt}, {counted}")}" loading="lazy" '
        f'src="data:image/jpeg;base64,{base64.b64encode(drawn).decode()}"><figcaption>{escape(caption)}</figcaption></figure>'
    )


def _in_words(verdict: Verdict) -> str:
    faces = verdict.right + verdict.wrong + verdict.missed
    parts = [f"{verdict.right} of {faces} right"]
    parts += [f"{verdict.wrong} of the other class"] if verdict.wrong else []
    parts += [f"{verdict.missed} missed"] if verdict.missed else []
    parts += [f"{verdict.false} where no face is labelled"] if verdict.false else []
    return ", ".join(parts)


def _footer(comparison: Comparison, machine: str) -> str:
    left_out = f" {len(comparison.unreadable)} images could not be read." if comparison.unreadable else ""
    return (
        f"<footer><p>A face and a detection are the same if they overlap by half (IoU {SAME_FACE_IOU}). Faces under "
        f"{comparison.min_side:g} px neither help nor hurt. AP50 is COCO's average precision, over all confidences. "
        f"All figures are of one word per face, as people are shown it.{left_out}</p>"
        f"<p>Times are those of this machine: {escape(machine)}.</p></footer>"
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already."""
    columns = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>' for first, *rest in rows
    )
    return f'<div class="wide"><table><thead><tr>{columns}</tr></thead><tbody>{body}</tbody></table></div>'


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
