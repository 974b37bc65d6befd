"""Which files are cleaned, what they are called afterwards, and which label file belongs to which."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath

from detector.data import voc
from detector.data.loading import turned_box
from detector.errors import AnnotationError, SourceError
from detector.labelling.clean_report import CleanedImage
from detector.media.image_header import ImageHeader
from detector.media.images import IMAGE_SUFFIXES
from detector.staging import numbered

__all__ = ["find_files", "find_labels", "label_as_image", "new_names"]

_SUFFIXES = IMAGE_SUFFIXES | {".heic", ".heif", ".hif", ".avif", ".ico", ".tga", ".psd", ".pcx", ".j2k"}
_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8")


def find_files(source: Path) -> tuple[list[str], list[str]]:
    """The files of a folder and those below it, as sorted relative names: images, and others.

    An image is what has the suffix of one, or begins like one under another suffix ("photo.php"). Hidden files
    and folders, and what is no regular file, are left out.

    Raises:
        SourceError: the folder is missing or cannot be read.
    """
    if not source.is_dir():
        raise SourceError(f"{source}: no such folder: check the name")

    def refuse(error: OSError) -> None:
        raise SourceError(f"{error.filename}: cannot be read ({error.strerror}): check its permissions") from error

    images: list[str] = []
    others: list[str] = []
    for folder, folders, files in os.walk(source, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (Path(folder, name) for name in files if not name.startswith(".")):
            if path.is_file():
                (images if _is_image(path) else others).append(path.relative_to(source).as_posix())
    return sorted(images), sorted(others)


def _is_image(path: Path) -> bool:
    if path.suffix.lower() in _SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            return file.read(8).startswith(_STARTS)
    except OSError:
        return False


def new_names(names: Iterable[str]) -> dict[str, str]:
    """The name of each file as a JPEG, all in one folder: that is what the other commands and LabelImg read.

    None differ only in case or suffix, nor are two one name on some file system: they would share a label file.

    Args:
        names: relative names; of two that clash, the first keeps its name.
    """
    given: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        suffix = Path(name).suffix if Path(name).suffix.lower() in {".jpg", ".jpeg"} else ".jpg"
        for candidate in numbered(Path(Path(name).stem + suffix)):
            key = unicodedata.normalize("NFC", candidate.stem).casefold()
            if key not in taken:
                taken.add(key)
                given[name] = candidate.name
                break
    return given


def find_labels(source: Path, images: Iterable[str], folder: Path | None) -> dict[str, Path]:
    """The label file of each image that has one.

    Args:
        source: where the images are.
        images: their names relative to ``source``.
        folder: of label files, with the folders of ``source`` or flat; None looks beside each image.

    Returns:
        Image name to label file. Of images that share a stem, the one that the file names has it, or the first.
    """
    sharing: dict[Path, list[str]] = defaultdict(list)
    listed: dict[Path, dict[str, Path]] = {}  # by folder: its label files by their names in lower case
    for name in sorted(images):
        label = PurePosixPath(name).with_suffix(".xml")
        places = [source / label] if folder is None else [folder / label, folder / label.name]
        for parent in {place.parent for place in places} - listed.keys():
            files = sorted(parent.iterdir()) if parent.is_dir() else []
            listed[parent] = {file.name.casefold(): file for file in files if file.suffix.lower() == ".xml"}
        others = [listed[place.parent].get(place.name.casefold()) for place in places]
        if found := next((place for place in (*places, *others) if place and place.is_file()), None):
            sharing[found].append(name)
    return {_owner(label, names): label for label, names in sharing.items()}


def _owner(label: Path, names: list[str]) -> str:
    try:
        stated = voc.read(label).filename if len(names) > 1 else ""
    except AnnotationError:
        stated = ""
    return next((name for name in names if PurePosixPath(name).name == stated), names[0])


def label_as_image(label: Path, image: CleanedImage) -> bytes:
    """The label file of an image, its boxes turned and scaled as that was; as it is where nothing of them changes.

    Raises:
        AnnotationError: the file cannot be read, or was made for an image of another size; the message is the reason.
    """
    if image.orientation == 1 and image.old_size == image.size:
        return label.read_bytes()
    try:
        annotation = voc.read(label)
    except AnnotationError as error:
        raise AnnotationError(str(error).removeprefix(f"{label}: ")) from error
    lying = _lying_size(annotation, image)
    if not lying and image.old_size == image.size:
        return label.read_bytes()
    if annotation.size != (lying or image.old_size):
        stated = "no size" if annotation.size is None else "x".join(map(str, annotation.size))
        had = "x".join(map(str, image.old_size))
        raise AnnotationError(f"states {stated}, but the image had {had}: its boxes cannot be scaled")
    across, down = image.size[0] / image.old_size[0], image.size[1] / image.old_size[1]
    header = ImageHeader(image.format, lying, image.orientation)
    boxes = (turned_box(box, header) if lying else box for box in annotation.boxes)
    scaled = (
        replace(box, xmin=box.xmin * across, xmax=box.xmax * across, ymin=box.ymin * down, ymax=box.ymax * down)
        for box in boxes
    )
    return voc.to_bytes(replace(annotation, size=image.size, boxes=tuple(scaled)))


def _lying_size(annotation: voc.Annotation, image: CleanedImage) -> tuple[int, int] | None:
    """The size of the image as it is stored, if the boxes were drawn on that; None if they were on the upright one.

    The stated size says so. Where both are alike, LabelImg decides, which turns all but PNG and WebP.
    """
    stored = image.old_size[::-1] if image.orientation >= 5 else image.old_size
    if image.orientation == 1 or annotation.size != stored:
        return None
    return stored if stored != image.old_size or image.format in {"png", "webp"} else None
