"""A YOLO folder as someone else made it: images, label files, and class names in an order of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from detector.data.classmap import IGNORE, resolve
from detector.data.yolo import YoloBox, read_labels
from detector.detections import CLASSES, Detections
from detector.errors import AnnotationError, MissingExtraError
from detector.media.images import IMAGE_SUFFIXES, image_size

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
        data: its data.yaml; entries may be folders, lists of folders, or text files of paths.
        part: the entry: "train", "val" or "test".
        class_map: the folder's class names to classes, before those known by default.

    Raises:
        AnnotationError: data.yaml or a label file cannot be used, a class name is unknown, or there are no images.
        MissingExtraError: PyYAML is not installed.
    """
    content = _read_yaml(data)
    names = _names(data, content.get("names"))
    if not content.get(part):
        there = ", ".join(key for key in ("train", "val", "test") if content.get(key)) or "none"
        raise AnnotationError(f"--data {data}: no entry {part}: use --part with one that is there ({there})")
    root = data.parent / str(content.get("path") or "")
    sources = content[part] if isinstance(content[part], list) else [content[part]]
    paths = sorted({path for source in sources for path in _images(data, root / str(source))})
    if not paths:
        raise AnnotationError(f"--data {data}: no images in {part} ({content[part]}): correct the entry")
    images = [YoloImage(path, _title(path, data.parent), tuple(_boxes(path, len(names)))) for path in paths]
    counts = Counter(names[box.class_id] for image in images for box in image.boxes)
    classes, _ = resolve(counts, class_map)
    return images, tuple(classes.get(name, IGNORE) for name in names)


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


def _read_yaml(data: Path) -> dict[str, Any]:
    try:
        import yaml
    except ImportError as error:
        raise MissingExtraError("PyYAML", "score") from error
    try:
        content = yaml.safe_load(data.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise AnnotationError(f"--data {data}: cannot be read ({error.strerror}): name a data.yaml") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise AnnotationError(f"--data {data}: not YAML: name a data.yaml, or correct it") from error
    if not isinstance(content, dict):
        raise AnnotationError(f"--data {data}: no entries val and names there: name a data.yaml")
    return content


def _names(data: Path, names: Any) -> list[str]:
    ordered = list(names.values()) if isinstance(names, dict) and list(names) == list(range(len(names))) else names
    if not isinstance(ordered, list) or not ordered:
        raise AnnotationError(f"--data {data}: names must list the classes, 0: {CLASSES[0]} and so on: correct it")
    return [str(name) for name in ordered]


def _images(data: Path, source: Path) -> Iterable[Path]:
    """The images of a folder and its subfolders, or of a text file with one path per line."""
    if source.is_dir():
        return [path for path in source.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
    if source.is_file() and source.suffix == ".txt":
        lines = source.read_text(encoding="utf-8-sig").splitlines()
        return [source.parent / line.strip() for line in lines if line.strip()]
    raise AnnotationError(
        f"--data {data}: {source} is not there: correct the entry, paths count from path: or the file"
    )


def _boxes(image: Path, classes: int) -> list[YoloBox]:
    """What the label file says: that of the same name, where the last folder called images is called labels."""
    parts = list(image.parts)
    if "images" in parts[:-1]:
        parts[len(parts) - 2 - parts[-2::-1].index("images")] = "labels"
    label = Path(*parts).with_suffix(".txt")
    boxes = read_labels(label) if label.is_file() else []
    if boxes and max(box.class_id for box in boxes) >= classes:
        raise AnnotationError(f"{label}: has a class past the {classes} that data.yaml names: correct one of the two")
    return boxes


def _title(path: Path, root: Path) -> str:
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()
