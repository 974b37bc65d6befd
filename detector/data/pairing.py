"""Which annotation belongs to which image."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from detector.data import voc
from detector.data.progress import Progress
from detector.data.report import Report
from detector.errors import AnnotationError, SourceError
from detector.media.images import IMAGE_SUFFIXES, STRANGE_SUFFIXES, left_below, list_images, read

__all__ = ["Pair", "name_set", "pair"]

PLAIN_FOLDERS = frozenset({"images", "image", "imgs", "img", "jpegimages", "annotations", "labels", "xml", "xmls"})
SUFFIXES = IMAGE_SUFFIXES | STRANGE_SUFFIXES
"""What is taken off a stated name without a doubt: what images are called before they are saved in another format."""


@dataclass(frozen=True)
class Pair:
    """An image and what its label file says.

    Args:
        image, annotation: the two files.
        set_name: the name of the image's set.
        label: the content of the annotation.
    """

    image: Path
    annotation: Path
    set_name: str
    label: voc.Annotation

    @property
    def title(self) -> str:
        """Set and file name: how reports call the image."""
        return f"{self.set_name}/{self.image.name}"


def pair(annotations: Sequence[Path], images: Sequence[Path], report: Report, progress: Progress) -> list[Pair]:
    """Read all annotations and find the image of each.

    With as many folders of one kind as of the other, the first belongs to the first and so on; otherwise all image
    folders are searched. The image with the annotation's own name comes before the one that its ``filename`` names.
    What finds no partner is reported as dropped.

    Returns:
        The pairs, sorted by set and image name.

    Raises:
        AnnotationError: a folder is missing, or holds no label files or no images.
        SourceError: a folder of images is missing.
    """
    labels = _read_all([_list_xml(folder) for folder in annotations], report, progress)
    pictures = [list_images(folder, strange=True) for folder in images]
    for folders, kind in ((annotations, (frozenset({".xml"}), "XML file")), (images, ())):
        report.warnings += [f"{folder.name}: {below}" for folder in folders if (below := left_below(folder, *kind))]
    if not any(pictures):
        below = f" ({report.warnings[-1]})" if report.warnings else ""
        raise AnnotationError(f"{', '.join(map(str, images))}: no images there{below}: check --images")
    if len(labels) != len(pictures):
        labels, pictures = [list(chain(*labels))], [list(chain(*pictures))]
    pairs = chain(*(_match(*scope, report) for scope in zip(labels, pictures, strict=True)))
    return sorted(pairs, key=lambda found: (found.set_name, found.image.name))


def name_set(folder: Path) -> str:
    """The name of the set whose files lie in ``folder``: its own, or its parent's if it is just called "images"."""
    folder = folder.absolute()  # not resolve(): the user's own name for a link is the one to keep
    return folder.parent.name if folder.name.lower() in PLAIN_FOLDERS and folder.parent.name else folder.name


_Label = tuple[Path, voc.Annotation]


def _match(labels: list[_Label], images: list[Path], report: Report) -> list[Pair]:
    """Pair the annotations and images of one scope."""
    names = _Names(images)
    owners: dict[Path, Pair] = {}
    for path, label in sorted(labels, key=lambda label: names.distance(label[0].stem)):  # own names come first
        # Without the folders that some tools write there; no file system has longer names.
        stated = label.filename.replace("\\", "/").rsplit("/", 1)[-1][:255]
        candidates = _likeliest(names.find(path.stem) or names.find(stated), stated, path)
        guessed = not candidates
        candidates = candidates or _likeliest(names.find(Path(stated).stem), stated, path)
        if len(candidates) != 1:
            reason = f"no image has its name or the one that it states, {stated!r}: add it to --images"
            if candidates:
                reason = f"{len(candidates)} images have this name: give --annotations and --images in pairs"
        elif candidates[0] in owners:
            owner = owners[candidates[0]].annotation.name
            reason = f"{candidates[0].name} belongs to {owner} already: delete one of the two"
        else:
            (image,) = candidates
            owners[image] = found = Pair(image, path, name_set(image.parent), label)
            for note in label.notes:
                report.mend("image", found.title, f"its annotation: {note}")
            if guessed and Path(stated).suffix.lower() not in SUFFIXES:
                reason = f"{path.name} states {stated!r}, and no image is called so: was this one labelled? Look at it"
                report.suspect("annotation", found.title, reason)
            if stated and _names_of(stated.casefold()).isdisjoint(_names_of(image.name.casefold())):
                report.mend("annotation", found.title, f"states the file name {stated!r}; the name of the XML counts")
            continue
        report.drop("annotation", _title(path), reason)
    for image in images:
        if image in owners:
            continue
        try:
            if image.suffix.lower() in STRANGE_SUFFIXES:
                read(image)
        except SourceError as error:
            report.drop_unreadable(_title(image), image, error)
        else:
            reason = "no annotation that can be used: label it in LabelImg (without a box it is background)"
            report.drop("image", _title(image), reason)
    return list(owners.values())


class _Names:
    """Images by their names, with or without the suffix; where none is written so, in upper or lower case."""

    def __init__(self, images: list[Path]) -> None:
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        for image in images:
            for name in _names_of(image.name) | _names_of(image.name.casefold()):
                self._by_name[name].append(image)

    def distance(self, name: str) -> int:
        """0 where an image is called so, 1 where one is in another case, else 2."""
        found = self.find(name)
        return 2 if not found else 0 if _key(name) in _names_of(found[0].name) else 1

    def find(self, name: str) -> list[Path]:
        """The images that are called so: with this suffix, else without any, else in another case."""
        found = self._by_name.get(_key(name)) or self._by_name.get(_key(name.casefold()), [])
        found = [image for image in found if _key(name) in _names_of(image.name)] or found
        return [image for image in found if _key(image.name) == _key(name)] or found


def _names_of(name: str) -> set[str]:
    return {_key(name), _key(Path(name).stem)}


def _likeliest(images: list[Path], stated: str, label: Path) -> list[Path]:
    """Of several images, those with the stated suffix; of these, those in a folder beside that of the label."""
    images = [image for image in images if image.suffix.lower() not in STRANGE_SUFFIXES] or images
    images = [image for image in images if _key(image.name) == _key(stated)] or images
    beside = {label.parent, label.parent.parent}
    return [image for image in images if beside & {image.parent, image.parent.parent}] or images


def _read_all(folders: list[list[Path]], report: Report, progress: Progress) -> list[list[_Label]]:
    labels: list[list[_Label]] = [[] for _ in folders]
    files = [(path, index) for index, folder in enumerate(folders) for path in folder]
    for path, index in progress(files, "reading annotations"):
        labels[index] += _read(path, report)
    if not any(labels):
        first = f"; {report.dropped[0].file}: {report.dropped[0].reason}" if report.dropped else ""
        raise AnnotationError(f"no annotation can be used{first}: check --annotations")
    return labels


def _read(path: Path, report: Report) -> list[_Label]:
    try:
        return [(path, voc.read(path))]
    except AnnotationError as error:
        report.drop("annotation", _title(path), str(error).removeprefix(f"{path}: "))
        return []


def _list_xml(folder: Path) -> list[Path]:
    try:
        entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    except OSError as error:
        raise AnnotationError(f"{folder}: cannot be read ({error.strerror}): check --annotations") from error
    found = [entry for entry in entries if entry.suffix.lower() == ".xml" and not entry.name.startswith(".")]
    if not found:
        below = left_below(folder, frozenset({".xml"}), "XML file")
        below = below and f" ({below})"
        raise AnnotationError(f"{folder}: no .xml files there{below}: check --annotations (LabelImg: format PascalVOC)")
    return found


def _key(name: str) -> str:
    """The same name for the two ways in which file systems write an accented letter."""
    return unicodedata.normalize("NFC", name)


def _title(path: Path) -> str:
    return f"{name_set(path.parent)}/{path.name}"
