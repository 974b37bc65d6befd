"""YOLO labels, or a detector's predictions in that format, to LabelImg XML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from detector.data import voc
from detector.data.progress import Progress, silent
from detector.data.yolo import CLASSES_TXT, YoloBox, read_labels
from detector.errors import AnnotationError, DetectorError, OutputError
from detector.files import make_folder, write_file
from detector.media.images import image_size, list_images

__all__ = ["Converted", "convert"]


@dataclass(frozen=True)
class Converted:
    """The outcome of :func:`convert`.

    Args:
        written: the XML files, sorted.
        boxes: how many boxes are in them.
        skipped: a line for each label file that was not converted, with the reason.
    """

    written: tuple[Path, ...]
    boxes: int
    skipped: tuple[str, ...]


def convert(
    labels: Path,
    images: Path,
    out: Path,
    names: Sequence[str],
    *,
    min_confidence: float = 0.0,
    force: bool = False,
    progress: Progress = silent,
) -> Converted:
    """Write one XML per label file; subfolders (train, val) are kept.

    Args:
        labels: folder of YOLO .txt files, searched with its subfolders.
        images: folder of the images, with the same subfolders.
        out: folder for the XML files.
        names: class names by index.
        min_confidence: boxes with a sixth column below this are left out.
        force: replace XML files that are there.
        progress: wraps the loop, for a progress bar.

    Raises:
        AnnotationError: there are no label files, or none can be converted.
        OutputError: another XML file is there already (and then nothing is written), or one cannot be written.
    """
    files = sorted(path for path in labels.rglob("*.txt") if path.is_file() and _is_label(path))
    if not files:
        raise AnnotationError(f"{labels}: no .txt label files there: check the folder")
    finder, skipped, boxes = _Images(labels, images), [], 0
    made: dict[Path, bytes] = {}
    for path in progress(files, "converting"):
        target = out / path.relative_to(labels).with_suffix(".xml")
        try:
            annotation = _annotation(path, finder.find(path), names, min_confidence)
            made[target] = voc.to_bytes(annotation)
        except DetectorError as error:
            skipped.append(str(error))
            continue
        boxes += len(annotation.boxes)
    if not made:
        raise AnnotationError(f"no label file could be converted; {skipped[0]}")
    _write(made, force=force)
    return Converted(tuple(made), boxes, tuple(skipped))


def _write(made: Mapping[Path, bytes], *, force: bool) -> None:
    """Write the files, unless others are there; what a run that was cut off has written is the same, and stays."""
    missing = {target: data for target, data in made.items() if not _has(target, data)}
    taken = [target for target in missing if target.exists()]
    if taken and not force:
        raise OutputError(f"{taken[0]}: is there already ({len(taken)} such files): choose another --out, or --force")
    for folder in {target.parent for target in made}:
        make_folder(folder)
    for target, data in missing.items():
        write_file(target, data, replace=force)


def _has(target: Path, data: bytes) -> bool:
    try:
        return target.read_bytes() == data
    except OSError:
        return False


def _is_label(path: Path) -> bool:
    """LabelImg writes the class names beside YOLO labels."""
    return path.name != CLASSES_TXT and not path.name.startswith(".")


class _Images:
    """Finds the image of a label file; lists each folder once."""

    def __init__(self, labels: Path, images: Path) -> None:
        self._labels = labels
        self._images = images
        self._folders: dict[Path, dict[str, Path]] = {}

    def find(self, label: Path) -> Path:
        folder = self._images / label.parent.relative_to(self._labels)
        if folder not in self._folders:
            self._folders[folder] = {image.stem: image for image in list_images(folder)}
        try:
            return self._folders[folder][label.stem]
        except KeyError:
            raise AnnotationError(f"{label}: no image with this name in {folder}: add it, its size is needed") from None


def _annotation(path: Path, image: Path, names: Sequence[str], min_confidence: float) -> voc.Annotation:
    size = image_size(image)
    boxes = [box for box in read_labels(path) if box.confidence >= min_confidence]
    return voc.Annotation(
        filename=image.name,
        folder=image.parent.name,
        size=size,
        boxes=tuple(_box(path, box, size, names) for box in boxes),
    )


def _box(path: Path, box: YoloBox, size: tuple[int, int], names: Sequence[str]) -> voc.Box:
    if box.class_id >= len(names):
        raise AnnotationError(f"{path}: class {box.class_id}, but only {len(names)} names: check data.yaml or --names")
    left, top, right, bottom = box.xyxy(*size)
    # LabelImg's own rule, which counts from 1 here though its pixels begin with 0.
    truncated = int(left) == 1 or int(top) == 1 or int(right) == size[0] or int(bottom) == size[1]
    return voc.Box(names[box.class_id], left, top, right, bottom, truncated=truncated)
