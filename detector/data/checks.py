"""Is this image whole, are its boxes inside it, does its annotation speak of the same image?"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from detector.data import voc
from detector.data.classmap import IGNORE
from detector.data.pairing import Pair
from detector.data.report import Report
from detector.detections import CLASSES, Detections
from detector.errors import SourceError
from detector.media.image_header import read_header
from detector.media.images import image_size

__all__ = ["ground_truth", "usable_size"]

MIN_IMAGE_SIDE = 10  # ultralytics silently leaves smaller images out
MIN_BOX_SIDE = 1.0


def usable_size(found: Pair, report: Report) -> tuple[int, int] | None:
    """(width, height) in pixels of the upright image; None, and a line in the report, if it cannot be used."""
    try:
        size = _read_size(found.image)
    except SourceError as error:
        report.drop("image", found.title, str(error).removeprefix(f"{found.image}: "))
        return None
    if min(size) < MIN_IMAGE_SIDE:
        report.drop(
            "image", found.title, f"{size[0]}x{size[1]} px: smaller than {MIN_IMAGE_SIDE} px cannot be trained on"
        )
        return None
    _compare_sizes(found, size, report)
    return size


def ground_truth(found: Pair, size: tuple[int, int], report: Report) -> Detections:
    """The boxes that can be used, in the order of the file, clipped to an image of ``size``.

    The classes are taken from ``report.classes``. Every box that is dropped or mended is reported.
    """
    corners: dict[tuple[tuple[float, ...], int], None] = {}
    for index, box in enumerate(found.label.boxes, 1):
        name = report.classes[box.name]
        if name == IGNORE:
            continue
        left, top, right, bottom = _within(box, size)
        if right - left < MIN_BOX_SIDE or bottom - top < MIN_BOX_SIDE:
            report.drop("box", found.title, f"{index} ({box}): under {MIN_BOX_SIDE:g} px in {size[0]}x{size[1]}")
            continue
        entry = ((left, top, right, bottom), CLASSES.index(name))
        if entry in corners:
            report.drop("box", found.title, f"{index} ({box}): the same again")
            continue
        if (entry[0], 1 - entry[1]) in corners:
            report.suspect("box", found.title, f"{index} ({box}): labelled with both classes")
        if box.xmin > box.xmax or box.ymin > box.ymax:
            report.mend("box", found.title, f"{index} ({box}): corners put in order")
        if [left, right, top, bottom] != [*sorted((box.xmin, box.xmax)), *sorted((box.ymin, box.ymax))]:
            report.mend("box", found.title, f"{index} ({box}): clipped to the image")
        corners[entry] = None
    xyxy = np.array([entry[0] for entry in corners], np.float32).reshape(-1, 4)
    class_id = np.array([entry[1] for entry in corners], np.int64)
    return Detections(xyxy, np.ones(len(corners), np.float32), class_id)


def _read_size(image: Path) -> tuple[int, int]:
    """As :func:`image_size`, but a file that is cut short is refused too, all in one reading of the header."""
    try:
        with image.open("rb") as file:
            header = read_header(file)
    except OSError as error:
        raise SourceError(f"cannot be read ({error.strerror}): check its permissions") from error
    if not header.complete:
        raise SourceError("the file is cut short: copy it again")
    if header.format in {"jpeg", "png"} and header.upright_size and all(header.upright_size):
        return header.upright_size
    return image_size(image)


def _within(box: voc.Box, size: tuple[int, int]) -> tuple[float, float, float, float]:
    width, height = size
    if 0 <= box.xmin <= box.xmax <= width and 0 <= box.ymin <= box.ymax <= height:
        return box.xyxy
    left, right = (min(max(x, 0.0), width) for x in sorted((box.xmin, box.xmax)))
    top, bottom = (min(max(y, 0.0), height) for y in sorted((box.ymin, box.ymax)))
    return left, top, right, bottom


def _compare_sizes(found: Pair, size: tuple[int, int], report: Report) -> None:
    """Report a stated size that is not the image's. Boxes are never rescaled: the stated size is wrong too often."""
    stated = found.label.size
    if stated == size:
        return
    if stated is None or min(stated) <= 0:
        report.mend("annotation", found.title, f"states no size; the image has {size[0]}x{size[1]}")
        return
    said = f"states {stated[0]}x{stated[1]}, the image has {size[0]}x{size[1]}"
    if stated == size[::-1]:
        hint = "it was perhaps labelled lying on its side: look at its boxes in LabelImg"
    elif abs(stated[0] * size[1] - stated[1] * size[0]) <= max(*stated, *size):
        hint = "a scaled copy was perhaps labelled: look at its boxes in LabelImg"
    else:
        hint = "perhaps another image was labelled: look at its boxes in LabelImg"
    report.suspect("annotation", found.title, f"{said}; {hint}")
