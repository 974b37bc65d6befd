"""Which files are looked at, and what they are called afterwards."""

from __future__ import annotations

import os
import shutil
import unicodedata
from collections.abc import Iterable
from itertools import chain, count
from pathlib import Path, PurePosixPath

from detector.errors import OutputError, SourceError
from detector.files import check_free
from detector.media.images import IMAGE_SUFFIXES

__all__ = [
    "DUPLICATES",
    "IMAGES",
    "LABELS",
    "UNREADABLE",
    "UNUSED_LABELS",
    "check_out",
    "copy_file",
    "find_files",
    "new_names",
]

IMAGES, LABELS = "images", "annotations"
DUPLICATES, UNREADABLE, UNUSED_LABELS = "aside/duplicates", "aside/unreadable", "aside/annotations"
"""Below the output folder."""

SUFFIXES = IMAGE_SUFFIXES | {".heic", ".heif", ".hif", ".avif", ".ico", ".tga", ".psd", ".pcx", ".webp", ".jp2", ".j2k"}
STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8")
JPEG_SUFFIXES = frozenset({".jpg", ".jpeg"})


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

    names = []
    for folder, folders, files in os.walk(source, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = [Path(folder, name) for name in files if not name.startswith(".")]
        names += [path.relative_to(source).as_posix() for path in paths if path.is_file()]
    images = {name for name in names if _is_image(source / name)}
    return sorted(images), sorted(set(names) - images)


def _is_image(path: Path) -> bool:
    if path.suffix.lower() in SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            return file.read(8).startswith(STARTS)
    except OSError:
        return False


def new_names(names: Iterable[str]) -> dict[str, str]:
    """The name of each file as a JPEG, all in one folder: that is what the other tools and LabelImg read.

    None differ only in case or suffix: they would share a label file.

    Args:
        names: relative names; of two that clash, the first keeps its name.
    """
    taken: set[str] = set()
    given = {}
    for name in names:
        path = PurePosixPath(name)
        suffix = path.suffix if path.suffix.lower() in JPEG_SUFFIXES else ".jpg"
        candidates = chain([path.stem], (f"{path.stem}-{number}" for number in count(2)))
        stem = next(stem for stem in candidates if _key(stem) not in taken)
        taken.add(_key(stem))
        given[name] = stem + suffix
    return given


def check_out(source: Path, out: Path) -> None:
    """Make sure that writing ``out`` loses nothing.

    Raises:
        OutputError: something is there, or it lies inside the source, which the next run would then clean too.
    """
    check_free(out, "--out")
    if out.resolve().is_relative_to(source.resolve()):
        raise OutputError(f"{out}: lies inside {source}: choose an --out beside it")


def copy_file(source: Path, target: Path) -> None:
    """Copy a file's bytes, and make the folder for it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _key(name: str) -> str:
    """The same for names that are one on some file system."""
    return unicodedata.normalize("NFC", name).casefold()
