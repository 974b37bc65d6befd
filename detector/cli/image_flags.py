"""The flags that name labelled images to look at, and the images themselves: alike in evaluate, compare and check."""

from __future__ import annotations

import argparse
import logging
from typing import Any

from detector.cli import progress_bar
from detector.cli.flags import add_flags
from detector.cli.label_flags import label_folders, say_what_was_wrong
from detector.data.loading import load_faceless, load_voc, load_yolo
from detector.data.regions import Regions
from detector.data.report import Report
from detector.data.sample import Sample
from detector.data.yolo import read_source
from detector.detections import CLASSES
from detector.errors import AnnotationError, require_extra
from detector.scoring import MIN_SIDE, shorter_side

__all__ = ["ALL", "add_image_flags", "load_images", "load_scored_images"]

log = logging.getLogger("detector.images")

ALL = "all"
"""The value of ``--part`` that stands for every part."""


def add_image_flags(parser: argparse.ArgumentParser, *, part: str = "val") -> None:
    """``--annotations --images --split --part --map``, or ``--data``; ``--ignore`` and ``--min-side``."""
    group = parser.add_argument_group("labelled images")
    add_flags(group, "--annotations", "--images", "--data", "--split")
    add_flags(group, "--part", default=part, help=f"with --split or --data: the part to look at, or {ALL}")
    add_flags(group, "--map", "--ignore")
    add_flags(
        group, "--min-side", default=int(MIN_SIDE), help="faces whose shorter side is under this neither help nor hurt"
    )


def load_images(args: argparse.Namespace, report: Report, *, faceless: bool = False) -> list[Sample]:
    """The images that the flags of :func:`add_image_flags` name, corrected where there is a flag ``--corrections``.

    Args:
        args: the flags.
        report: collects what is dropped, mended and suspicious.
        faceless: ``--images`` alone may name pictures that show nobody.

    Raises:
        AnnotationError: flags that do not go together, or labels that cannot be used.
        SourceError: images that cannot be read.
    """
    corrections = getattr(args, "corrections", None)
    regions, part = Regions(args.ignore), None if args.part == ALL else args.part
    shared: dict[str, Any] = {"regions": regions, "report": report, "progress": progress_bar}
    if args.data:
        if args.annotations or args.images or args.split or corrections:
            raise AnnotationError("--data already names images and labels: leave out the flags of LabelImg labels")
        parts = [part] if part else read_source(args.data).parts
        names = dict(args.map)
        samples = [one for each in parts for one in load_yolo(args.data, class_map=names, part=each, **shared)]
    elif faceless and args.images and not args.annotations:
        if args.split:
            raise AnnotationError("--split needs --annotations: pictures without faces have no parts")
        samples = load_faceless(args.images, **shared)
    else:
        folders = label_folders(args)
        samples = load_voc(
            folders.annotations,
            folders.images,
            class_map=dict(args.map),
            split=args.split,
            part=part,
            corrections=corrections,
            **shared,
        )
    if regions.all_unused:
        report.warnings.append(f"{args.ignore}: no region is in any of these images: check --ignore")
    return samples


def load_scored_images(args: argparse.Namespace) -> list[Sample]:
    """What :func:`load_images` gives to score engines on, also pictures that show nobody; what is wrong is logged.

    ``args`` gets ``unreadable``: the exit code that images deserve which cannot be read, or none.

    Raises:
        AnnotationError, SourceError: as there.
        MissingExtraError: what scores them is not installed.
    """
    require_extra("score", "faster_coco_eval")  # now, not after minutes of finding faces
    report = Report()
    samples = load_images(args, report, faceless=True)
    args.unreadable = say_what_was_wrong(report)
    for name in CLASSES:
        sides = [shorter_side(sample.truth.xyxy)[sample.truth.class_id == CLASSES.index(name)] for sample in samples]
        if not any((side >= args.min_side).any() for side in sides):
            log.warning(
                "warning: no face of %d px or more is labelled %s: its recall is not defined (–)", args.min_side, name
            )
    return samples
