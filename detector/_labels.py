"""The flags that name labelled images for a training, and the YOLO folder that is made of them."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from detector import _cli
from detector.data import dataset
from detector.data.progress import Progress
from detector.engines import default_weights
from detector.errors import TrainingError

__all__ = ["add_label_flags", "check_label_flags", "convert", "sources_given"]

log = logging.getLogger("detector.train")


def add_label_flags(parser: argparse.ArgumentParser) -> None:
    """``--annotations --images --split --val --map --corrections``, or ``--data``; and ``--seed``."""
    labels = parser.add_argument_group("labels")
    labels.add_argument(
        "--annotations",
        type=Path,
        action="append",
        help="folder of LabelImg XML; repeatable (default: data/annotations)",
    )
    labels.add_argument(
        "--images", type=Path, action="append", help="folder of its images; repeatable (default: data/images)"
    )
    labels.add_argument("--split", type=Path, help="CSV (image, split) that says what validates", metavar="CSV")
    labels.add_argument("--val", type=_cli.fraction, default=0.1, help="without --split: the share that validates")
    labels.add_argument(
        "--map",
        type=_cli.name_and_class,
        action="append",
        default=[],
        metavar="NAME=CLASS",
        help="what one of your class names means: with_mask, without_mask or ignore; repeatable",
    )
    labels.add_argument("--corrections", type=Path, help="CSV of corrections to the labels", metavar="CSV")
    labels.add_argument(
        "--data", type=Path, help="instead of all these: the data.yaml of a YOLO folder", metavar="YAML"
    )
    labels.add_argument(
        "--seed", type=_cli.whole, default=0, help="another number: another split and other augmentations"
    )


def sources_given(args: argparse.Namespace) -> list[str]:
    """The flags about LabelImg labels that were given."""
    return [name for name in ("annotations", "images", "split", "map", "corrections") if getattr(args, name)]


def check_label_flags(args: argparse.Namespace) -> None:
    """Refuse flags that contradict each other.

    Raises:
        TrainingError: they do.
    """
    sources = sources_given(args)
    if args.data and sources:
        raise TrainingError(f"--data already names images and labels: leave out --{sources[0]}")
    if args.resume and (args.data or sources):
        raise TrainingError(f"--resume goes on with its own data: leave out --{'data' if args.data else sources[0]}")
    if bool(args.annotations) != bool(args.images):
        raise TrainingError("--annotations and --images belong together: give both, or none for the sample in data/")


def convert(args: argparse.Namespace, out: Path, progress: Progress) -> Path:
    """Make a YOLO folder of the LabelImg labels that the flags name, or of the sample; returns its data.yaml.

    Raises:
        DetectorError: see :func:`detector.data.dataset.build`.
    """
    sample = default_weights().parents[1] / "data"
    split = args.split
    if not args.annotations and split is None and (sample / "split.csv").is_file():
        split = sample / "split.csv"
    report = dataset.build(
        args.annotations or [sample / "annotations"],
        args.images or [sample / "images"],
        out,
        class_map=dict(args.map),
        split=split,
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
