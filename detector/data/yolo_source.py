"""A YOLO folder as someone else made it: what its data.yaml says, its images and their label files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detector.data.yolo import YoloBox, read_labels
from detector.detections import CLASSES
from detector.errors import AnnotationError, MissingExtraError
from detector.media.images import IMAGE_SUFFIXES

__all__ = ["YoloSource", "label_of", "read_source"]


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

    def _listed(self, source: Path) -> Iterable[Path]:
        """The images of a folder and its subfolders, or of a text file with one path per line."""
        if source.is_dir():
            return [path for path in source.rglob("*") if path.suffix.lower() in self.suffixes and path.is_file()]
        if source.is_file() and source.suffix == ".txt":
            lines = source.read_text(encoding="utf-8-sig").split("\n")
            listed = [source.parent / line.strip() for line in lines if line.strip()]
            for path in listed:
                if not path.is_file():
                    raise AnnotationError(f"{source}: lists {path}, which is not there: correct it")
            return listed
        raise AnnotationError(
            f"--data {self.data}: {source} is not there: correct the entry, paths count from path: or the file"
        )


def read_source(data: Path, suffixes: frozenset[str] = IMAGE_SUFFIXES) -> YoloSource:
    """Read a data.yaml; its entries may be folders, lists of folders, or text files of paths.

    Args:
        data: the file.
        suffixes: of the files that are images.

    Raises:
        AnnotationError: it is missing, no YAML, or lists no class names.
        MissingExtraError: PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError as error:
        raise MissingExtraError("PyYAML", "score") from error
    try:
        content = yaml.safe_load(data.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise AnnotationError(f"--data {data}: cannot be read ({error.strerror}): name a data.yaml") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise AnnotationError(f"--data {data}: not YAML: correct it, or name a data.yaml") from error
    if not isinstance(content, dict):
        raise AnnotationError(f"--data {data}: no entries train, val and names there: name a data.yaml")
    root = data.parent / str(content.get("path") or "")
    parts = {
        part: tuple(root / str(source) for source in (entry if isinstance(entry, list) else [entry]))
        for part in ("train", "val", "test")
        if (entry := content.get(part))
    }
    return YoloSource(data, _names(data, content.get("names")), parts, suffixes)


def label_of(image: Path) -> Path:
    """The label file of an image, by YOLO's convention: where the last folder called images is called labels."""
    parts = list(image.parts)
    if "images" in parts[:-1]:
        parts[len(parts) - 2 - parts[-2::-1].index("images")] = "labels"
    return Path(*parts).with_suffix(".txt")


def _names(data: Path, names: Any) -> tuple[str, ...]:
    ordered = list(names.values()) if isinstance(names, dict) and list(names) == list(range(len(names))) else names
    if not isinstance(ordered, list) or not ordered:
        raise AnnotationError(f"--data {data}: names must list the classes, 0: {CLASSES[0]} and so on: correct it")
    return tuple(map(str, ordered))
