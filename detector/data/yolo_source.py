"""A YOLO folder as someone else made it: what its data.yaml says, its images and their label files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detector.data.csvfile import read_text
from detector.data.yolo import YoloBox, names_in, read_labels, read_yaml
from detector.detections import CLASSES
from detector.errors import AnnotationError
from detector.media.images import IMAGE_SUFFIXES

__all__ = ["YoloSource", "label_of", "read_source"]

MAX_ENTRIES = 2_000_000
"""Files and folders below one folder of images; OpenImages has 1.7 million images."""

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
            raise AnnotationError(f"--data {self.data}: no entry {part} (there: {there}): add the folder of its images")
        found = sorted({path for source in self.parts[part] for path in self._listed(source)})
        if not found:
            sources = ", ".join(map(str, self.parts[part]))
            raise AnnotationError(f"--data {self.data}: no images in {part} ({sources}): correct the entry")
        return found

    def boxes(self, image: Path) -> list[YoloBox]:
        """What an image's label file says; nothing where there is none.

        Raises:
            AnnotationError: it cannot be read, or has a class that data.yaml does not name.
        """
        label = label_of(image)
        boxes = read_labels(label) if label.is_file() else []
        if boxes and max(box.class_id for box in boxes) >= len(self.names):
            raise AnnotationError(
                f"{label}: classes go from 0 to {len(self.names) - 1} ({', '.join(self.names)}): correct it"
            )
        return boxes

    def _listed(self, source: Path) -> list[Path]:
        """The images of a folder and its subfolders, or of a text file with one path per line."""
        try:
            if source.is_dir():
                return self._below(source)
            if source.suffix == ".txt" and source.is_file():
                return self._lines_of(source)
        except OSError as error:  # a name that is too long for any file
            raise AnnotationError(f"--data {self.data}: {source}: {error.strerror}: correct the entry") from error
        raise AnnotationError(
            f"--data {self.data}: {source} is not there: correct the entry, paths count from path: or the file"
        )

    def _below(self, folder: Path) -> list[Path]:
        """Links to folders are not followed, and what may not be read is passed over."""
        found, seen = [], 0
        if folder.resolve() == Path(folder.resolve().anchor):
            raise AnnotationError(f"--data {self.data}: {folder} is the whole disk: name the folder of the images")
        for parent, folders, names in os.walk(folder):
            seen += len(folders) + len(names)
            if seen > MAX_ENTRIES:
                raise AnnotationError(
                    f"--data {self.data}: {folder} holds more than {MAX_ENTRIES} files: name the folder of the images"
                )
            paths = [Path(parent, name) for name in names]
            found += [path for path in paths if path.suffix.lower() in self.suffixes and path.is_file()]
        return found

    def _lines_of(self, source: Path) -> list[Path]:
        lines = read_text(source, "correct it").split("\n")
        listed = [source.parent / line.strip() for line in lines if line.strip()]
        for path in listed:
            if path.suffix.lower() not in self.suffixes:  # it would be copied into the run
                raise AnnotationError(f"{source}: lists {path}, which is not an image: correct it")
            if not path.is_file():
                raise AnnotationError(f"{source}: lists {path}, which is not there: correct it")
        return listed


def read_source(data: Path, suffixes: frozenset[str] = IMAGE_SUFFIXES) -> YoloSource:
    """Read a data.yaml; its entries may be folders, lists of folders, or text files of paths.

    Args:
        data: the file.
        suffixes: of the files that are images.

    Raises:
        AnnotationError: it is missing, no YAML, or lists no class names.
        MissingExtraError: PyYAML is not installed.
    """
    content = read_yaml(data, "name a data.yaml", f"--data {data}")
    names = names_in(content.get("names"))
    if not names:
        raise AnnotationError(f"--data {data}: names must list the classes, 0: {CLASSES[0]} and so on: correct it")
    root = data.parent.joinpath(*_texts(data, "path", content.get("path"))[:1])
    parts = {part: tuple(root / text for text in _texts(data, part, content.get(part))) for part in PARTS}
    return YoloSource(data, tuple(names), {part: found for part, found in parts.items() if found}, suffixes)


def label_of(image: Path) -> Path:
    """The label file of an image, by YOLO's convention: where the last folder called images is called labels."""
    parts = list(image.parts)
    if "images" in parts[:-1]:
        parts[len(parts) - 2 - parts[-2::-1].index("images")] = "labels"
    return Path(*parts).with_suffix(".txt")


def _texts(data: Path, key: str, entry: Any) -> list[str]:
    """What an entry names, one or several; the empty list where it is not there or says nothing."""
    texts = entry if isinstance(entry, list) else [] if entry is None or entry in NOTHING else [entry]
    if not all(isinstance(text, str) and text.isprintable() and text not in NOTHING for text in texts):
        raise AnnotationError(f"--data {data}: {key} must name a folder, or a list of folders: correct it")
    return texts
