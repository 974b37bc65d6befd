"""From a folder of files as they come to a folder of pictures to label: read, compare, write."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from detector.cores import available_cores
from detector.data.progress import Progress, silent
from detector.errors import AnnotationError, OutputError, SourceError
from detector.files import check_free, new_folder
from detector.labelling.clean_files import find_files, find_labels, label_as_image, new_names
from detector.labelling.clean_report import CleanedImage, CleanReport
from detector.labelling.duplicates import Comparer, fingerprint, mark_copies
from detector.labelling.same_picture import square
from detector.labelling.strict_pictures import Picture, read_picture
from detector.media import images

__all__ = ["clean"]

_IMAGES, _LABELS = Path("images"), Path("annotations")
_DUPLICATES, _UNREADABLE, _UNUSED_LABELS = Path("aside/duplicates"), Path("aside/unreadable"), Path("aside/annotations")
_THUMBNAIL = 200  # px
_COLOURLESS = 4.0  # mean difference between the channels, in grey levels, that a JPEG of a grey picture may have


def clean(
    source: Path,
    out: Path,
    *,
    annotations: Path | None = None,
    max_side: int | None = None,
    mirrored: bool = True,
    threads: int | None = None,
    dry_run: bool = False,
    progress: Progress = silent,
) -> CleanReport:
    """Write every picture below ``source`` once below ``out``, as an upright RGB JPEG.

    ``source`` is never changed. ``out`` gets ``images/``, ``aside/``, ``report.json`` and ``sheet.html``, or nothing.
    A file that is an upright RGB JPEG within ``max_side`` is copied byte for byte. Label files go with their images.

    Args:
        source: a folder; those below it are searched too.
        out: a folder that is not there yet, or empty.
        annotations: folder of LabelImg's files; by default they are looked for beside the images.
        max_side: larger pictures are scaled down to it, px.
        mirrored: a mirror image is a duplicate too.
        threads: so many files are read at once; None takes all cores.
        dry_run: write nothing.
        progress: wraps the loops.

    Raises:
        SourceError: ``source`` is missing or cannot be read.
        OutputError: ``out`` is there and not empty, lies inside ``source``, or cannot be written.
    """
    check_free(out, "--out")
    if out.resolve().is_relative_to(source.resolve()):  # the next run would clean it too
        raise OutputError(f"{out}: lies inside {source}: choose an --out beside it")
    names, others = find_files(source)
    labels = find_labels(source, names, annotations)
    used = {label.resolve() for label in labels.values()}
    report = CleanReport(others=[name for name in others if (source / name).resolve() not in used])
    new_name = new_names(sorted(names, key=lambda name: name not in labels))  # a label file keeps its name
    with nullcontext() if dry_run else new_folder(out, "--out") as new, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, about odd metadata

        def look(name: str) -> CleanedImage | str:
            try:
                picture = read_picture(source / name).scaled(max_side)
            except SourceError as error:
                return str(error).removeprefix(f"{source / name}: ")
            image = _describe(picture, name, (_IMAGES / new_name[name]).as_posix(), name in labels, mirrored)
            if new is not None:
                (new / image.file).write_bytes(picture.as_jpeg())
            return image

        if new is not None:
            (new / _IMAGES).mkdir()
        _look_at_all(names, look, threads or available_cores(), report, progress)
        with Comparer(source, threads) as compare:
            mark_copies(report.images, compare, progress)
        _set_aside(report, source, new)
        _take_labels(report, labels, new, beside=annotations is None)
        if new is not None:
            page = report.page(lambda name: _thumbnail(source / name), progress)
            _write(new / "sheet.html", page.encode())
            _write(new / "report.json", report.json().encode())
    return report


def _look_at_all(
    names: list[str], look: Callable[[str], CleanedImage | str], threads: int, report: CleanReport, progress: Progress
) -> None:
    pool = ThreadPoolExecutor(threads)
    try:
        for name, found in zip(progress(names, "reading"), pool.map(look, names), strict=True):
            if isinstance(found, str):
                report.unreadable[name] = found
            else:
                report.images.append(found)
    finally:
        pool.shutdown(cancel_futures=True)


def _describe(picture: Picture, name: str, file: str, is_labelled: bool, mirrored: bool) -> CleanedImage:
    grey = square(picture.image)
    small = picture.scaled(_THUMBNAIL).image.astype(np.int16)
    has_colours = float((small.max(axis=2) - small.min(axis=2)).mean()) > _COLOURLESS
    width, height = picture.old_size
    return CleanedImage(
        source=name,
        file=file,
        old_size=picture.old_size,
        size=picture.size,
        changed=picture.changed,
        digest=hashlib.sha256(picture.data).digest(),
        hash=fingerprint(grey),
        mirrored_hash=fingerprint(np.ascontiguousarray(grey[:, ::-1])) if mirrored else None,
        rank=(is_labelled, has_colours, width * height, len(picture.data)),
        format=picture.format,
        orientation=picture.orientation,
    )


def _set_aside(report: CleanReport, source: Path, new: Path | None) -> None:
    """Move copies, and copy what is unreadable, below ``aside``; ``new`` is the output folder, None writes nothing."""
    for image in report.images:
        if image.original is not None:
            file, image.file = image.file, (_DUPLICATES / Path(image.file).name).as_posix()
            if new is not None:
                (new / _DUPLICATES).mkdir(parents=True, exist_ok=True)
                (new / file).rename(new / image.file)
    for name in report.unreadable:
        if new is not None and os.access(source / name, os.R_OK):
            _write(new / _UNREADABLE / name, (source / name).read_bytes())


def _thumbnail(path: Path) -> bytes:
    return images.encode(read_picture(path).scaled(_THUMBNAIL).image, ".jpg", 80)


def _take_labels(report: CleanReport, labels: Mapping[str, Path], new: Path | None, *, beside: bool) -> None:
    """Write each label file to where its image went, its boxes changed like that, and report those that cannot go.

    Args:
        report: says where the images went.
        labels: image name to label file.
        new: the output folder; None writes nothing.
        beside: label files lie beside the images, not in a folder of their own.
    """
    images = {image.source: image for image in report.images}
    for name, label in labels.items():
        own = Path(name).with_suffix(".xml")
        data, reason, aside = label.read_bytes(), "its image is unreadable", _UNREADABLE
        if name in images:
            try:
                data, reason = label_as_image(label, images[name]), ""
            except AnnotationError as error:
                reason, aside = str(error), _UNUSED_LABELS
        if reason:
            report.labels[own.as_posix()] = reason
            target = aside / own
        else:
            target = Path(images[name].file).with_suffix(".xml")
            target = _LABELS / target.name if not beside and target.parent == _IMAGES else target
        if new is not None:
            _write(new / target, data)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
