"""The labelled images that engines are measured on, from LabelImg files or a YOLO folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from detector.data import dataset
from detector.data.pairing import name_set
from detector.data.progress import Progress, silent
from detector.data.report import Report
from detector.detections import CLASSES, Detections
from detector.errors import AnnotationError, SourceError
from detector.evaluation.regions import Regions
from detector.evaluation.yolo import list_part, read_truth
from detector.media.images import image_size, list_images
from detector.scoring import MIN_SIDE
from detector.scoring.examples import shorter_side

__all__ = ["LabelledImage", "classes_without_faces", "load_faceless", "load_voc", "load_yolo"]


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """One image with its truth.

    Args:
        path: the file.
        title: how reports call it.
        set_name: the set that it belongs to, "" in a YOLO folder.
        size: (width, height) of the upright image, px.
        truth: the labelled faces.
        ignored: float32 (M, 4) xyxy, regions where a detection is no false alarm.
    """

    path: Path
    title: str
    set_name: str
    size: tuple[int, int]
    truth: Detections
    ignored: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 4), np.float32))


def load_voc(
    annotations: Sequence[Path],
    images: Sequence[Path],
    *,
    class_map: Mapping[str, str] | None = None,
    split: Path | None = None,
    part: str = "val",
    regions: Regions | None = None,
    report: Report | None = None,
    progress: Progress = silent,
) -> list[LabelledImage]:
    """Images with LabelImg files.

    Args:
        annotations: folders of XML.
        images: folders of the images, in the same order.
        class_map: annotators' names to classes or "ignore".
        split: CSV file that says which image is in which part.
        part: with ``split``, the images of this part only.
        regions: where detections are ignored.
        report: collects what is dropped, mended and suspicious.
        progress: wraps the loops.

    Raises:
        AnnotationError: labels that cannot be used, see :func:`detector.data.dataset.load`; or no image in ``part``.
        SourceError: a folder of images cannot be read.
    """
    regions = regions or Regions()
    samples = dataset.load(
        annotations, images, class_map=class_map, split=split, report=report, progress=progress
    )  # fmt: skip
    if split:
        parts = sorted({str(sample.split) for sample in samples})
        samples = [sample for sample in samples if sample.split == part]
        if not samples:
            there = f"it has {', '.join(parts)}" if parts else "it names none of these images"
            raise AnnotationError(f"{split}: no image is in --part {part}: {there}")
    if not samples:
        raise AnnotationError(f"{', '.join(map(str, images))}: no image can be used (-v says why): check the folders")
    return [
        LabelledImage(s.image, s.title, s.set_name, s.size, s.truth, regions.of(s.set_name, s.image.name))
        for s in samples
    ]


def load_faceless(
    folders: Sequence[Path], *, regions: Regions, report: Report, progress: Progress = silent
) -> list[LabelledImage]:
    """Images that show nobody, so that whatever is found in them is false; nobody has to write labels to say so.

    Args:
        folders: folders of images.
        regions: where detections are ignored.
        report: collects the images that cannot be read.
        progress: wraps the loop.

    Raises:
        AnnotationError: no image can be read.
        SourceError: a folder cannot be read.
    """
    labelled = []
    for path in progress([path for folder in folders for path in list_images(folder)], "reading images"):
        set_name = name_set(path.parent)
        title = f"{set_name}/{path.name}"
        try:
            size = image_size(path)
        except SourceError as error:
            report.drop("image", title, str(error).removeprefix(f"{path}: "))
            continue
        ignored = regions.of(set_name, path.name)
        labelled.append(LabelledImage(path, title, set_name, size, Detections.empty(), ignored))
    if not labelled:
        raise AnnotationError(f"{', '.join(map(str, folders))}: no image can be read: check --images")
    return labelled


def load_yolo(
    data: Path,
    *,
    class_map: Mapping[str, str] | None = None,
    part: str = "val",
    regions: Regions | None = None,
    report: Report | None = None,
    progress: Progress = silent,
) -> list[LabelledImage]:
    """Images of one part of a YOLO folder. Its classes may have other names or another order than ours.

    Args:
        data: its data.yaml.
        class_map: the folder's class names to "with_mask", "without_mask" or "ignore", before those known by default.
        part: the entry of data.yaml that lists the images: "train", "val" or "test".
        regions: where detections are ignored; images are found by their file names.
        report: collects the images that cannot be read.
        progress: wraps the loop over the images.

    Raises:
        AnnotationError: data.yaml or a label file cannot be used, a class name is not known, or no image can be read.
        MissingExtraError: PyYAML is not installed.
    """
    regions, report = regions or Regions(), report or Report()
    listed, names = list_part(data, part, class_map)
    labelled = []
    for image in progress(listed, "reading labels"):
        try:
            size, truth = read_truth(image, names)
        except SourceError as error:
            report.drop("image", image.title, str(error).removeprefix(f"{image.path}: "))
            continue
        labelled.append(LabelledImage(image.path, image.title, "", size, truth, regions.of(None, image.path.name)))
    if not labelled:
        raise AnnotationError(f"--data {data}: no image of {part} can be read; {report.dropped[0].reason}")
    return labelled


def classes_without_faces(images: Sequence[LabelledImage], min_side: float = MIN_SIDE) -> list[str]:
    """The classes of which no face that counts is labelled: nothing can be said of them."""
    found: set[str] = set()
    for image in images:
        found.update(image.truth[shorter_side(image.truth.xyxy) >= min_side].names)
    return [name for name in CLASSES if name not in found]
