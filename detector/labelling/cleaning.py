"""From a folder of files as they come to a folder of pictures to label: read, compare, write."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np

from detector.data.progress import Progress, silent
from detector.errors import SourceError
from detector.files import new_folder
from detector.labelling import strict_pictures as pictures
from detector.labelling.clean_files import DUPLICATES, IMAGES, UNREADABLE, check_out, copy_file, find_files, new_names
from detector.labelling.clean_labels import find_labels, take_labels
from detector.labelling.clean_report import Aside, Kept, Report
from detector.labelling.clean_sheet import contact_sheet
from detector.labelling.comparing import Comparer, read_picture
from detector.labelling.duplicates import Copy, Hash, group, perceptual_hash
from detector.media import images

__all__ = ["clean"]

THUMBNAIL = 200  # px
COLOURLESS = 4.0  # mean difference between the channels, in grey levels, that a JPEG of a grey picture may have


@dataclass(frozen=True)
class _Looked:
    """What is remembered of a readable file: a few hundred bytes, so that the number of files does not matter."""

    digest: bytes
    hashes: tuple[Hash, Hash | None]
    length: int
    old_size: tuple[int, int]
    size: tuple[int, int]
    changed: str


def clean(
    source: Path,
    out: Path,
    *,
    annotations: Path | None = None,
    max_side: int | None = None,
    quality: int = 95,
    mirrored: bool = True,
    threads: int | None = None,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Report:
    """Write every picture below ``source`` once below ``out``, as an upright RGB JPEG.

    ``source`` is never changed. ``out`` gets ``images/``, ``aside/``, ``report.json`` and ``sheet.html``, or nothing.
    A file that is an upright RGB JPEG within ``max_side`` is copied byte for byte. Label files go with their images.

    Args:
        source: a folder; those below it are searched too.
        out: a folder that is not there yet, or empty.
        annotations: folder of LabelImg's files; by default they are looked for beside the images.
        max_side: larger pictures are scaled down to it, px.
        quality: of the JPEGs that are written, 1 to 100.
        mirrored: a mirror image is a duplicate too.
        threads: so many files are read at once; None takes all cores.
        dry_run: write nothing.
        progress: wraps the loops.

    Raises:
        SourceError: ``source`` is missing or cannot be read.
        OutputError: ``out`` is there and not empty, or cannot be written.
    """
    check_out(source, out)
    threads = threads or os.cpu_count() or 1
    names, others = find_files(source)
    labels = find_labels(source, names, annotations)
    report = Report({"max_side": max_side, "quality": quality, "mirrored": mirrored})
    used = {label.resolve() for label in labels.values()}
    report.others = [name for name in others if (source / name).resolve() not in used]
    new_name = new_names(sorted(names, key=lambda name: name not in labels))  # a label file keeps its name
    with nullcontext() if dry_run else new_folder(out, "--out") as new, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, about odd metadata

        def look(name: str) -> _Looked | str:
            target = None if new is None else new / IMAGES / new_name[name]
            try:
                return _look(source / name, target, max_side, quality, mirrored=mirrored)
            except SourceError as error:
                return str(error)

        if new is not None:
            (new / IMAGES).mkdir()
        looked = _look_at_all(names, look, threads, report, progress)
        _fill(report, looked, _groups(source, looked, labels, threads, progress), new_name)
        if new is not None:
            _set_aside(report, source, new)
        sizes = {name: (file.old_size, file.size) for name, file in looked.items()}
        take_labels(report, labels, sizes, new, beside=annotations is None)
        if new is not None:
            sheet = contact_sheet(report, lambda name: _thumbnail(source / name), progress)
            (new / "sheet.html").write_bytes(sheet.encode())
            (new / "report.json").write_bytes(report.json().encode())
    return report


def _look_at_all(
    names: list[str], look: Callable[[str], _Looked | str], threads: int, report: Report, progress: Progress
) -> dict[str, _Looked]:
    looked = {}
    pool = ThreadPoolExecutor(threads)
    try:
        for name, found in zip(progress(names, "reading"), pool.map(look, names), strict=True):
            if isinstance(found, str):
                report.unreadable[name] = found
            else:
                looked[name] = found
    finally:
        pool.shutdown(cancel_futures=True)
    return looked


def _look(path: Path, target: Path | None, max_side: int | None, quality: int, *, mirrored: bool) -> _Looked:
    """Read a file, and write it to ``target`` as an upright RGB JPEG.

    Raises:
        SourceError: it is unreadable; the message is the reason alone.
        OutputError: it cannot be written.
    """
    try:
        data = pictures.read_bytes(path)
        picture = pictures.read_strictly(data, str(path))
    except SourceError as error:
        raise SourceError(str(error).removeprefix(f"{path}: ")) from None
    picture = picture.scaled(max_side or max(picture.size))
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(images.encode(picture.image, ".jpg", quality) if picture.changed else data)
    square = picture.square()
    flipped = np.ascontiguousarray(square[:, ::-1])
    return _Looked(
        digest=hashlib.sha256(data).digest(),
        hashes=(perceptual_hash(square), perceptual_hash(flipped) if mirrored else None),
        length=len(data),
        old_size=picture.old_size,
        size=picture.size,
        changed=picture.changed,
    )


def _groups(
    source: Path, looked: Mapping[str, _Looked], labels: Mapping[str, Path], threads: int, progress: Progress
) -> dict[str, list[tuple[str, Copy]]]:
    """Name of the picture that is kept to the names of its copies."""
    names = list(looked)

    @lru_cache(None)
    def rank(index: int) -> tuple[float, ...]:
        """Labelled before not, colours before grey, then more pixels, then more bytes."""
        name = names[index]
        width, height = looked[name].old_size
        return name in labels, _has_colours(source / name), width * height, looked[name].length

    digests, hashes = [looked[name].digest for name in names], [looked[name].hashes for name in names]
    with Comparer([source / name for name in names], threads) as compare:
        found = group(digests, hashes, compare, rank, progress)
    return {names[kept]: [(names[copy.index], copy) for copy in copies] for kept, copies in found.items()}


def _fill(
    report: Report,
    looked: Mapping[str, _Looked],
    groups: Mapping[str, list[tuple[str, Copy]]],
    new_name: Mapping[str, str],
) -> None:
    copies = {name for members in groups.values() for name, _ in members}
    for name, file in looked.items():
        if name not in copies:
            report.kept.append(Kept(f"{IMAGES}/{new_name[name]}", name, *file.size, file.changed))
    for kept, members in groups.items():
        report.groups[kept] = [
            Aside(
                f"{DUPLICATES}/{new_name[name]}", name, *looked[name].size, looked[name].changed,
                None if copy.differs is None else round(copy.differs, 4), copy.mirrored,
            )
            for name, copy in members
        ]  # fmt: skip


def _set_aside(report: Report, source: Path, new: Path) -> None:
    for copy in report.copies:
        target = new / copy.file
        target.parent.mkdir(parents=True, exist_ok=True)
        (new / IMAGES / PurePosixPath(copy.file).relative_to(DUPLICATES)).rename(target)
    for name in report.unreadable:
        if os.access(source / name, os.R_OK):
            copy_file(source / name, new / UNREADABLE / name)


def _has_colours(path: Path) -> bool:
    small = read_picture(path).scaled(THUMBNAIL).image.astype(np.int16)
    return float((small.max(axis=2) - small.min(axis=2)).mean()) > COLOURLESS


def _thumbnail(path: Path) -> bytes:
    return images.encode(read_picture(path).scaled(THUMBNAIL).image, ".jpg", 80)
