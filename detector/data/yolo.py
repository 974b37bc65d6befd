"""The text files of a YOLO data set: one label file per image, and data.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detector.data.csvfile import read_text
from detector.data.voc import MAX_BYTES, NUMBER
from detector.detections import CLASSES, Detections
from detector.errors import AnnotationError, MissingExtraError

__all__ = ["CLASSES_TXT", "DATA_YAML", "YoloBox", "format_labels", "names_in", "read_labels", "read_names", "read_yaml"]

DATA_YAML = "train: images/train\nval: images/val\nnames:\n" + "".join(f"  {i}: {n}\n" for i, n in enumerate(CLASSES))
"""Without ``path:`` ultralytics looks beside data.yaml itself, so the folder can be moved."""

CLASSES_TXT = "classes.txt"
"""Where LabelImg writes the class names, one per line, when it saves YOLO labels."""

MAX_YAML = 2**17  # bytes; a thousand class names take 30,000
MAX_NAME = 200  # characters
MAX_CLASS = 10_000
TOLERANCE = 1e-3  # other tools round a box at the edge to a little more than 1


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


def format_labels(truth: Detections, width: int, height: int) -> str:
    """A label file for an image of this size in pixels; empty for an image without faces.

    Eight decimals: a box in an image of 10,000 px comes back to within a thousandth of a pixel.
    """
    lines = []
    for class_id, (left, top, right, bottom) in zip(truth.class_id.tolist(), truth.xyxy.tolist(), strict=True):
        box = ((left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width, (bottom - top) / height)
        lines.append(f"{class_id} {' '.join(f'{value:.8f}' for value in box)}\n")
    return "".join(lines)


def read_labels(path: Path) -> list[YoloBox]:
    """Read a label file with five columns, or six with the confidence last.

    Raises:
        AnnotationError: the file cannot be read, or a line is not a box inside the image.
    """
    lines = read_text(path, "check the file", MAX_BYTES).splitlines()
    return [_parse(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]


def read_names(path: Path) -> list[str]:
    """The class names of a data.yaml, or of LabelImg's classes.txt.

    Raises:
        AnnotationError: the file cannot be read, or the names are no plain list.
        MissingExtraError: PyYAML is not installed.
    """
    remedy = "give the class names with --names"
    if path.name == CLASSES_TXT:
        content: Any = [line.strip() for line in read_text(path, remedy, MAX_YAML).splitlines() if line.strip()]
    else:
        content = read_yaml(path, remedy).get("names")
    names = names_in(content)
    if not names:
        raise AnnotationError(f"{path}: no plain list of names there: {remedy}")
    return names


def read_yaml(path: Path, remedy: str, title: str = "") -> dict[str, Any]:
    """A YAML file's mapping, in which every value is a text, a list or a mapping: a class called "no" stays one.

    Args:
        path: the file.
        remedy: the end of the message.
        title: what the message calls it, with its flag; the path by default.

    Raises:
        AnnotationError: it cannot be read, or holds no mapping.
        MissingExtraError: PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError as error:
        raise MissingExtraError("PyYAML", "score") from error
    text = read_text(path, remedy, MAX_YAML, title)
    try:
        # As safe as SafeLoader: tags mean nothing to it. Aliases are not copied, so a bomb of them stays small.
        content = yaml.load(text, yaml.BaseLoader)  # noqa: S506
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" (line {where.line + 1})" if where else ""
        raise AnnotationError(f"{title or path}: not YAML{line}: correct it, or {remedy}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise AnnotationError(f"{title or path}: no entries train, val and names there: {remedy}")
    return content


def names_in(entry: Any) -> list[str]:
    """The class names in the entry ``names`` of a data.yaml: a list, or a mapping from 0 up; else none."""
    if isinstance(entry, dict) and list(entry) == [str(index) for index in range(len(entry))]:
        entry = list(entry.values())
    plain = isinstance(entry, list) and all(
        isinstance(name, str) and name.isprintable() and 0 < len(name) <= MAX_NAME for name in entry
    )
    return entry if plain else []


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
