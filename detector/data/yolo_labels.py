"""YOLO label files: one per image, a line for each box."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from detector.data.csvfile import read_text
from detector.data.hostile_xml import MAX_BYTES
from detector.data.outlines import around
from detector.data.voc import NUMBER
from detector.detections import Detections
from detector.errors import AnnotationError

__all__ = ["YoloBox", "format_labels", "label_of", "read_labels"]

MAX_CLASS = 10_000
LEAST_OUTLINE = 7  # columns: the class and three corners
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


def label_of(image: Path) -> Path:
    """The label file of an image, by YOLO's convention: where the last folder called images is called labels."""
    parts = list(image.parts)
    if "images" in parts[:-1]:
        parts[len(parts) - 2 - parts[-2::-1].index("images")] = "labels"
    return Path(*parts).with_suffix(".txt")


def read_labels(path: Path) -> list[YoloBox]:
    """Read a label file with five columns, six with the confidence last, or outlines: then the boxes around these.

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


def _parse(path: Path, number: int, line: str) -> YoloBox:
    fields = line.split()
    where = f"{path}: line {number}"
    outlined = len(fields) >= LEAST_OUTLINE and len(fields) % 2
    if len(fields) not in (5, 6) and not outlined:
        raise AnnotationError(f"{where} has {len(fields)} columns, a box has 5 or 6, an outline 7, 9 ...: correct it")
    if not all(NUMBER.fullmatch(field) for field in fields):
        raise AnnotationError(f"{where} is not made of numbers: correct it")
    class_id, *values = map(float, fields)
    if not (0 <= class_id <= MAX_CLASS and class_id.is_integer()):
        raise AnnotationError(f"{where} has class {fields[0]}, which is not 0, 1, 2 ...: correct it")
    if not all(-TOLERANCE <= value <= 1 + TOLERANCE for value in values):
        raise AnnotationError(f"{where} has a value outside 0 to 1: YOLO boxes are fractions of the image, not pixels")
    if outlined:
        left, top, right, bottom = around(values[::2], values[1::2])
        values = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
    return YoloBox(int(class_id), *values)


def _snap(value: float, limit: int) -> float:
    value = min(max(value, 0.0), float(limit))
    whole = float(round(value))
    return whole if abs(value - whole) < 0.01 else value
