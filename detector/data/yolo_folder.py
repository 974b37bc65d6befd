"""The YOLO folder on disk: written whole or not at all, replaced only if nothing of the user's is in it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain, count
from pathlib import Path, PurePath, PurePosixPath

from detector.data.progress import Progress
from detector.data.report import Report
from detector.data.sample import Sample
from detector.data.yolo import DATA_YAML, TRAINABLE, format_labels
from detector.errors import OutputError
from detector.files import new_folder
from detector.media.images import header_of

__all__ = ["check_replaceable", "is_trainable", "output_names", "write"]

MADE_BY = "voc2yolo"  # what the command was called when the first folders were made
SPLITS = ("train", "val")
CACHES = frozenset({".cache", ".npy"})  # ultralytics puts them beside labels and images
SUFFIXES = {".jpe": ".jpg", ".jfif": ".jpg", ".dib": ".bmp"}  # the same formats under names that ultralytics skips


def check_replaceable(out: Path) -> Path:
    """Make sure that writing ``out`` loses nothing of the user's.

    Returns:
        The folder with links resolved, so that the folder is replaced and not the link to it.

    Raises:
        OutputError: it is a file, or a folder that was not made by :func:`write`, or that was changed since.
    """
    out = Path(os.path.realpath(out))
    if not out.exists():
        return out
    if not out.is_dir():
        raise OutputError(f"{out}: --out is a file: choose another folder")
    present = {path.relative_to(out).as_posix() for path in out.rglob("*") if not path.is_dir()}
    if not present:
        return out
    try:
        made = json.loads((out / "report.json").read_bytes())
        files = {split: list(made["files"][split]) for split in SPLITS}
        recorded = made["labels_sha256"] if made["made_by"] == MADE_BY else None
    except (OSError, ValueError, KeyError, TypeError):
        recorded = None
    if recorded is None:
        raise OutputError(f"{out}: not empty, and not made by mask-detector convert: choose another --out")
    images = {f"images/{split}/{name}" for split in SPLITS for name in files[split]}
    labels = {_label_name(image) for image in images}
    ours = {"data.yaml", "report.txt", "report.json"} | images | labels
    foreign = sorted(name for name in present - ours if PurePosixPath(name).suffix not in CACHES)
    if foreign:
        raise OutputError(f"{out}: {foreign[0]} was not made by mask-detector convert: move it, or choose another")
    if _digest({label: (out / label).read_bytes() for label in labels & present}) != recorded:
        raise OutputError(f"{out}: its labels were changed since they were made: move them, or choose another --out")
    return out


def is_trainable(image: Path, title: str, report: Report) -> bool:
    """Whether ultralytics reads an image as we do; reported as dropped if not."""
    suffix = SUFFIXES.get(image.suffix.lower(), image.suffix.lower())
    if suffix not in TRAINABLE:
        report.drop("image", title, f"{image.suffix} cannot be trained on: convert it to JPEG or PNG")
        return False
    # OpenCV turns JPEG and PNG upright in all versions, WebP in some.
    if suffix == ".webp" and not _is_upright(image):
        report.drop("image", title, "a WebP with an EXIF orientation may be trained on lying: save it upright")
        return False
    return True


def write(samples: Sequence[Sample], out: Path, report: Report, progress: Progress) -> None:
    """Write the images, labels, data.yaml and the report.

    Raises:
        OutputError: the disk is full, or the folder cannot be written.
    """
    report.files = {split: {} for split in SPLITS}
    sources: dict[str, Path] = {}
    labels: dict[str, bytes] = {}
    for sample, name in zip(samples, output_names(samples), strict=True):
        image = f"images/{sample.split}/{name}"
        report.files[str(sample.split)][name] = sample.title
        sources[image] = sample.path
        labels[_label_name(image)] = format_labels(sample.truth, *sample.size).encode()
    with new_folder(out, "--out", check_replaceable) as new:
        for split in SPLITS:
            (new / "images" / split).mkdir(parents=True)
            (new / "labels" / split).mkdir(parents=True)
        _write_pairs(sources, labels, new, progress)
        (new / "data.yaml").write_bytes(DATA_YAML.encode())
        (new / "report.txt").write_bytes(report.text().encode())
        seal = {"made_by": MADE_BY, "labels_sha256": _digest(labels)}
        (new / "report.json").write_bytes(json.dumps(seal | report.content(), indent=1).encode() + b"\n")


def _write_pairs(sources: Mapping[str, Path], labels: Mapping[str, bytes], new: Path, progress: Progress) -> None:
    """Copy each image to its name and write its labels. One by one: threads would only queue for the folder."""
    for image in progress(list(sources), "writing"):
        label = _label_name(image)
        shutil.copyfile(sources[image], new / image)
        (new / label).write_bytes(labels[label])


def output_names(samples: Sequence[Sample]) -> list[str]:
    """A file name for each image, none of which differ only in case or suffix: they would share a label file."""
    plain = [s.path.stem + SUFFIXES.get(s.path.suffix.lower(), s.path.suffix) for s in samples]
    counts = Counter(_stem_key(name) for name in plain)
    taken = {key for key, count in counts.items() if count == 1}
    names = []
    for sample, name in zip(samples, plain, strict=True):
        if counts[_stem_key(name)] > 1:
            name = _free_name(f"{sample.set_name}_{name}", taken)
            taken.add(_stem_key(name))
        names.append(name)
    return names


def _free_name(name: str, taken: set[str]) -> str:
    path = PurePath(name)
    candidates = chain([name], (f"{path.stem}-{number}{path.suffix}" for number in count(2)))
    return next(candidate for candidate in candidates if _stem_key(candidate) not in taken)


def _is_upright(image: Path) -> bool:
    return header_of(image).orientation == 1


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
