"""LabelImg annotations to a YOLO folder for training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from detector.data import yolo_folder
from detector.data.loading import load_voc
from detector.data.progress import Progress, silent
from detector.data.report import Report
from detector.data.sample import Sample
from detector.data.split import choose_val, group_near_duplicates, import_imagehash, perceptual_hashes
from detector.errors import AnnotationError

__all__ = ["Report", "build"]


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
    out = yolo_folder.check_replaceable(out)
    if split is None:
        if not 0 < val < 1:
            raise AnnotationError(f"--val {val}: the share for validation must be between 0 and 1, like 0.1")
        import_imagehash()  # now, not after minutes of reading
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
    samples = _only_train_and_val(samples, report) if split else _split(samples, val, seed, report, progress)
    samples = [sample for sample in samples if yolo_folder.is_trainable(sample.path, sample.title, report)]
    if not samples:
        raise AnnotationError(f"no image is left to train on{report.why()}: check the folders")
    for sample in samples:
        report.count(sample.set_name, str(sample.split), sample.truth)
    report.warnings += _imbalances(report)
    yolo_folder.write(samples, out, report, progress)
    return report


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
    hashes = perceptual_hashes([sample.path for sample in samples], progress)
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
