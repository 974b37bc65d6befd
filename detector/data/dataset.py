"""LabelImg annotations, or anyone's YOLO folder, to one for training: whole or not at all, over nothing of a user's."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from detector.data.loading import load_voc, load_yolo
from detector.data.pillow_check import pillow_fault
from detector.data.progress import Progress, silent
from detector.data.random_split import choose_val, group_near_duplicates, perceptual_hashes
from detector.data.report import Report
from detector.data.sample import IGNORE, NO_FACE, Sample
from detector.data.yolo import DATA_YAML, TRAINABLE
from detector.data.yolo_labels import format_labels
from detector.detections import CLASSES
from detector.errors import AnnotationError, OutputError, SourceError, require_extra
from detector.files import new_folder
from detector.media import images as image_files
from detector.media.image_limits import ended
from detector.media.images import header_of
from detector.staging import numbered

__all__ = ["adopt", "build"]

MADE_BY = "voc2yolo"  # what the command was called when the first folders were made
SPLITS = ("train", "val")
PILLOW_PIXELS = 2 * (2**30 // 12)  # it refuses more
CACHES = frozenset({".cache", ".npy"})  # ultralytics puts them beside labels and images
SUFFIXES = {".jpe": ".jpg", ".jfif": ".jpg", ".dib": ".bmp"}  # the same formats under names that ultralytics skips


def build(
    annotations: Sequence[Path],
    images: Sequence[Path],
    out: Path,
    *,
    class_map: Mapping[str, str] | None = None,
    split: Path | None = None,
    val: float = 0.1,
    seed: int = 0,
    corrections: Path | None = None,
    progress: Progress = silent,
) -> Report:
    """Convert annotations to a YOLO folder: images/, labels/, data.yaml, report.txt, report.json.

    The folder appears whole or not at all, and the same input gives the same bytes. Images are copies, because
    ultralytics repairs JPEGs in place and writes caches beside them. They are never decoded, except to find
    near-duplicates for a random split.

    Args:
        annotations: folders of LabelImg XML.
        images: folders of images, as for :func:`~.loading.load_voc`.
        out: the folder; it is replaced if this function made it and nobody changed it since.
        class_map: annotators' names to classes, as for :func:`~.loading.load_voc`.
        split: CSV file; only its train and val are written.
        val: without ``split``, the share of the images that validate; near-duplicates stay on one side.
        seed: without ``split``, another number gives another choice.
        corrections: CSV file, as for :func:`~.loading.load_voc`.
        progress: wraps the loops, for a progress bar.

    Raises:
        AnnotationError: as for :func:`~.loading.load_voc`; or nothing is left to train on.
        SourceError: a folder of images cannot be read.
        OutputError: ``out`` holds something else, or cannot be written.
        MissingExtraError: a random split without imagehash.
    """
    out = _check_replaceable(out)
    if split is None:
        if not 0 < val < 1:
            raise AnnotationError(f"--val {val}: the share for validation must be between 0 and 1, like 0.1")
        require_extra("labelling", "imagehash")  # now, not after minutes of reading
    at_random = f"{val:.0%} of the images validate, chosen at random with seed {seed}"
    report = Report(split=f"split: {f'as in {split.name}' if split else at_random}")
    samples = load_voc(
        annotations,
        images,
        class_map=class_map,
        split=split,
        corrections=corrections,
        report=report,
        progress=progress,
    )
    _write(samples if split else _split(samples, val, seed, report, progress), out, report, progress)
    return report


def adopt(data: Path, out: Path, *, class_map: Mapping[str, str] | None = None, progress: Progress = silent) -> Report:
    """Copy a YOLO folder, because ultralytics writes into the one that it trains on; see :func:`build`.

    Its images may stand anywhere and have the same name in several folders, its classes may have another order or
    other names, and of its labels predictions, outlines and boxes over the edge become plain boxes.

    Args:
        data: its data.yaml; ``train`` and ``val`` may be folders, lists of folders, or text files of paths.
        out: as for :func:`build`.
        class_map: the folder's class names to classes, as for :func:`~.loading.load_voc`.
        progress: wraps the loops, for a progress bar.

    Raises:
        AnnotationError: as for :func:`~.loading.load_yolo`; or nothing is left to train on.
        OutputError: as for :func:`build`.
    """
    out, report = _check_replaceable(out), Report()
    shared: dict[str, Any] = {"class_map": class_map, "report": report, "progress": progress}
    samples = [sample for part in SPLITS for sample in load_yolo(data, part=part, whole=True, **shared)]
    _write(samples, out, report, progress)
    return report


def _split(samples: list[Sample], val: float, seed: int, report: Report, progress: Progress) -> list[Sample]:
    """Split at random, near-duplicates on one side."""
    hashes = perceptual_hashes([sample.path for sample in samples], progress)
    readable = []
    for sample, value in zip(samples, hashes, strict=True):
        if value is None:
            report.drop("image", sample.title, "damaged: its pixels cannot be decoded; copy it again")
        else:
            readable.append(sample)
    groups = group_near_duplicates([value for value in hashes if value is not None])
    chosen = choose_val(groups, [frozenset(sample.truth.names) for sample in readable], val, seed)
    return [replace(sample, split=SPLITS[validates]) for sample, validates in zip(readable, chosen, strict=True)]


def _is_trainable(sample: Sample, fault: str, report: Report) -> bool:
    """Whether it trains or validates, and ultralytics reads it as we do, or a copy; reported as dropped if not."""
    reason = ""
    suffix = SUFFIXES.get(sample.path.suffix.lower(), sample.path.suffix.lower())
    if sample.split not in SPLITS:
        reason = f"its split is {sample.split!r}: only train and val are written"
    elif suffix not in TRAINABLE:
        reason = f"{sample.path.suffix} cannot be trained on: convert it to JPEG or PNG"
    elif suffix == ".webp" and header_of(sample.path).orientation != 1:  # OpenCV turns it upright in some versions
        reason = "a WebP with an EXIF orientation may be trained on lying: save it upright"
    elif len(sample.ignored):
        reason = f"a box is mapped to {IGNORE}, and would count as background: if it is no face, map it to {NO_FACE}"
    elif fault:
        reason = _unreadable(sample.path)
    if reason:
        report.drop("image", sample.title, reason)
    elif fault:
        report.mend("image", sample.title, f"{fault}: copied as a new PNG")
    return not reason


def _unreadable(path: Path) -> str:
    """Why no copy can be made that Pillow reads; empty if one can."""
    try:
        height, width = image_files.read(path).shape[:2]
    except SourceError as error:
        return str(error).removeprefix(f"{path}: ")
    return "" if height * width <= PILLOW_PIXELS else f"{width}x{height} px are too many for Pillow: save it smaller"


def _imbalances(report: Report) -> list[str]:
    lines = []
    for split in SPLITS:
        counts = report.total(split)
        if not counts["images"]:
            lines.append(f"no image in {split}: both train and val are needed")
        else:
            lines += [f"no box of {name} in {split}: label some" for name in CLASSES if not counts[name]]
    return lines


def _check_replaceable(out: Path) -> Path:
    """Make sure that writing ``out`` loses nothing of the user's.

    Returns:
        The folder with links resolved, so that the folder is replaced and not the link to it.

    Raises:
        OutputError: it is a file, or a folder that was not made by :func:`_write`, or that was changed since.
    """
    out = Path(os.path.realpath(out))
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out}: --out is a file: choose another folder")
    present = {path.relative_to(out).as_posix() for path in out.rglob("*") if not path.is_dir()}
    if not present:
        return out
    try:
        made = json.loads((out / "report.json").read_bytes())
        images = {f"images/{split}/{name}" for split in SPLITS for name in made["files"][split]}
        recorded = made["labels_sha256"] if made["made_by"] == MADE_BY else None
    except (OSError, ValueError, KeyError, TypeError):
        recorded = None
    if recorded is None:
        raise OutputError(f"{out}: not empty, and not made by mask-detector convert: choose another --out")
    if "data.yaml" in present and (out / "data.yaml").read_bytes() != DATA_YAML.encode():
        raise OutputError(f"{out}: its data.yaml was changed since it was made: move it, or choose another --out")
    labels = {_label_name(image) for image in images}
    ours = {"data.yaml", "report.txt", "report.json"} | images | labels
    foreign = sorted(name for name in present - ours if PurePosixPath(name).suffix not in CACHES)
    if foreign:
        raise OutputError(f"{out}: {foreign[0]} was not made by mask-detector convert: move it, or choose another")
    if _digest({label: (out / label).read_bytes() for label in labels & present}) != recorded:
        raise OutputError(f"{out}: its labels were changed since they were made: move them, or choose another --out")
    return out


def _write(samples: Sequence[Sample], out: Path, report: Report, progress: Progress) -> None:
    """Write the images that can be trained on, labels, data.yaml and the report.

    Raises:
        AnnotationError: there is none.
        OutputError: the disk is full, or the folder cannot be written.
    """
    faults = {sample.path: pillow_fault(sample.path) for sample in samples}
    samples = [sample for sample in samples if _is_trainable(sample, faults[sample.path], report)]
    if not samples:
        raise AnnotationError(f"no image is left to train on{report.why()}: check the folders")
    report.files = {split: {} for split in SPLITS}
    sources: dict[str, Path] = {}
    labels: dict[str, bytes] = {}
    for sample, name in zip(samples, _output_names(samples, faults), strict=True):
        image = f"images/{sample.split}/{name}"
        report.files[str(sample.split)][name] = sample.title
        sources[image] = sample.path
        labels[_label_name(image)] = format_labels(sample.truth, *sample.size).encode()
        report.count(sample.set_name, str(sample.split), sample.truth)
    report.warnings += _imbalances(report)
    with new_folder(out, "--out", _check_replaceable) as new:
        for split in SPLITS:
            (new / "images" / split).mkdir(parents=True)
            (new / "labels" / split).mkdir(parents=True)
        for image in progress(list(sources), "writing"):  # one by one: threads would only queue for the folder
            if faults[sources[image]]:
                image_files.write(new / image, image_files.read(sources[image]))
            else:
                shutil.copyfile(sources[image], new / image)
                if (header := header_of(sources[image])).format == "jpeg" and not header.complete:
                    (new / image).write_bytes(ended((new / image).read_bytes()))
            (new / _label_name(image)).write_bytes(labels[_label_name(image)])
        (new / "data.yaml").write_bytes(DATA_YAML.encode())
        (new / "report.txt").write_bytes(report.text().encode())
        seal = {"made_by": MADE_BY, "labels_sha256": _digest(labels)}
        (new / "report.json").write_bytes(json.dumps(seal | report.content(), indent=1).encode() + b"\n")


def _output_names(samples: Iterable[Sample], faults: Mapping[Path, str]) -> list[str]:
    """A file name for each image, none of which differ only in case or suffix: they would share a label file."""
    plain = []
    for sample in samples:
        suffix = SUFFIXES.get(sample.path.suffix.lower(), sample.path.suffix)
        plain.append((sample.set_name, sample.path.stem + (".png" if faults[sample.path] else suffix)))
    counts = Counter(_stem_key(name) for _, name in plain)
    taken = {key for key, count in counts.items() if count == 1}
    names = []
    for set_name, name in plain:
        if counts[_stem_key(name)] > 1:
            candidates = (path.name for path in numbered(Path(f"{set_name}_{name}")))
            name = next(candidate for candidate in candidates if _stem_key(candidate) not in taken)
            taken.add(_stem_key(name))
        names.append(name)
    return names


def _label_name(image: str) -> str:
    """images/train/a.b.jpg to labels/train/a.b.txt, as ultralytics does it."""
    return f"labels/{image.removeprefix('images/').rsplit('.', 1)[0]}.txt"


def _digest(labels: Mapping[str, bytes]) -> str:
    """SHA-256 of the names and contents of label files."""
    digest = hashlib.sha256()
    for name in sorted(labels):
        digest.update(name.encode(errors="surrogateescape") + b"\0" + labels[name] + b"\0")
    return digest.hexdigest()


def _stem_key(name: str) -> str:
    return unicodedata.normalize("NFC", PurePath(name).stem).casefold()
