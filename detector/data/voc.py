"""LabelImg's Pascal VOC XML to and from :class:`Annotation`.

LabelImg counts pixels from 0 and writes right and bottom edges exclusively, unlike the VOC development kit: nothing is
subtracted here. Files come from strangers: entities, document types and the network are out of bounds for the parser.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lxml import etree

from detector.errors import AnnotationError
from detector.files import write_file

__all__ = ["CORNERS", "Annotation", "Box", "corners_in", "format_number", "read", "to_bytes", "write"]

MAX_BYTES = 8 * 2**20  # about 25,000 boxes; the largest real files have 2,000
MAX_NAME = 200  # characters of a class
MAX_DIGITS = 40  # of a number
MAX_COORDINATE = 1_000_000  # no image is larger; 1e300 would be clipped to a box that looks real
CORNERS = ("xmin", "ymin", "xmax", "ymax")
ROOT_TAGS = frozenset({"folder", "filename", "path", "size"})
SIZE_TAGS = frozenset({"width", "height", "depth"})
OBJECT_TAGS = frozenset({"name", "pose", "truncated", "difficult", "bndbox"})
_PARSER = etree.XMLParser(
    resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
)
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
    """

    filename: str
    folder: str
    size: tuple[int, int] | None
    boxes: tuple[Box, ...]
    depth: int = 3
    path: str | None = None
    verified: bool = False


def read(path: Path) -> Annotation:
    """Read a LabelImg file.

    Raises:
        AnnotationError: the file is missing, too large, not XML, has a DOCTYPE, or a value in it cannot be understood.
    """
    root = _parse(path)
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
    if not all(len(text) <= MAX_DIGITS and _number(text) is not None for text in texts):
        return None
    xmin, ymin, xmax, ymax = map(float, texts)
    return xmin, ymin, xmax, ymax


def _parse(path: Path) -> etree._Element:
    data = _read_bytes(path)
    if not data.strip():
        raise AnnotationError(f"{path}: the file is empty: label the image again or delete the file")
    try:
        root = etree.fromstring(data, _PARSER)
    except (etree.XMLSyntaxError, LookupError, ValueError) as error:
        reason = str(getattr(error, "msg", None) or error)[:150]  # the parser quotes the file
        raise AnnotationError(f"{path}: not well-formed XML ({reason}): save it again in LabelImg as UTF-8") from None
    document = root.getroottree().docinfo
    if document.internalDTD is not None or document.externalDTD is not None:
        raise AnnotationError(f"{path}: a DOCTYPE is not allowed in a label file: delete that line")
    if root.tag != "annotation":
        said = f"the root element is {root.tag[:80]!r}, not 'annotation'"
        raise AnnotationError(f"{path}: {said}: this is not a LabelImg file")
    return root


def _read_bytes(path: Path) -> bytes:
    try:
        # A pipe or a device would be read for ever.
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise AnnotationError(f"{path}: not a regular file: remove it from the annotations folder")
        if status.st_size > MAX_BYTES:
            raise AnnotationError(f"{path}: larger than {MAX_BYTES >> 20} MiB, which no label file is: remove it")
        with path.open("rb") as file:
            return file.read(status.st_size)
    except OSError as error:
        reason = f"cannot be read ({error.strerror}): check the file and its permissions"
        raise AnnotationError(f"{path}: {reason}") from error


def _annotation(root: etree._Element) -> Annotation:
    fields = _children(root, ROOT_TAGS)
    size = _children(fields["size"], SIZE_TAGS) if "size" in fields else {}
    width, height, depth = (_integer(size, tag) for tag in ("width", "height", "depth"))
    return Annotation(
        filename=_text(fields, "filename"),
        folder=_text(fields, "folder"),
        size=None if width is None or height is None else (width, height),
        boxes=tuple(_box(element, index) for index, element in enumerate(root.iterchildren("object"), 1)),
        depth=depth or 3,
        path=_text(fields, "path") or None,
        verified=root.get("verified") == "yes",
    )


def _box(element: etree._Element, index: int) -> Box:
    try:
        fields = _children(element, OBJECT_TAGS)
        name = _text(fields, "name")
        if not name:
            raise AnnotationError("has no name: name it in LabelImg")
        if len(name) > MAX_NAME:
            raise AnnotationError(f"has a name of {len(name)} characters: name it again in LabelImg")
        if "bndbox" not in fields:
            raise AnnotationError("has no bndbox: draw its box in LabelImg")
        corners = _children(fields["bndbox"], frozenset(CORNERS))
        difficult, truncated = (bool(_integer(fields, tag)) for tag in ("difficult", "truncated"))
        xmin, ymin, xmax, ymax = (_pixels(corners, tag) for tag in CORNERS)
        return Box(name, xmin, ymin, xmax, ymax, difficult, truncated, _text(fields, "pose") or "Unspecified")
    except AnnotationError as error:
        raise AnnotationError(f"object {index} {error}") from None


def _children(parent: etree._Element, tags: frozenset[str]) -> dict[str, etree._Element]:
    """The children with these tags, each of which may be there once."""
    found: dict[str, etree._Element] = {}
    for child in parent:
        tag = child.tag
        if tag in tags:
            if tag in found:
                raise AnnotationError(f"has two <{tag}> where one belongs: delete the wrong one")
            found[tag] = child
    return found


def _text(fields: dict[str, etree._Element], tag: str) -> str:
    return (fields[tag].text or "").strip() if tag in fields else ""


def _integer(fields: dict[str, etree._Element], tag: str) -> int | None:
    return int(_pixels(fields, tag)) if _text(fields, tag) else None


def _pixels(fields: dict[str, etree._Element], tag: str) -> float:
    text = _text(fields, tag)
    if not text:
        raise AnnotationError(f"has no {tag}: draw its box again in LabelImg")
    value = _number(text) if len(text) <= MAX_DIGITS else None
    if value is None:
        raise AnnotationError(f"has {tag} {text[:40]!r}, which is not a number of pixels (like 12 or 12.5): correct it")
    return value


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
