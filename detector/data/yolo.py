"""A YOLO data set as anyone may have made it: its data.yaml, its lists of images, one label file per image."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from detector.data.csvfile import read_text
from detector.data.voc import MAX_BYTES, NUMBER
from detector.detections import CLASSES, Detections
from detector.errors import AnnotationError
from detector.media.images import IMAGE_SUFFIXES

__all__ = [
    "CLASSES_TXT",
    "DATA_YAML",
    "TRAINABLE",
    "YoloBox",
    "YoloSource",
    "format_labels",
    "label_of",
    "read_labels",
    "read_names",
    "read_source",
]

DATA_YAML = "train: images/train\nval: images/val\nnames:\n" + "".join(f"  {i}: {n}\n" for i, n in enumerate(CLASSES))
"""Without ``path:`` ultralytics looks beside data.yaml itself, so the folder can be moved."""

CLASSES_TXT = "classes.txt"
"""Where LabelImg writes the class names, one per line, when it saves YOLO labels."""

TRAINABLE = frozenset({".bmp", ".jpeg", ".jpg", ".jp2", ".png", ".tif", ".tiff", ".webp"})
"""Suffixes, in lower case, of the images that ultralytics reads as we do."""

MAX_YAML = 2**17  # bytes; a thousand class names take 30,000
MAX_NAME = 200  # characters
MAX_CLASS = 10_000
MAX_ENTRIES = 2_000_000  # files and folders below one folder of images; OpenImages has 1.7 million images
PARTS = ("train", "val", "test")
TOLERANCE = 1e-3  # other tools round a box at the edge to a little more than 1
NOTHING = ("", "~", "null", "Null", "NULL")  # as YAML writes it


@dataclass(frozen=True)
class YoloBox:
    """One line of a label file.

    Args:
        class_id: index into the names of data.yaml.
        center_x, center_y, width, height: as fractions of the image, 0 to 1.
        confidence: the sixth column of predictions, else 1.
    """

    class_id: int
    center_x: float
    center_y: float
    width: float
    height: float
    confidence: float = 1.0

    def xyxy(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Left, top, right, bottom in pixels of an image of this size, within it.

        What is within a hundredth of a whole pixel becomes whole: it was before it was divided and rounded, and
        LabelImg would cut 12.999 to 12.
        """
        half_width, half_height = self.width / 2, self.height / 2
        left, right = (self.center_x - half_width) * width, (self.center_x + half_width) * width
        top, bottom = (self.center_y - half_height) * height, (self.center_y + half_height) * height
        return _snap(left, width), _snap(top, height), _snap(right, width), _snap(bottom, height)


@dataclass(frozen=True)
class YoloSource:
    """A data.yaml.

    Args:
        data: the file.
        names: the class names, in order.
        parts: "train", "val" and "test", as far as they are there: folders or text files of paths.
        suffixes: of the files in these folders that are images, in lower case.
    """

    data: Path
    names: tuple[str, ...]
    parts: dict[str, tuple[Path, ...]]
    suffixes: frozenset[str]

    def images(self, part: str) -> list[Path]:
        """The images of a part, sorted.

        Raises:
            AnnotationError: there is no such entry, what it names is not there, or holds no image.
        """
        if part not in self.parts:
            there = ", ".join(self.parts) or "none"
            raise self._wrong(f"no entry {part} (there: {there}): add the folder of its images")
        found = sorted({path for source in self.parts[part] for path in self._listed(source)})
        if not found:
            sources = ", ".join(map(str, self.parts[part]))
            raise self._wrong(f"no images in {part} ({sources}): correct the entry")
        return found

    def boxes(self, image: Path) -> list[YoloBox]:
        """What an image's label file says; nothing where there is none.

        Raises:
            AnnotationError: it cannot be read, or has a class that data.yaml does not name.
        """
        label = label_of(image)
        boxes = read_labels(label) if label.is_file() else []
        if boxes and max(box.class_id for box in boxes) >= len(self.names):
            names = ", ".join(self.names)
            raise AnnotationError(f"{label}: classes go from 0 to {len(self.names) - 1} ({names}): correct it")
        return boxes

    def _listed(self, source: Path) -> list[Path]:
        """The images of a folder and its subfolders, or of a text file with one path per line."""
        try:
            if source.is_dir():
                return self._below(source)
            if source.suffix == ".txt" and source.is_file():
                return self._lines_of(source)
        except OSError as error:  # a name that is too long for any file
            raise self._wrong(f"{source}: {error.strerror}: correct the entry") from error
        raise self._wrong(f"{source} is not there: correct the entry, paths count from path: or the file")

    def _below(self, folder: Path) -> list[Path]:
        """Links to folders are not followed, and what may not be read is passed over."""
        found, seen = [], 0
        if folder.resolve() == Path(folder.resolve().anchor):
            raise self._wrong(f"{folder} is the whole disk: name the folder of the images")
        for parent, folders, names in os.walk(folder):
            seen += len(folders) + len(names)
            if seen > MAX_ENTRIES:
                raise self._wrong(f"{folder} holds more than {MAX_ENTRIES} files: name the folder of the images")
            paths = [Path(parent, name) for name in names]
            found += [path for path in paths if path.suffix.lower() in self.suffixes and path.is_file()]
        return found

    def _lines_of(self, source: Path) -> list[Path]:
        lines = read_text(source, "correct it").split("\n")
        listed = [source.parent / line.strip() for line in lines if line.strip()]
        for path in listed:
            is_image = path.suffix.lower() in self.suffixes  # anything else would be copied into the run
            if not (is_image and path.is_file()):
                what = "there" if is_image else "an image"
                raise AnnotationError(f"{source}: lists {path}, which is not {what}: correct it")
        return listed

    def _wrong(self, what: str) -> AnnotationError:
        return AnnotationError(f"--data {self.data}: {what}")


def read_source(data: Path, suffixes: frozenset[str] = IMAGE_SUFFIXES) -> YoloSource:
    """Read a data.yaml; its entries may be folders, lists of folders, or text files of paths.

    Args:
        data: the file.
        suffixes: of the files that are images.

    Raises:
        AnnotationError: it is missing, no YAML, or lists no class names.
    """
    content = _read_yaml(data, "name a data.yaml", f"--data {data}")
    names = _names_in(content.get("names"))
    if not names:
        raise AnnotationError(f"--data {data}: names must list the classes, 0: {CLASSES[0]} and so on: correct it")
    root = data.parent.joinpath(*_texts(data, "path", content.get("path"))[:1])
    parts = {part: tuple(root / text for text in _texts(data, part, content.get(part))) for part in PARTS}
    return YoloSource(data, tuple(names), {part: found for part, found in parts.items() if found}, suffixes)


def read_names(path: Path) -> list[str]:
    """The class names of a data.yaml, or of LabelImg's classes.txt.

    Raises:
        AnnotationError: the file cannot be read, or the names are no plain list.
    """
    remedy = "give the class names with --names"
    if path.name == CLASSES_TXT:
        content: Any = [line.strip() for line in read_text(path, remedy, MAX_YAML).splitlines() if line.strip()]
    else:
        content = _read_yaml(path, remedy, str(path)).get("names")
    names = _names_in(content)
    if not names:
        raise AnnotationError(f"{path}: no plain list of names there: {remedy}")
    return names


def label_of(image: Path) -> Path:
    """The label file of an image, by YOLO's convention: where the last folder called images is called labels."""
    parts = list(image.parts)
    if "images" in parts[:-1]:
        parts[len(parts) - 2 - parts[-2::-1].index("images")] = "labels"
    return Path(*parts).with_suffix(".txt")


def read_labels(path: Path) -> list[YoloBox]:
    """Read a label file with five columns, or six with the confidence last.

    Raises:
        AnnotationError: the file cannot be read, or a line is not a box inside the image.
    """
    lines = read_text(path, "check the file", MAX_BYTES).splitlines()
    return [_parse(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]


def format_labels(truth: Detections, width: int, height: int) -> str:
    """A label file for an image of this size in pixels; empty for an image without faces.

    Eight decimals: a box in an image of 10,000 px comes back to within a thousandth of a pixel.
    """
    lines = []
    for class_id, (left, top, right, bottom) in zip(truth.class_id.tolist(), truth.xyxy.tolist(), strict=True):
        box = ((left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width, (bottom - top) / height)
        lines.append(f"{class_id} {' '.join(f'{value:.8f}' for value in box)}\n")
    return "".join(lines)


def _read_yaml(path: Path, remedy: str, title: str) -> dict[str, Any]:
    """A YAML file's mapping, in which every value is a text, a list or a mapping: a class called "no" stays one.

    Messages call the file ``title`` and end with ``remedy``.
    """
    text = read_text(path, remedy, MAX_YAML, title)
    try:
        # As safe as SafeLoader: tags mean nothing to it. Aliases are not copied, so a bomb of them stays small.
        content = yaml.load(text, yaml.BaseLoader)  # noqa: S506
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" (line {where.line + 1})" if where else ""
        raise AnnotationError(f"{title}: not YAML{line}: correct it, or {remedy}") from error
    if content is not None and not isinstance(content, dict):
        raise AnnotationError(f"{title}: no entries train, val and names there: {remedy}")
    return content or {}


def _names_in(entry: Any) -> list[str]:
    """The class names in the entry ``names`` of a data.yaml: a list, or a mapping from 0 up; else none."""
    if isinstance(entry, dict) and list(entry) == [str(index) for index in range(len(entry))]:
        entry = list(entry.values())
    plain = isinstance(entry, list) and all(
        isinstance(name, str) and name.isprintable() and 0 < len(name) <= MAX_NAME for name in entry
    )
    return entry if plain else []


def _texts(data: Path, key: str, entry: Any) -> list[str]:
    """What an entry names, one or several; the empty list where it is not there or says nothing."""
    texts = entry if isinstance(entry, list) else [] if entry is None or entry in NOTHING else [entry]
    if not all(isinstance(text, str) and text.isprintable() and text not in NOTHING for text in texts):
        raise AnnotationError(f"--data {data}: {key} must name a folder, or a list of folders: correct it")
    return texts


def _parse(path: Path, number: int, line: str) -> YoloBox:
    fields = line.split()
    where = f"{path}: line {number}"
    if len(fields) not in (5, 6):
        raise AnnotationError(f"{where} has {len(fields)} columns, a box has 5 or 6: convert outlines to boxes first")
    if not all(NUMBER.fullmatch(field) for field in fields):
        raise AnnotationError(f"{where} is not made of numbers: correct it")
    class_id, *values = map(float, fields)
    if not (0 <= class_id <= MAX_CLASS and class_id.is_integer()):
        raise AnnotationError(f"{where} has class {fields[0]}, which is not 0, 1, 2 ...: correct it")
    if not all(-TOLERANCE <= value <= 1 + TOLERANCE for value in values):
        raise AnnotationError(f"{where} has a value outside 0 to 1: YOLO boxes are fractions of the image, not pixels")
    return YoloBox(int(class_id), *values)


def _snap(value: float, limit: int) -> float:
    value = min(max(value, 0.0), float(limit))
    whole = float(round(value))
    return whole if abs(value - whole) < 0.01 else value
