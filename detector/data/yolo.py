"""The text files of a YOLO data set: one label file per image, and data.yaml."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from detector.detections import CLASSES, Detections
from detector.errors import AnnotationError

__all__ = ["CLASSES_TXT", "DATA_YAML", "YoloBox", "format_labels", "read_labels", "read_names"]

DATA_YAML = "train: images/train\nval: images/val\nnames:\n" + "".join(f"  {i}: {n}\n" for i, n in enumerate(CLASSES))
"""Without ``path:`` ultralytics looks beside data.yaml itself, so the folder can be moved."""

CLASSES_TXT = "classes.txt"
"""Where LabelImg writes the class names, one per line, when it saves YOLO labels."""

NAME_ENTRY = re.compile(
    r"(?:-\s+|(?P<index>\d+)\s*:\s+)?"
    r"(?:'(?P<single>[^']+)'|\"(?P<double>[^\"\\]+)\"|(?P<plain>[^\s'\"&*!|>-][^'\":]*))"
)
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
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(f"{path}: cannot be read ({error}): check the file") from error
    return [_parse(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]


def read_names(path: Path) -> list[str]:
    """The class names of a data.yaml, or of LabelImg's classes.txt.

    Of YAML only a list, or a mapping from 0 up, in one line or one entry per line is understood: no dependency.

    Raises:
        AnnotationError: the file cannot be read, or the names are written in another way.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(f"{path}: cannot be read ({error}): give the class names with --names") from error
    plain = path.name == CLASSES_TXT
    names = [line.strip() for line in text.splitlines() if line.strip()] if plain else _yaml_names(text)
    if not names:
        raise AnnotationError(f"{path}: no plain list of names there: give the class names with --names")
    return names


def _yaml_names(text: str) -> list[str]:
    """The names, none if they are not written plainly."""
    names: list[str] = []
    for entry in _name_entries(text):
        match = NAME_ENTRY.fullmatch(entry)
        if not match or (match["index"] and int(match["index"]) != len(names)):
            return []
        names.append(match["single"] or match["double"] or match["plain"])
    return names


def _name_entries(text: str) -> list[str]:
    """The entries below or behind ``names:`` without comments: "a", "- a" or "0: a"."""
    lines = [line for line in (re.sub(r"(^|\s)#.*", "", line).rstrip() for line in text.splitlines()) if line]
    start = next((index for index, line in enumerate(lines) if line.startswith("names:")), len(lines))
    rest = "\n".join(lines[start:]).removeprefix("names:").lstrip(" \t")
    if rest.startswith(("[", "{")):
        inside = re.split(r"[]}]", rest[1:], maxsplit=1)[0]
        return [entry.strip() for entry in inside.split(",") if entry.strip()]
    if not rest.startswith("\n"):
        return []
    return [line.strip() for line in takewhile(lambda line: line[0] in " \t-", rest[1:].splitlines())]


def _parse(path: Path, number: int, line: str) -> YoloBox:
    fields = line.split()
    where = f"{path}: line {number}"
    if len(fields) not in (5, 6):
        raise AnnotationError(f"{where} has {len(fields)} columns, a box has 5 or 6: convert outlines to boxes first")
    try:
        class_id, values = int(float(fields[0])), [float(field) for field in fields[1:]]
    except (ValueError, OverflowError):
        raise AnnotationError(f"{where} is not made of numbers: correct it") from None
    if class_id < 0 or class_id != float(fields[0]):
        raise AnnotationError(f"{where} has class {fields[0]}, which is not 0, 1, 2 ...: correct it")
    if not all(-TOLERANCE <= value <= 1 + TOLERANCE for value in values):  # NaN fails too
        raise AnnotationError(f"{where} has a value outside 0 to 1: YOLO boxes are fractions of the image, not pixels")
    return YoloBox(class_id, *values)


def _snap(value: float, limit: int) -> float:
    value = min(max(value, 0.0), float(limit))
    whole = float(round(value))
    return whole if abs(value - whole) < 0.01 else value
