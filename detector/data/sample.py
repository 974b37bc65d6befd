"""One labelled image: its record, and how the boxes that an annotator drew and named become its truth."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from detector.data.report import Report
from detector.data.voc import Box
from detector.detections import CLASSES, Detections
from detector.errors import AnnotationError, SourceError
from detector.media.images import NO_END, header_of, image_size

__all__ = [
    "DEFAULT_NAMES",
    "IGNORE",
    "NO_FACE",
    "Labelled",
    "Sample",
    "faces",
    "ground_truth",
    "resolve",
    "trainable_size",
    "usable_size",
]

IGNORE = "ignore"
"""The class of boxes that may be faces: nothing is learnt there, and a detection is neither right nor wrong."""

NO_FACE = "background"
"""The class of boxes that are none: they are as if nobody had drawn them."""

DEFAULT_NAMES: Mapping[str, tuple[str, ...]] = {
    "with_mask": (
        *("with_mask", "mask", "masked", "masks", "face_mask", "facemask", "withmask", "wearing_mask"),
        *("face_with_mask", "mask_on", "mask_weared_correct", "with_correct_mask", "correct_mask"),
    ),
    # A mask that leaves nose or mouth bare counts as none.
    "without_mask": (
        *("without_mask", "no_mask", "nomask", "none_mask", "withoutmask", "unmasked", "not_masked", "no_face_mask"),
        *("face", "face_no_mask", "face_without_mask", "face_nomask", "mask_off", "bare_face"),
        *("mask_weared_incorrect", "with_incorrect_mask", "incorrect_mask", "mask_incorrect", "improper_mask"),
        *("wrong_mask", "mask_worn_incorrectly", "incorrectly_worn_mask", "face_with_mask_incorrect"),
    ),
}
"""Class to the names that public data sets use for it; '-', ' ', '_' and upper case make no difference."""

MIN_IMAGE_SIDE = 10  # ultralytics silently leaves smaller images out
MIN_BOX_SIDE = 1.0
ROUNDING = 0.01  # px; a box of one pixel may come back from a YOLO folder a little smaller
SHOWN = 20  # names in an error message
XYXY = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Sample:
    """One labelled image.

    Args:
        path: the image file.
        title: how reports call it: set and file name, or in a YOLO folder the path from its data.yaml.
        set_name: the set that it belongs to, "" in a YOLO folder.
        size: (width, height) of the upright image, px.
        truth: the labelled faces, clipped to the image, confidence 1.
        ignored: float32 (M, 4) xyxy px, regions where a detection is no false alarm.
        boxes: of LabelImg, corrected, with the annotator's own class names; corners may lie outside the image.
        split: "train", "val" or another word of the split file; None where nothing was split.
    """

    path: Path
    title: str
    set_name: str
    size: tuple[int, int]
    truth: Detections
    ignored: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    boxes: tuple[Box, ...] = ()
    split: str | None = None


@dataclass(frozen=True, eq=False)
class Labelled:
    """What the boxes of one image say, clipped to it, in px.

    Args:
        truth: the faces.
        ignored: float32 (M, 4) xyxy, what may be one.
    """

    truth: Detections
    ignored: npt.NDArray[np.float32]


def resolve(names: Mapping[str, int], overrides: Mapping[str, str] | None = None) -> tuple[dict[str, str], list[str]]:
    """Find the class of every name.

    Args:
        names: class names in the annotations and how many boxes each has.
        overrides: name to "with_mask", "without_mask", "ignore" or "background", before the defaults.

    Returns:
        Name to class (or one of the other two), and those of the overrides that match no name.

    Raises:
        AnnotationError: a name is unknown, or an override names a class that does not exist.
    """
    targets = (*CLASSES, IGNORE, NO_FACE)
    known = {name: target for target, defaults in DEFAULT_NAMES.items() for name in defaults}
    for name, target in (overrides or {}).items():
        known[_normal(name)] = _normal(target)
        if _normal(target) not in targets:
            raise AnnotationError(f"--map {name}={target}: CLASS must be {', '.join(targets[:-1])} or {targets[-1]}")
    unknown = [name for name in sorted(names) if _normal(name) not in known]
    if unknown:
        found = ", ".join(f"{name[:60]!r} ({names[name]} boxes)" for name in unknown[:SHOWN])
        found += f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
        raise AnnotationError(
            f"class names that are not known: {found}: say what each is with --map NAME=CLASS, "
            f"where CLASS is {', '.join(CLASSES)}, {IGNORE} (may be a face) or {NO_FACE} (is none)"
        )
    present = {_normal(name) for name in names}
    unused = [name for name in sorted(overrides or {}) if _normal(name) not in present]
    return {name: known[_normal(name)] for name in sorted(names)}, unused


def trainable_size(image: Path, title: str, report: Report) -> tuple[int, int] | None:
    """(width, height) of the upright image, px; None, and a line in the report, if it cannot be trained on."""
    try:
        width, height = size = image_size(image, whole=True)
    except SourceError as error:
        report.drop_unreadable(title, image, error)
        return None
    header = header_of(image)
    if header.format == "jpeg" and not header.complete:
        report.mend("image", title, NO_END)
    if min(size) < MIN_IMAGE_SIDE:
        report.drop("image", title, f"{width}x{height} px: smaller than {MIN_IMAGE_SIDE} px cannot be trained on")
        return None
    return size


def usable_size(image: Path, title: str, report: Report, stated: tuple[int, int] | None) -> tuple[int, int] | None:
    """As :func:`trainable_size`, held against what its annotation states.

    A size that its annotation states and that is another is reported too. Boxes are never rescaled: the stated size
    is wrong too often.
    """
    size = trainable_size(image, title, report)
    if size is None:
        return None
    width, height = size
    if stated is None or min(stated) <= 0:
        report.mend("image", title, f"its annotation states no size; it has {width}x{height}")
    elif stated != size:
        hint = "perhaps another image was labelled"
        if stated == (height, width):
            hint = "it was perhaps labelled lying on its side"
        elif abs(stated[0] * height - stated[1] * width) <= max(*stated, *size):
            hint = "a scaled copy was perhaps labelled"
        said = f"states {stated[0]}x{stated[1]}, the image has {width}x{height}"
        report.suspect("annotation", title, f"{said}; {hint}: look at its boxes in LabelImg")
    return size


def ground_truth(
    boxes: Iterable[Box], size: tuple[int, int], classes: Mapping[str, str], title: str, report: Report
) -> Labelled | None:
    """The boxes that can be used, in their order, clipped to an image of ``size``; a line for each other or mended one.

    Args:
        boxes: of one annotation.
        size: (width, height) of its image, px.
        classes: annotators' names to classes, "ignore" or "background".
        title: how the report calls the image.
        report: gets the lines.

    Returns:
        None, and a line for the image, if one is lost: where its face is, nobody knows.
    """
    found: dict[tuple[XYXY, int], None] = {}
    ignored: list[XYXY] = []
    lost = 0
    for index, box in enumerate(boxes, 1):
        if classes[box.name] == NO_FACE:
            continue
        what = f"{index} ({box})"
        (left, right), (top, bottom) = sorted((box.xmin, box.xmax)), sorted((box.ymin, box.ymax))
        xyxy = max(left, 0.0), max(top, 0.0), min(right, size[0]), min(bottom, size[1])
        if min(xyxy[2] - xyxy[0], xyxy[3] - xyxy[1]) < MIN_BOX_SIDE - ROUNDING:
            report.drop("box", title, f"{what}: under {MIN_BOX_SIDE:g} px in {size[0]}x{size[1]}")
            lost += 1
            continue
        if classes[box.name] == IGNORE:
            ignored.append(xyxy)
            continue
        class_id = CLASSES.index(classes[box.name])
        if (xyxy, class_id) in found:
            report.drop("box", title, f"{what}: the same again")
            continue
        if (xyxy, 1 - class_id) in found:
            report.suspect("box", title, f"{what}: labelled with both classes")
        if (left, top, right, bottom) != box.xyxy:
            report.mend("box", title, f"{what}: corners put in order")
        if (left, top, right, bottom) != xyxy:
            report.mend("box", title, f"{what}: clipped to the image")
        found[xyxy, class_id] = None
    if lost:
        report.drop("image", title, "the face of a box that cannot be used would count as background: correct the box")
        return None
    return Labelled(faces(found), np.array(ignored, np.float32).reshape(-1, 4))


def faces(labelled: Iterable[tuple[XYXY, int]]) -> Detections:
    """Ground truth from boxes in pixels with their classes' numbers."""
    boxes = list(labelled)
    xyxy = np.array([box for box, _ in boxes], np.float32).reshape(-1, 4)
    return Detections(xyxy, np.ones(len(boxes), np.float32), np.array([number for _, number in boxes], np.int64))


def _normal(name: str) -> str:
    return re.sub(r"[-_\s]+", "_", name.strip()).casefold()
