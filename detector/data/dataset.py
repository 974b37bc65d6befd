"""LabelImg annotations to ground truth (:func:`load`) and to a YOLO folder for training (:func:`build`)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from detector.data import corrections as correcting
from detector.data import yolo_folder
from detector.data.checks import ground_truth, usable_size
from detector.data.classmap import resolve
from detector.data.pairing import Pair, pair
from detector.data.progress import Progress, silent
from detector.data.report import Report
from detector.data.split import Split, choose_val, group_near_duplicates, import_imagehash, perceptual_hashes
from detector.detections import Detections
from detector.errors import AnnotationError

__all__ = ["Report", "Sample", "build", "load"]


@dataclass(frozen=True, eq=False)
class Sample:
    """One labelled image.

    Args:
        image, annotation: the two source files.
        set_name: the name of the image's set.
        size: (width, height) in pixels of the upright image.
        truth: the labelled faces, clipped to the image, confidence 1.
        split: "train", "val" or another word of the split file; None where nothing was split.
    """

    image: Path
    annotation: Path
    set_name: str
    size: tuple[int, int]
    truth: Detections
    split: str | None = None

    @property
    def title(self) -> str:
        """Set and file name: how reports call the image."""
        return f"{self.set_name}/{self.image.name}"


def load(
    annotations: Sequence[Path],
    images: Sequence[Path],
    *,
    class_map: Mapping[str, str] | None = None,
    split: Path | None = None,
    corrections: Path | None = None,
    report: Report | None = None,
    progress: Progress = silent,
) -> list[Sample]:
    """Pair annotations with images, correct them, map their classes and check their boxes. Nothing is written.

    Args:
        annotations: folders of LabelImg XML.
        images: folders of images; as many as of annotations, in the same order, or else all are searched for each.
        class_map: annotators' names to "with_mask", "without_mask" or "ignore", before the names known by default.
        split: CSV file with the columns image, split and optionally set and group; images not in it are left out.
        corrections: CSV file, see :mod:`detector.data.corrections`.
        report: collects what is dropped, mended and suspicious.
        progress: wraps the loops, for a progress bar.

    Returns:
        The samples, sorted by set and image name.

    Raises:
        AnnotationError: a folder or file cannot be used, or a class name is unknown.
        SourceError: a folder of images cannot be read.
    """
    report = Report() if report is None else report
    decided = Split(split) if split else None
    rows = correcting.read_corrections(corrections) if corrections else []
    pairs = pair(annotations, images, report, progress)
    sides = _sides(pairs, decided, report)
    pairs = _correct([found for found in pairs if found.title in sides], rows, report)
    report.names.update(box.name for found in pairs for box in found.label.boxes)
    report.classes, unused = resolve(report.names, class_map)
    report.warnings += [f"--map {name}: no box has this name" for name in unused]
    report.warnings += _difficult(pairs)
    samples = []
    for found in progress(pairs, "checking images"):
        size = usable_size(found, report)
        if size is not None:
            truth = ground_truth(found, size, report)
            samples.append(Sample(found.image, found.annotation, found.set_name, size, truth, sides[found.title]))
    return samples


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
        images: folders of images, as for :func:`load`.
        out: the folder; it is replaced if this function made it and nobody changed it since.
        class_map: annotators' names to classes, as for :func:`load`.
        split: CSV file; only its train and val are written.
        val: without ``split``, the share of the images that validate; near-duplicates stay on one side.
        seed: without ``split``, another number gives another choice.
        corrections: CSV file, as for :func:`load`.
        progress: wraps the loops, for a progress bar.

    Raises:
        AnnotationError: as for :func:`load`; or nothing is left to train on.
        SourceError: a folder of images cannot be read.
        OutputError: ``out`` holds something else, or cannot be written.
        MissingExtraError: a random split without imagehash.
    """
    out = yolo_folder.check_replaceable(out)
    if split is None:
        if not 0 < val < 1:
            raise AnnotationError(f"--val {val}: the share for validation must be between 0 and 1, like 0.1")
        import_imagehash()  # now, not after minutes of reading
    report = Report()
    samples = load(
        annotations,
        images,
        class_map=class_map,
        split=split,
        corrections=corrections,
        report=report,
        progress=progress,
    )
    samples = _only_train_and_val(samples, report) if split else _split(samples, val, seed, report, progress)
    samples = [sample for sample in samples if yolo_folder.is_trainable(sample.image, sample.title, report)]
    if not samples:
        reasons = Counter(note.reason for note in report.dropped).most_common(1)
        raise AnnotationError(
            f"no image is left to train on ({reasons[0][0] if reasons else 'none'}): check the folders"
        )
    for sample in samples:
        report.count(sample.set_name, str(sample.split), sample.truth)
    report.warnings += _imbalances(report)
    yolo_folder.write(samples, out, report, progress)
    return report


def _sides(pairs: Iterable[Pair], decided: Split | None, report: Report) -> dict[str, str | None]:
    """The split of each image that has one, by title."""
    if decided is None:
        return {found.title: None for found in pairs}
    sides: dict[str, str | None] = {}
    for found in pairs:
        side = decided.side(found.set_name, found.image.name)
        if side is None:
            report.drop("image", found.title, f"no line of the file of --split has set {found.set_name} and this name")
        else:
            sides[found.title] = side
    missing = decided.missing({(found.set_name, found.image.name) for found in pairs})
    if missing:
        report.warnings.append(
            f"{len(missing)} images of the file of --split are not there or not labelled: {missing[0]}"
        )
    torn = decided.torn_groups()
    if torn:
        report.warnings.append(f"{len(torn)} groups of the file of --split are in train and in val: {torn[0]}")
    return sides


def _correct(pairs: list[Pair], rows: Sequence[correcting.Correction], report: Report) -> list[Pair]:
    """Apply the corrections; images that they drop are gone from the result."""
    by_image: dict[tuple[str | None, str], list[correcting.Correction]] = defaultdict(list)
    for row in rows:
        by_image[row.set_name, row.image].append(row)
    used: set[tuple[str | None, str]] = set()
    kept = []
    for found in pairs:
        keys = [key for key in ((found.set_name, found.image.name), (None, found.image.name)) if key in by_image]
        used.update(keys)
        wanted = sorted((row for key in keys for row in by_image[key]), key=lambda row: row.line)
        outcome = correcting.apply(found.label.boxes, wanted)
        report.corrected.update(outcome.done)
        for failure in outcome.failed:
            report.suspect("correction", found.title, failure)
        if outcome.boxes is None:
            report.drop("image", found.title, "dropped by a correction")
        else:
            kept.append(replace(found, label=replace(found.label, boxes=outcome.boxes)) if wanted else found)
    for key in sorted(by_image.keys() - used, key=str):
        reason = f"line {by_image[key][0].line} and all for this image: no such image is used"
        report.suspect("correction", f"{key[0] or '*'}/{key[1]}", reason)
    return kept


def _difficult(pairs: Iterable[Pair]) -> list[str]:
    """Somebody, or prelabel.py, was not sure of these; nothing else here tells them from the others."""
    marked = [(found.title, sum(box.difficult for box in found.label.boxes)) for found in pairs]
    marked = [(title, boxes) for title, boxes in marked if boxes]
    boxes = sum(boxes for _, boxes in marked)
    if not boxes:
        return []
    return [f"{boxes} boxes in {len(marked)} images are marked as difficult and used like any other: {marked[0][0]}"]


def _only_train_and_val(samples: Iterable[Sample], report: Report) -> list[Sample]:
    kept = []
    for sample in samples:
        if sample.split in {"train", "val"}:
            kept.append(sample)
        else:
            report.drop("image", sample.title, f"its split is {sample.split!r}: only train and val are written")
    return kept


def _split(samples: list[Sample], val: float, seed: int, report: Report, progress: Progress) -> list[Sample]:
    """Split at random, near-duplicates on one side."""
    hashes = perceptual_hashes([sample.image for sample in samples], progress)
    readable = []
    for sample, value in zip(samples, hashes, strict=True):
        if value is None:
            report.drop("image", sample.title, "damaged: its pixels cannot be decoded; copy it again")
        else:
            readable.append(sample)
    groups = group_near_duplicates([value for value in hashes if value is not None])
    chosen = choose_val(groups, [frozenset(sample.truth.names) for sample in readable], val, seed)
    return [
        replace(sample, split="val" if validates else "train")
        for sample, validates in zip(readable, chosen, strict=True)
    ]


def _imbalances(report: Report) -> list[str]:
    lines = []
    for split in ("train", "val"):
        images, boxes = report.total(split)
        if not images:
            lines.append(f"no image in {split}: both train and val are needed")
        else:
            lines += [f"no box of {name} in {split}: label some" for name, count in boxes.items() if not count]
    return lines
