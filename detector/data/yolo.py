"""A YOLO data set as anyone may have made it: its data.yaml, its lists of images, one label file per image."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from detector.data.csvfile import read_text
from detector.data.yolo_labels import YoloBox, label_of, read_labels
from detector.detections import CLASSES
from detector.errors import AnnotationError
from detector.media.images import IMAGE_SUFFIXES

__all__ = [
    "CLASSES_TXT",
    "DATA_YAML",
    "TRAINABLE",
    "YoloSource",
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
SHOWN = 20  # label files in an error message
MAX_ENTRIES = 2_000_000  # files and folders below one folder of images; OpenImages has 1.7 million images
PARTS = ("train", "val", "test")
NOTHING = ("", "~", "null", "Null", "NULL")  # as YAML writes it


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

    def labels(self, part: str) -> dict[Path, list[YoloBox]]:
        """The images of a part, sorted, with what their label files say; nothing where there is none.

        Raises:
            AnnotationError: as for :meth:`images`, or label files cannot be used; all of them are named.
        """
        found: dict[Path, list[YoloBox]] = {}
        wrong: list[str] = []
        for image in self.images(part):
            self._add(image, found, wrong)
        if len(wrong) > 1:
            more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
            raise AnnotationError(f"{len(wrong)} label files cannot be used: {'; '.join(wrong[:SHOWN])}{more}")
        if wrong:
            raise AnnotationError(wrong[0])
        return found

    def _add(self, image: Path, found: dict[Path, list[YoloBox]], wrong: list[str]) -> None:
        label = label_of(image)
        try:
            found[image] = read_labels(label) if label.is_file() else []
            if any(box.class_id >= len(self.names) for box in found[image]):
                names = ", ".join(self.names)
                raise AnnotationError(f"{label}: classes go from 0 to {len(self.names) - 1} ({names}): correct it")
        except AnnotationError as error:
            wrong.append(str(error))

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
    parts = {part: tuple(_entry(root, text) for text in _texts(data, part, content.get(part))) for part in PARTS}
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


def _entry(root: Path, text: str) -> Path:
    """What an entry names; Roboflow writes ../train/images for ./train/images, and ultralytics understands it."""
    path = root / text
    return root / text[3:] if text.startswith("../") and not os.path.lexists(path) else path
