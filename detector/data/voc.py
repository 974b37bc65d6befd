"""LabelImg's Pascal VOC XML to and from :class:`Annotation`.

LabelImg counts pixels from 0 and writes right and bottom edges exclusively, unlike the VOC development kit: nothing is
subtracted here. Files come from strangers: entities, document types and the network are out of bounds for the parser.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lxml import etree

from detector.data.hostile_xml import read_annotation
from detector.data.outlines import box_around
from detector.errors import AnnotationError
from detector.files import write_file

__all__ = ["CORNERS", "Annotation", "Box", "corners_in", "format_number", "read", "to_bytes", "write"]

MAX_NAME = 200  # characters of a class
MAX_DIGITS = 40  # of a number
MAX_COORDINATE = 1_000_000  # no image is larger; 1e300 would be clipped to a box that looks real
CORNERS = ("xmin", "ymin", "xmax", "ymax")
ROOT_TAGS = frozenset({"folder", "filename", "path", "size"})
SIZE_TAGS = frozenset({"width", "height", "depth"})
OBJECT_TAGS = frozenset({"name", "pose", "truncated", "difficult", "bndbox"})
NEEDED_TAGS = frozenset({"name", "bndbox", *CORNERS})
YES = ("true", "yes")
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)  # float() also takes nan, inf and 1_000


@dataclass(frozen=True)
class Box:
    """One labelled object, as stated in the file: corners may be swapped or lie outside the image.

    Args:
        name: the annotator's own class name.
        xmin, ymin, xmax, ymax: pixels, from 0; right and bottom exclusive.
        difficult, truncated, pose: as in the file; LabelImg's defaults where they are missing.
    """

    name: str
    xmin: float
    ymin: float
    xmax: float
    ymax: float
    difficult: bool = False
    truncated: bool = False
    pose: str = "Unspecified"

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        """(xmin, ymin, xmax, ymax)."""
        return self.xmin, self.ymin, self.xmax, self.ymax

    def __str__(self) -> str:
        return f"{self.name} {' '.join(map(format_number, self.xyxy))}"


@dataclass(frozen=True)
class Annotation:
    """One label file.

    Args:
        filename: the image's file name as the file states it, possibly empty or wrong.
        folder: the name of the image's folder when it was labelled.
        size: (width, height) in pixels as stated, None where missing; LabelImg sometimes writes 0 x 0.
        boxes: in the order of the file.
        depth: colour channels as stated.
        path: the image's path on the annotator's machine; None leaves the element out.
        verified: the image was marked as verified in LabelImg.
        notes: what in the file could not be understood and was not needed, or was read in another way; a line each.
    """

    filename: str
    folder: str
    size: tuple[int, int] | None
    boxes: tuple[Box, ...]
    depth: int = 3
    path: str | None = None
    verified: bool = False
    notes: tuple[str, ...] = ()


def read(path: Path) -> Annotation:
    """Read a LabelImg file.

    Raises:
        AnnotationError: the file is missing, too large, not XML, has a DOCTYPE, or a class or box in it is not clear.
    """
    root = read_annotation(path)
    try:
        return _annotation(root)
    except AnnotationError as error:
        raise AnnotationError(f"{path}: {error}") from None


def to_bytes(annotation: Annotation) -> bytes:
    """A file as LabelImg writes it, so that LabelImg opens it.

    Raises:
        AnnotationError: a name has characters that XML does not allow.
    """
    try:
        root = _element(annotation)
    except ValueError as error:
        reason = "a name has control characters, which XML does not allow: rename it"
        raise AnnotationError(f"{annotation.filename}: {reason}") from error
    etree.indent(root, space="\t")
    data: bytes = etree.tostring(root, encoding="utf-8") + b"\n"
    return data


def write(path: Path, annotation: Annotation) -> None:
    """Write :func:`to_bytes` to a file, which appears whole or not at all; an older one is replaced.

    Raises:
        AnnotationError: a name has characters that XML does not allow.
        OutputError: the file cannot be written.
    """
    write_file(path, to_bytes(annotation), replace=True)


def format_number(value: float) -> str:
    """A coordinate with at most three decimals; whole numbers have none, as LabelImg writes them."""
    text = f"{value:.3f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def corners_in(row: Mapping[str, str]) -> tuple[float, float, float, float] | None:
    """The columns xmin, ymin, xmax, ymax of a CSV row; None where one is not a number of pixels."""
    texts = [row[corner] for corner in CORNERS]
    if not all(_value(text) is not None for text in texts):
        return None
    xmin, ymin, xmax, ymax = map(float, texts)
    return xmin, ymin, xmax, ymax


def _annotation(root: etree._Element) -> Annotation:
    notes: list[str] = []
    fields = _children(root, ROOT_TAGS, notes)
    size = _children(fields["size"], SIZE_TAGS, notes) if "size" in fields else {}
    width, height, depth = (_optional(size, tag, notes) for tag in ("width", "height", "depth"))
    boxes = tuple(_box(element, index, notes) for index, element in enumerate(root.iterchildren("object"), 1))
    return Annotation(
        filename=_text(fields, "filename"),
        folder=_text(fields, "folder"),
        size=None if width is None or height is None else (width, height),
        boxes=boxes,
        depth=depth or 3,
        path=_text(fields, "path") or None,
        verified=root.get("verified") == "yes",
        notes=tuple(notes),
    )


def _box(element: etree._Element, index: int, notes: list[str]) -> Box:
    said: list[str] = []
    try:
        fields = _children(element, OBJECT_TAGS, said)
        name = _text(fields, "name")
        if not name:
            raise AnnotationError("has no name: name it in LabelImg")
        if len(name) > MAX_NAME:
            raise AnnotationError(f"has a name of {len(name)} characters: name it again in LabelImg")
        difficult, truncated = (bool(_optional(fields, tag, said)) for tag in ("difficult", "truncated"))
        corners = _corners(element, fields, said)
        return Box(name, *corners, difficult, truncated, _text(fields, "pose") or "Unspecified")
    except AnnotationError as error:
        raise AnnotationError(f"object {index} {error}") from None
    finally:
        notes += [f"object {index} {note}" for note in said]


def _corners(
    element: etree._Element, fields: dict[str, etree._Element], notes: list[str]
) -> tuple[float, float, float, float]:
    """Of the bndbox; where there is none that can be used, those around a polygon or a turned box."""
    try:
        if "bndbox" not in fields:
            raise AnnotationError("has no bndbox: draw its box in LabelImg")
        corners = _children(fields["bndbox"], frozenset(CORNERS), notes)
        xmin, ymin, xmax, ymax = (_pixels(corners, tag) for tag in CORNERS)
        return xmin, ymin, xmax, ymax
    except AnnotationError:
        around = box_around(element, _value)
        if around is None:
            raise
        notes.append("is outlined without a box: the box around its outline is used")
        return around


def _children(parent: etree._Element, tags: frozenset[str], notes: list[str]) -> dict[str, etree._Element]:
    """The children with these tags; of one that is there twice and not needed, the first."""
    found: dict[str, etree._Element] = {}
    for child in parent:
        tag = child.tag
        if tag in tags:
            if tag in found and tag in NEEDED_TAGS:
                raise AnnotationError(f"has two <{tag}> where one belongs: delete the wrong one")
            if tag in found:
                notes.append(f"has two <{tag}>: the first is used")
            found.setdefault(tag, child)
    return found


def _text(fields: dict[str, etree._Element], tag: str) -> str:
    return (fields[tag].text or "").strip() if tag in fields else ""


def _optional(fields: dict[str, etree._Element], tag: str, notes: list[str]) -> int | None:
    """A whole number that nothing depends on; a word for yes is 1, of any other a note is taken."""
    text = _text(fields, tag)
    value = _value(text)
    if text and value is None:
        notes.append(f"has {tag} {text[:40]!r}, which is not a number: it is not needed")
        return 1 if text.casefold() in YES else None
    return None if value is None else int(value)


def _pixels(fields: dict[str, etree._Element], tag: str) -> float:
    text = _text(fields, tag)
    if not text:
        raise AnnotationError(f"has no {tag}: draw its box again in LabelImg")
    value = _value(text)
    if value is None:
        raise AnnotationError(f"has {tag} {text[:40]!r}, which is not a number of pixels (like 12 or 12.5): correct it")
    return value


def _value(text: str) -> float | None:
    """The number that a text is, None if it is none."""
    return _number(text) if len(text) <= MAX_DIGITS else None


@lru_cache(maxsize=4096)  # a data set has a few hundred numbers, thousands of times
def _number(text: str) -> float | None:
    return float(text) if NUMBER.fullmatch(text) and abs(float(text)) <= MAX_COORDINATE else None


def _element(annotation: Annotation) -> etree._Element:
    def add(parent: etree._Element, tag: str, text: str | None = None) -> etree._Element:
        child = etree.SubElement(parent, tag)
        child.text = text
        return child

    root = etree.Element("annotation")
    if annotation.verified:
        root.set("verified", "yes")
    add(root, "folder", annotation.folder)
    add(root, "filename", annotation.filename)
    if annotation.path is not None:
        add(root, "path", annotation.path)
    add(add(root, "source"), "database", "Unknown")
    size = add(root, "size")
    for tag, value in zip(("width", "height", "depth"), (*(annotation.size or (0, 0)), annotation.depth), strict=True):
        add(size, tag, str(value))
    add(root, "segmented", "0")
    for box in annotation.boxes:
        item = add(root, "object")
        add(item, "name", box.name)
        add(item, "pose", box.pose)
        add(item, "truncated", str(int(box.truncated)))
        add(item, "difficult", str(int(box.difficult)))
        corners = add(item, "bndbox")
        for tag, corner in zip(CORNERS, box.xyxy, strict=True):
            add(corners, tag, format_number(corner))
    return root
