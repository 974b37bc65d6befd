"""The flags that name labelled images, what they may not say together, and the YOLO folder that is made of them."""

from __future__ import annotations

import argparse
import logging
from dataclasses import dataclass
from pathlib import Path

from detector.cli.flags import add_flags, fraction
from detector.data import dataset
from detector.data.progress import Progress
from detector.engines import default_weights
from detector.errors import AnnotationError

__all__ = ["LabelFolders", "add_label_flags", "check_label_flags", "convert_labels", "label_folders", "sources_given"]

log = logging.getLogger("detector.train")


@dataclass(frozen=True)
class LabelFolders:
    """Where LabelImg labels are: the first folder of ``annotations`` belongs to the first of ``images``, and so on.

    Args:
        annotations: folders of XML.
        images: folders of their images.
        split: CSV that says which image is in which part; the sample has one.
    """

    annotations: list[Path]
    images: list[Path]
    split: Path | None


def label_folders(args: argparse.Namespace) -> LabelFolders:
    """What ``--annotations``, ``--images`` and ``--split`` name, or the sample in ``data/`` of a clone.

    Raises:
        AnnotationError: only one of the first two was given, or neither, where there is no sample.
    """
    if bool(args.annotations) != bool(args.images):
        raise AnnotationError("--annotations and --images belong together: give both, or none for the sample in data/")
    if args.annotations:
        return LabelFolders(args.annotations, args.images, args.split)
    sample = default_weights().parents[1] / "data"
    if not sample.is_dir():
        raise AnnotationError("the sample in data/ comes with a clone only: give --annotations and --images")
    return LabelFolders([sample / "annotations"], [sample / "images"], args.split or sample / "split.csv")


def add_label_flags(parser: argparse.ArgumentParser) -> None:
    """``--annotations --images --split --val --map --corrections``, or ``--data``; and ``--seed``."""
    labels = parser.add_argument_group("labels")
    add_flags(labels, "--annotations", "--images", "--split")
    labels.add_argument("--val", type=fraction, default=0.1, help="without --split: the share that validates")
    add_flags(labels, "--map", "--corrections", "--data")
    add_flags(labels, "--seed", help="another number: another split and other augmentations")


def sources_given(args: argparse.Namespace) -> list[str]:
    """The flags about LabelImg labels that were given."""
    return [name for name in ("annotations", "images", "split", "map", "corrections") if getattr(args, name)]


def check_label_flags(args: argparse.Namespace) -> None:
    """Refuse flags that contradict each other, before anything long begins.

    Raises:
        AnnotationError: they do.
    """
    sources = sources_given(args)
    if args.data and sources:
        raise AnnotationError(f"--data already names images and labels: leave out --{sources[0]}")
    if args.resume and (args.data or sources):
        raise AnnotationError(f"--resume goes on with its own data: leave out --{'data' if args.data else sources[0]}")
    if not args.data and not args.resume:
        label_folders(args)


def convert_labels(args: argparse.Namespace, out: Path, progress: Progress) -> Path:
    """Make a YOLO folder of the LabelImg labels that the flags name, or of the sample; returns its data.yaml.

    Raises:
        DetectorError: see :func:`detector.data.dataset.build`.
    """
    folders = label_folders(args)
    report = dataset.build(
        folders.annotations,
        folders.images,
        out,
        class_map=dict(args.map),
        split=folders.split,
        val=args.val,
        seed=args.seed,
        corrections=args.corrections,
        progress=progress,
    )
    for line in report.warnings:
        log.warning("warning: %s", line)
    notes = len(report.dropped) + len(report.mended) + len(report.suspicious)
    if notes:
        log.warning("%d labels or images were dropped, mended or look wrong: see %s", notes, out / "report.txt")
    return out / "data.yaml"
