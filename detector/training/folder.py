"""The YOLO folder that training reads: checked before anything heavy begins, and copied if it is the user's own."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detector.data.progress import Progress, silent
from detector.data.yolo import DATA_YAML, read_labels
from detector.data.yolo_folder import TRAINABLE
from detector.detections import CLASSES
from detector.errors import TrainingError
from detector.media.images import is_complete

__all__ = ["Contents", "adopt", "check_folder", "describe"]

SPLITS = ("train", "val")


@dataclass(frozen=True)
class Contents:
    """What one split of a YOLO folder holds.

    Args:
        images: number of images.
        faces: labelled faces per class name.
    """

    images: int
    faces: dict[str, int]


def check_folder(data: Path) -> dict[str, Contents]:
    """Count what can be learnt from a YOLO folder, and refuse what nothing good can come of.

    Args:
        data: its data.yaml.

    Returns:
        The contents of ``train`` and ``val``.

    Raises:
        TrainingError: other classes or another order, no images, or no face of a class.
        AnnotationError: a label file cannot be read.
    """
    contents = {}
    for split, images in _read(data).items():
        faces: Counter[int] = Counter()
        for image in images:
            label = _label_of(image)
            boxes = read_labels(label) if label.is_file() else []
            faces.update(box.class_id for box in boxes)
            if boxes and max(box.class_id for box in boxes) >= len(CLASSES):
                raise TrainingError(
                    f"{label}: classes go from 0 to {len(CLASSES) - 1} ({', '.join(CLASSES)}): correct it"
                )
        for index, name in enumerate(CLASSES):
            if not faces[index]:
                raise TrainingError(f"{data}: no face is labelled {name} in {split}: both classes are needed there")
        contents[split] = Contents(len(images), {name: faces[index] for index, name in enumerate(CLASSES)})
    return contents


def adopt(data: Path, out: Path, progress: Progress = silent) -> Path:
    """Copy a YOLO folder of the user's into a run, because ultralytics writes into the folder that it trains on.

    Args:
        data: its data.yaml; ``train`` and ``val`` may be folders, lists of folders, or text files of paths.
        out: a folder that does not exist yet.
        progress: wraps the loop, for a progress bar.

    Returns:
        The copy's data.yaml.

    Raises:
        TrainingError: as for :func:`check_folder`, a damaged image, or the disk is full.
        AnnotationError: a label file cannot be read.
    """
    check_folder(data)
    try:
        for split, images in _read(data).items():
            for kind in ("images", "labels"):
                (out / kind / split).mkdir(parents=True)
            for number, image in enumerate(progress(images, f"copying {split}")):
                if not is_complete(image):
                    raise TrainingError(f"{image}: the image is cut short: copy it again, or take it out")
                name = f"{number:05d}-{image.name}"  # the same name may occur in several folders
                shutil.copyfile(image, out / "images" / split / name)
                label = _label_of(image)
                if label.is_file():
                    shutil.copyfile(label, _label_of(out / "images" / split / name))
        (out / "data.yaml").write_text(DATA_YAML, encoding="utf-8")
    except OSError as error:
        raise TrainingError(f"{out}: {data} cannot be copied there ({error.strerror}): make room") from error
    return out / "data.yaml"


def describe(contents: dict[str, Contents]) -> str:
    """One sentence for the metadata of a network that was trained on it; names no file or folder."""
    parts = []
    for split, verb in zip(SPLITS, ("trained on", "chosen on"), strict=True):
        faces = ", ".join(f"{number} {name}" for name, number in contents[split].faces.items())
        parts.append(f"{verb} {contents[split].images} images ({faces})")
    return ", ".join(parts)


def _read(data: Path) -> dict[str, list[Path]]:
    """The images of ``train`` and ``val``, after checking the class names."""
    import yaml  # comes with ultralytics

    try:
        content = yaml.safe_load(data.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise TrainingError(f"--data {data}: cannot be read ({error.strerror}): name a data.yaml") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TrainingError(f"--data {data}: not YAML: correct it") from error
    if not isinstance(content, dict):
        raise TrainingError(f"--data {data}: no entries train, val and names there: name a data.yaml")
    _check_names(data, content.get("names"))
    root = data.parent / str(content.get("path") or "")
    found = {}
    for split in SPLITS:
        sources = content.get(split)
        if not sources:
            raise TrainingError(f"--data {data}: no entry {split}: add the folder of its images")
        images = [image for source in _listed(sources) for image in _images(data, root / source)]
        if not images:
            raise TrainingError(f"--data {data}: no images in {split} ({sources}): correct the entry")
        found[split] = sorted(images)
    return found


def _check_names(data: Path, names: Any) -> None:
    ordered = list(names.values()) if isinstance(names, dict) and list(names) == list(range(len(names))) else names
    if ordered != list(CLASSES):
        expected = ", ".join(f"{index}: {name}" for index, name in enumerate(CLASSES))
        raise TrainingError(f"--data {data}: its names are {names}: they must be {expected}, in this order")


def _listed(sources: Any) -> list[str]:
    return [str(source) for source in (sources if isinstance(sources, list) else [sources])]


def _images(data: Path, source: Path) -> Iterable[Path]:
    """The images of a folder and its subfolders, or of a text file with one path per line."""
    if source.is_dir():
        paths = source.rglob("*")
        return [path for path in paths if path.suffix.lower() in TRAINABLE and path.is_file()]
    if source.is_file() and source.suffix == ".txt":
        lines = source.read_text(encoding="utf-8-sig").split("\n")
        listed = [source.parent / line.strip() for line in lines if line.strip()]
        for path in listed:
            if not path.is_file():
                raise TrainingError(f"{source}: lists {path}, which is not there: correct it")
        return listed
    raise TrainingError(f"--data {data}: {source} is not there: correct the entry, paths count from path: or the file")


def _label_of(image: Path) -> Path:
    """The label file of an image, by the convention of YOLO: the last folder called images becomes labels."""
    parts = list(image.parts)
    if "images" in parts[:-1]:
        parts[len(parts) - 2 - parts[-2::-1].index("images")] = "labels"
    return Path(*parts).with_suffix(".txt")
