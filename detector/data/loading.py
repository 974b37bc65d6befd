"""Labelled images from LabelImg files, from a YOLO folder, or from pictures that show nobody."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from detector.data.corrections import correct, read_corrections
from detector.data.csvfile import read_rows
from detector.data.pairing import Pair, name_set, pair
from detector.data.progress import Progress, silent
from detector.data.regions import Regions
from detector.data.report import Report
from detector.data.sample import Sample, ground_truth, resolve, trainable_size, usable_size
from detector.data.voc import Box
from detector.data.yolo import read_source
from detector.data.yolo_labels import label_of
from detector.detections import Detections
from detector.errors import AnnotationError, SourceError
from detector.media.image_header import ImageHeader
from detector.media.images import (
    IMAGE_SUFFIXES,
    ORIENTATIONS,
    STRANGE_SUFFIXES,
    header_of,
    image_size,
    left_below,
    list_images,
)

__all__ = ["Split", "load_faceless", "load_voc", "load_yolo", "turned_box"]


class Split:
    """A split that someone decided on, from a CSV file with the columns image, split, and optionally set and group.

    Raises:
        AnnotationError: the file cannot be read, or says two things about one image.
    """

    def __init__(self, path: Path) -> None:
        self._sides: dict[tuple[str, str], str] = {}
        self._groups: dict[str, set[str]] = defaultdict(set)
        for line, row in read_rows(path, ("image", "split"), "--split"):
            key = (row.get("set", ""), row["image"])
            if self._sides.setdefault(key, row["split"]) != row["split"]:
                raise AnnotationError(f"{path}: line {line}: {row['image']} is in two splits: delete one of the lines")
            if row.get("group"):
                self._groups[row["group"]].add(row["split"])

    def sides(self, pairs: Sequence[Pair], report: Report) -> dict[str, str | None]:
        """The split of each image that has one, by title; images and lines without a partner are reported."""
        sides: dict[str, str | None] = {}
        for found in pairs:
            side = self._sides.get((found.set_name, found.image.name)) or self._sides.get(("", found.image.name))
            if side:
                sides[found.title] = side
            else:
                reason = f"no line of the file of --split has set {found.set_name} and this name"
                report.drop("image", found.title, reason)
        sets = {found.set_name for found in pairs}
        present = {key for found in pairs for key in ((found.set_name, found.image.name), ("", found.image.name))}
        missing = sorted("/".join(key) for key in self._sides if key[0] in {"", *sets} and key not in present)
        torn = sorted(group for group, both in self._groups.items() if {"train", "val"} <= both)
        if missing:
            said = f"{len(missing)} images of the file of --split are not there or not labelled"
            report.warnings.append(f"{said}: {missing[0]}")
        if torn:
            report.warnings.append(f"{len(torn)} groups of the file of --split are in train and in val: {torn[0]}")
        return sides


def load_voc(
    annotations: Sequence[Path],
    images: Sequence[Path],
    *,
    class_map: Mapping[str, str] | None = None,
    split: Path | None = None,
    part: str | None = None,
    corrections: Path | None = None,
    regions: Regions | None = None,
    report: Report | None = None,
    progress: Progress = silent,
) -> list[Sample]:
    """Pair LabelImg files with images, correct them, map their classes and check their boxes. Nothing is written.

    Args:
        annotations: folders of LabelImg XML.
        images: folders of images; as many as of annotations, in the same order, or else all are searched for each.
        class_map: annotators' names to "with_mask", "without_mask", "ignore" (may be a face) or "background" (is
            none), before the names known by default.
        split: CSV file with the columns image, split and optionally set and group; images not in it are left out.
        part: with ``split``, only the images of this part.
        corrections: CSV file, see :mod:`detector.data.corrections`.
        regions: where detections are ignored.
        report: collects what is dropped, mended and suspicious.
        progress: wraps the loops, for a progress bar.

    Returns:
        The samples, sorted by set and image name; at least one. An image of which a box is lost is none.

    Raises:
        AnnotationError: a folder or file cannot be used, a class name is unknown, or no image is left.
        SourceError: a folder of images cannot be read.
    """
    report = Report() if report is None else report
    decided = Split(split) if split else None
    rows = read_corrections(corrections) if corrections else []
    pairs = pair(annotations, images, report, progress)
    sides = decided.sides(pairs, report) if decided else dict.fromkeys((found.title for found in pairs), None)
    pairs = [_upright(found, report) for found in pairs if found.title in sides]
    pairs = correct(pairs, rows, report) if rows else pairs
    report.names.update(box.name for found in pairs for box in found.label.boxes)
    report.classes, unused = resolve(report.names, class_map)
    report.warnings += [f"--map {name}: no box has this name" for name in unused]
    report.warnings += _difficult(pairs)
    samples = []
    for found in progress(pairs, "checking images"):
        size = usable_size(found.image, found.title, report, found.label.size)
        given = regions.of(found.set_name, found.image.name) if regions else np.zeros((0, 4), np.float32)
        labelled = size and ground_truth(found.label.boxes, size, report.classes, found.title, report)
        if size and labelled:
            named, ignored = (found.image, found.title, found.set_name), np.concatenate([given, labelled.ignored])
            samples.append(Sample(*named, size, labelled.truth, ignored, found.label.boxes, sides[found.title]))
    if not samples:
        raise AnnotationError(f"{', '.join(map(str, images))}: no image can be used{report.why()}: check the folders")
    chosen = [sample for sample in samples if not (split and part) or sample.split == part]
    if not chosen:
        parts = ", ".join(sorted({str(sample.split) for sample in samples}))
        raise AnnotationError(f"{split}: no image is in --part {part}: it has {parts}")
    return chosen


def load_yolo(
    data: Path,
    *,
    class_map: Mapping[str, str] | None = None,
    part: str = "val",
    regions: Regions | None = None,
    whole: bool = False,
    report: Report | None = None,
    progress: Progress = silent,
) -> list[Sample]:
    """Images of one part of a YOLO folder. Its classes may have other names or another order than ours.

    Args:
        data: its data.yaml.
        class_map: the folder's class names to classes, as for :func:`load_voc`.
        part: the entry of data.yaml that lists the images: "train", "val" or "test".
        regions: where detections are ignored; images are found by their file names.
        whole: leave out images that cannot be trained on: too small, or cut short.
        report: collects what is dropped and mended.
        progress: wraps the loop over the images.

    Raises:
        AnnotationError: data.yaml or a label file cannot be used, a class name is not known, or no image can be read.
    """
    regions, report = regions or Regions(), Report() if report is None else report
    source = read_source(data, IMAGE_SUFFIXES | STRANGE_SUFFIXES)
    labels = source.labels(part)
    names = Counter(source.names[box.class_id] for boxes in labels.values() for box in boxes)
    report.names.update(names)
    classes, _ = resolve(names, class_map)
    report.classes |= classes
    samples, owners = [], dict.fromkeys(map(label_of, labels), "")
    for path in progress(list(labels), "reading labels"):
        title = (path.relative_to(data.parent) if path.is_relative_to(data.parent) else path).as_posix()
        owner, owners[label_of(path)] = owners[label_of(path)], title
        if owner and labels[path]:
            report.suspect("image", title, f"has the same label file as {owner}: look which of the two was labelled")
        size = _size(path, title, report, whole=whole)
        boxes = [Box(source.names[box.class_id], *box.xyxy(*size)) for box in labels[path]] if size else []
        labelled = size and ground_truth(boxes, size, classes, title, report)
        if size and labelled:
            ignored = np.concatenate([regions.of(None, path.name), labelled.ignored])
            samples.append(Sample(path, title, "", size, labelled.truth, ignored, split=part))
    if not samples:
        raise AnnotationError(f"--data {data}: no image of {part} can be read{report.why()}")
    return samples


def load_faceless(
    folders: Sequence[Path], *, regions: Regions, report: Report, progress: Progress = silent
) -> list[Sample]:
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
    samples, paths = [], [path for folder in folders for path in list_images(folder, strange=True)]
    report.warnings += [f"{folder.name}: {below}" for folder in folders if (below := left_below(folder))]
    for path in progress(paths, "reading images"):
        set_name = name_set(path.parent)
        title = f"{set_name}/{path.name}"
        size = _size(path, title, report)
        if size is not None:
            ignored = regions.of(set_name, path.name)
            samples.append(Sample(path, title, set_name, size, Detections.empty(), ignored))
    if not samples:
        raise AnnotationError(f"{', '.join(map(str, folders))}: no image can be read: check --images")
    return samples


def _upright(found: Pair, report: Report) -> Pair:
    """With the boxes of the upright image, where they were drawn on the one that is stored, lying on its side."""
    label = found.label
    try:
        header = header_of(found.image)
    except SourceError:  # said when its size is asked for
        return found
    if header.size is None or header.orientation == 1 or not label.boxes:
        return found
    if header.size == header.upright_size or not label.size or min(label.size) <= 0:
        reason = f"EXIF orientation {header.orientation} turns the image; was it labelled so? Look at it in LabelImg"
        report.suspect("annotation", found.title, reason)
        return found
    if label.size != header.size:
        return found
    report.mend("annotation", found.title, "labelled lying on its side: its boxes were turned upright with the image")
    boxes = tuple(turned_box(box, header) for box in label.boxes)
    return replace(found, label=replace(label, size=header.upright_size, boxes=boxes))


def turned_box(box: Box, header: ImageHeader) -> Box:
    """A box of the stored image, in the upright one."""
    transpose, mirror, flip = ORIENTATIONS[header.orientation]
    x, y = (box.xmin, box.xmax), (box.ymin, box.ymax)
    if transpose:
        x, y = y, x
    width, height = header.upright_size or (0, 0)
    if mirror:
        x = width - x[1], width - x[0]
    if flip:
        y = height - y[1], height - y[0]
    return replace(box, xmin=x[0], xmax=x[1], ymin=y[0], ymax=y[1])


def _size(path: Path, title: str, report: Report, *, whole: bool = False) -> tuple[int, int] | None:
    """(width, height) of the upright image; None, and a line in the report, where it cannot be read or trained on."""
    if whole:
        return trainable_size(path, title, report)
    try:
        return image_size(path)
    except SourceError as error:
        report.drop_unreadable(title, path, error)
        return None


def _difficult(pairs: Iterable[Pair]) -> list[str]:
    """Somebody, or ``mask-detector prelabel``, was not sure of these; nothing else here tells them from the others."""
    marked = {found.title: sum(box.difficult for box in found.label.boxes) for found in pairs}
    marked = {title: boxes for title, boxes in marked.items() if boxes}
    if not marked:
        return []
    said = f"{sum(marked.values())} boxes in {len(marked)} images are marked as difficult and used like any other"
    return [f"{said}: {next(iter(marked))}"]
