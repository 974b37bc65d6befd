"""A comparison as one HTML page that needs nothing else: style, charts and pictures are in it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from detector.data.progress import Progress, silent
from detector.detections import CLASSES, Detections
from detector.evaluation.charts import Chart, draw_chart
from detector.evaluation.comparison import Comparison, Difference, table_rows
from detector.evaluation.pages import write_page
from detector.evaluation.text import caveat, number
from detector.evaluation.timing import CANVAS
from detector.media import images
from detector.media.draw import draw
from detector.scoring import SAME_FACE_IOU

__all__ = ["write_comparison"]

PICTURE_SIDE = 640  # px: enough to see a face in, small enough to send
JPEG_QUALITY = 82


@dataclass(frozen=True)
class _Picture:
    """An image with the boxes of the labels or of one engine; no words on it, which would hide small faces."""

    jpeg: bytes
    width: int
    height: int
    faces: str


def write_comparison(comparison: Comparison, machine: str, progress: Progress = silent) -> str:
    """The page.

    Args:
        comparison: what to show; the images on which the engines differ are read again.
        machine: one line about the computer, since the times are its own.
        progress: wraps the loop over the images.

    Raises:
        SourceError: an image cannot be read any more.
        MissingExtraError: Jinja2 or matplotlib is not installed.
    """
    return write_page(
        "comparison.html",
        comparison=comparison,
        machine=machine,
        caveat=caveat(comparison.labelled),
        rows=table_rows(comparison),
        time_chart=draw_chart(_time_chart(comparison)) if comparison.timings else "",
        recall_chart=draw_chart(_recall_chart(comparison)),
        pictures=[_pictures(difference) for difference in progress(comparison.differences, "drawing")],
        number=number,
        classes=CLASSES,
        canvas=CANVAS,
        same_face_iou=SAME_FACE_IOU,
    )


def _time_chart(comparison: Comparison) -> Chart:
    """Milliseconds per image against the number of faces; each step to the right is twice the faces."""
    timings = comparison.timings
    lines = {
        name: [(float(index), timing.ms[engine]) for index, timing in enumerate(timings)]
        for engine, name in enumerate(comparison.names)
    }
    ticks = {float(index): str(timing.faces) for index, timing in enumerate(timings)}
    title = "Time per image against the number of faces in it"
    return Chart(title, "faces in the picture", "ms per image", lines, ticks)


def _recall_chart(comparison: Comparison) -> Chart:
    """Share of the masked faces found, by their size."""
    lines = {
        figures.name: [(float(i), one.recall("with_mask")) for i, one in enumerate(figures.chosen.by_size.values())]
        for figures in comparison.figures
    }
    sizes = enumerate(comparison.figures[0].chosen.by_size.items())
    ticks = {float(i): f"{size} ({one.words('with_mask').faces})" for i, (size, one) in sizes}
    return Chart(
        "Masked faces found, by size", "shorter side in px (masked faces)", "masked faces found", lines, ticks, top=1
    )


def _pictures(difference: Difference) -> list[_Picture]:
    """The image with its labels, then with what each engine shows."""
    picture = images.read(difference.image.path)
    scale = min(1.0, PICTURE_SIDE / max(picture.shape[:2]))
    if scale < 1:
        smaller = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        picture = smaller.astype(np.uint8, copy=False)
    height, width = picture.shape[:2]
    shown = []
    for faces in (difference.image.truth, *(verdict.found for verdict in difference.verdicts)):
        scaled = Detections(faces.xyxy * np.float32(scale), faces.confidence, faces.class_id)
        jpeg = images.encode(draw(picture, scaled, labels=False), ".jpg", JPEG_QUALITY)
        shown.append(_Picture(jpeg, width, height, ", ".join(f"{faces.count(name)} {name}" for name in CLASSES)))
    return shown
