"""LabelImg annotations that lie beside the images, or in a folder of their own, go where their image goes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from detector.data import voc
from detector.errors import AnnotationError
from detector.labelling.clean_files import IMAGES, LABELS, UNREADABLE, UNUSED_LABELS, copy_file
from detector.labelling.clean_report import Report

__all__ = ["find_labels", "take_labels"]

Size = tuple[int, int]


def find_labels(source: Path, images: Iterable[str], folder: Path | None) -> dict[str, Path]:
    """The label file of each image that has one.

    Args:
        source: where the images are.
        images: their names relative to ``source``.
        folder: of label files, with the folders of ``source`` or flat; None looks beside each image.

    Returns:
        Image name to label file. Of images that share a stem, the one that the file names has it, or the first.
    """
    sharing: dict[Path, list[str]] = defaultdict(list)
    for name in sorted(images):
        label = PurePosixPath(name).with_suffix(".xml")
        places = [source / label] if folder is None else [folder / label, folder / label.name]
        found = next((place for place in places if place.is_file()), None)
        if found is not None:
            sharing[found].append(name)
    return {_owner(label, names): label for label, names in sharing.items()}


def _owner(label: Path, names: list[str]) -> str:
    if len(names) > 1:
        try:
            stated = voc.read(label).filename
        except AnnotationError:
            stated = ""
        return next((name for name in names if PurePosixPath(name).name == stated), names[0])
    return names[0]


def take_labels(
    report: Report,
    labels: Mapping[str, Path],
    sizes: Mapping[str, tuple[Size, Size]],
    new: Path | None,
    *,
    beside: bool,
) -> None:
    """Copy each label file to where its image went; where the image was scaled, scale its boxes.

    Args:
        report: says where the images went, and is told of the label files that could not go there.
        labels: image name to label file.
        sizes: (width, height) in pixels of each readable image, before and after.
        new: the output folder; None writes nothing.
        beside: label files lie beside the images, not in a folder of their own.

    Raises:
        OutputError: a file cannot be written.
    """
    where = {picture.source: PurePosixPath(picture.file) for picture in [*report.kept, *report.copies]}
    for name, label in labels.items():
        own_name = str(PurePosixPath(name).with_suffix(".xml"))
        if name not in where:
            report.labels[own_name] = "its image is unreadable"
            target, annotation = PurePosixPath(UNREADABLE, own_name), None
        else:
            target, annotation = where[name].with_suffix(".xml"), None
            if not beside and target.is_relative_to(IMAGES):
                target = LABELS / target.relative_to(IMAGES)
            try:
                annotation = _scaled(label, *sizes[name])
            except AnnotationError as error:
                report.labels[own_name] = str(error).removeprefix(f"{label}: ")
                target = PurePosixPath(UNUSED_LABELS, own_name)
        if new is not None:
            copy_file(label, new / target)
            if annotation is not None:
                (new / target).write_bytes(voc.to_bytes(annotation))


def _scaled(label: Path, old: Size, new: Size) -> voc.Annotation | None:
    """The annotation of an image that was scaled; None if it was not, and the file is good as it is.

    Raises:
        AnnotationError: the file cannot be read, or was made for an image of another size.
    """
    if old == new:
        return None
    annotation = voc.read(label)
    if annotation.size != old:
        stated = "no size" if annotation.size is None else "x".join(map(str, annotation.size))
        raise AnnotationError(f"states {stated}, but the image had {old[0]}x{old[1]}: its boxes cannot be scaled")
    across, down = new[0] / old[0], new[1] / old[1]
    boxes = (
        replace(box, xmin=box.xmin * across, xmax=box.xmax * across, ymin=box.ymin * down, ymax=box.ymax * down)
        for box in annotation.boxes
    )
    return replace(annotation, size=new, boxes=tuple(boxes))
