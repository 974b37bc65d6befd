"""The truth in a YOLO folder whose class names may be others, in an order of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detector.data.classmap import IGNORE, resolve
from detector.data.yolo import YoloBox
from detector.data.yolo_source import read_source
from detector.detections import CLASSES, Detections
from detector.media.images import image_size

__all__ = ["YoloImage", "list_part", "read_truth"]


@dataclass(frozen=True)
class YoloImage:
    """An image of a YOLO folder.

    Args:
        path: the file.
        title: its path from the folder of data.yaml, or the whole path.
        boxes: what its label file says; none where there is no such file.
    """

    path: Path
    title: str
    boxes: tuple[YoloBox, ...]


def list_part(data: Path, part: str, class_map: Mapping[str, str] | None) -> tuple[list[YoloImage], tuple[str, ...]]:
    """The images of one part, and for each class of the folder one of ``CLASSES`` or "ignore".

    Args:
        data: its data.yaml.
        part: the entry: "train", "val" or "test".
        class_map: the folder's class names to classes, before those known by default.

    Raises:
        AnnotationError: data.yaml or a label file cannot be used, a class name is unknown, or there are no images.
        MissingExtraError: PyYAML is not installed.
    """
    source = read_source(data)
    images = [YoloImage(path, _title(path, data.parent), tuple(source.boxes(path))) for path in source.images(part)]
    counts = Counter(source.names[box.class_id] for image in images for box in image.boxes)
    classes, _ = resolve(counts, class_map)
    return images, tuple(classes.get(name, IGNORE) for name in source.names)


def read_truth(image: YoloImage, classes: tuple[str, ...]) -> tuple[tuple[int, int], Detections]:
    """(width, height) of the upright image in px, and its faces.

    Raises:
        SourceError: the image cannot be read.
    """
    size = image_size(image.path)
    boxes = [(box.xyxy(*size), classes[box.class_id]) for box in image.boxes]
    faces = [(xyxy, name) for xyxy, name in boxes if name != IGNORE and xyxy[2] > xyxy[0] and xyxy[3] > xyxy[1]]
    return size, Detections(
        np.array([xyxy for xyxy, _ in faces], np.float32).reshape(-1, 4),
        np.ones(len(faces), np.float32),
        np.array([CLASSES.index(name) for _, name in faces], np.int64),
    )


def _title(path: Path, root: Path) -> str:
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()
