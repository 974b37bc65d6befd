"""The labels to check, from LabelImg files with corrections applied, or from a YOLO folder."""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from detector import _cli
from detector.data.classmap import IGNORE
from detector.data.loading import load_voc, load_yolo
from detector.data.regions import Regions
from detector.data.report import Report
from detector.data.sample import Sample
from detector.data.yolo import read_source
from detector.engines import default_weights
from detector.errors import AnnotationError

__all__ = ["ALL", "check_flags", "load_labels"]

ALL = "all"
"""The value of ``--part`` that stands for every part."""


def check_flags(args: argparse.Namespace) -> None:
    """Refuse flags that contradict each other.

    Raises:
        AnnotationError: they do.
    """
    if args.data and (args.annotations or args.images or args.split or args.corrections):
        raise AnnotationError("--data already names images and labels: leave out the flags of LabelImg labels")
    if bool(args.annotations) != bool(args.images):
        raise AnnotationError("--annotations and --images belong together: give both, or none for the sample in data/")


def load_labels(args: argparse.Namespace, report: Report) -> list[Sample]:
    """The images that the flags name.

    Args:
        args: those of :func:`detector.evaluate.add_image_flags`, and ``corrections``.
        report: collects what is dropped, mended and suspicious.

    Raises:
        AnnotationError: labels that cannot be used, or none that the flags leave.
        SourceError: a folder of images cannot be read.
        MissingExtraError: a YOLO folder without PyYAML.
    """
    regions = Regions(args.ignore)
    labelled = _of_yolo(args, regions, report) if args.data else _of_voc(args, regions, report)
    if regions.all_unused:
        report.warnings.append(f"{args.ignore}: no region is in any of these images: check --ignore")
    return labelled


def _of_yolo(args: argparse.Namespace, regions: Regions, report: Report) -> list[Sample]:
    parts = list(read_source(args.data).parts) if args.part == ALL else [args.part]
    return [
        image
        for part in parts
        for image in load_yolo(
            args.data, class_map=dict(args.map), part=part, regions=regions, report=report, progress=_cli.progress_bar
        )
    ]


def _of_voc(args: argparse.Namespace, regions: Regions, report: Report) -> list[Sample]:
    sample = default_weights().parents[1] / "data"
    samples = load_voc(
        args.annotations or [sample / "annotations"],
        args.images or [sample / "images"],
        class_map=dict(args.map),
        split=args.split,
        part=None if args.part == ALL else args.part,
        corrections=args.corrections,
        regions=regions,
        report=report,
        progress=_cli.progress_bar,
    )
    return [replace(one, ignored=np.concatenate([one.ignored, _ignored_boxes(one, report)])) for one in samples]


def _ignored_boxes(one: Sample, report: Report) -> npt.NDArray[np.float32]:
    """What the annotators labelled with a name that is mapped to "ignore": no face is left out there."""
    boxes = [box.xyxy for box in one.boxes if report.classes.get(box.name) == IGNORE]
    return np.array(boxes, np.float32).reshape(-1, 4)
