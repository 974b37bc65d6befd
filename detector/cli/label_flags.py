"""The flags that name labelled images, what they may not say together, and the YOLO folder that is made of them."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from detector.cli import EXIT_OK, EXIT_PARTIAL
from detector.cli.flags import add_flags, fraction
from detector.data import dataset
from detector.data.progress import Progress
from detector.data.report import Report
from detector.defaults import sample_folder
from detector.errors import AnnotationError

__all__ = [
    "LabelFolders",
    "add_label_flags",
    "build_dataset",
    "check_label_flags",
    "convert_labels",
    "label_folders",
    "say_what_is_missing",
    "say_what_was_wrong",
    "sources_given",
]

log = logging.getLogger("detector.labels")

VAL = 0.1


@dataclass(frozen=True)
class LabelFolders:
    """Where LabelImg labels are: the first folder of ``annotations`` belongs to the first of ``images``, and so on.

    Args:
        annotations: folders of XML.
        images: folders of their images.
    """

    annotations: list[Path]
    images: list[Path]

    @property
    def split_beside(self) -> Path | None:
        """The file split.csv beside all the folders of annotations, if there is one."""
        beside = {folder.absolute().parent / "split.csv" for folder in self.annotations}
        return next((path for path in beside if len(beside) == 1 and path.is_file()), None)


def label_folders(args: argparse.Namespace) -> LabelFolders:
    """What ``--annotations`` and ``--images`` name, or the sample.

    Raises:
        AnnotationError: only one of them was given.
    """
    if bool(args.annotations) != bool(args.images):
        raise AnnotationError("--annotations and --images belong together: give both, or none for the sample in data/")
    if args.annotations:
        return LabelFolders(args.annotations, args.images)
    return LabelFolders([sample_folder() / "annotations"], [sample_folder() / "images"])


def add_label_flags(parser: argparse.ArgumentParser, changes: str = "augmentations", *, data: bool = True) -> None:
    """``--annotations --images --split --val --map --corrections --seed``, and ``--data`` instead of these.

    Args:
        parser: gets them.
        changes: what another ``--seed`` changes beside the split, for the help.
        data: whether a YOLO folder can be named instead.
    """
    labels = parser.add_argument_group("labels")
    add_flags(labels, "--annotations", "--images")
    sides = labels.add_mutually_exclusive_group()
    add_flags(
        sides,
        "--split",
        help="which image is in train or val (columns image, split, optionally set, group; default: a file split.csv "
        "beside the annotations)",
    )
    sides.add_argument(
        "--val",
        type=fraction,
        metavar="SHARE",
        help=f"or the share that validates, at random, near-duplicates on one side (default without a split: {VAL})",
    )
    add_flags(labels, "--map", "--corrections", *(["--data"] if data else []))
    add_flags(labels, "--seed", help=f"another number: another split and other {changes}")


def sources_given(args: argparse.Namespace) -> list[str]:
    """The flags about LabelImg labels that were given."""
    return [name for name in ("annotations", "images", "split", "val", "map", "corrections") if getattr(args, name)]


def check_label_flags(args: argparse.Namespace) -> None:
    """Refuse flags that contradict each other, before anything long begins.

    Raises:
        AnnotationError: they do.
    """
    sources = sources_given(args)
    if args.data and (sources := [name for name in sources if name != "map"]):
        raise AnnotationError(f"--data already names images and labels: leave out --{sources[0]}")
    resume = getattr(args, "resume", None)
    if resume and (args.data or sources):
        raise AnnotationError(f"--resume goes on with its own data: leave out --{'data' if args.data else sources[0]}")
    if not args.data and not resume:
        label_folders(args)


def build_dataset(args: argparse.Namespace, out: Path, progress: Progress) -> Report:
    """Make a YOLO folder of the LabelImg labels that the flags name, or of the sample.

    Raises:
        DetectorError: see :func:`detector.data.dataset.build`.
    """
    folders = label_folders(args)
    return dataset.build(
        folders.annotations,
        folders.images,
        out,
        class_map=dict(args.map),
        split=folders.split_beside if args.split is args.val is None else args.split,
        val=VAL if args.val is None else args.val,
        seed=args.seed,
        corrections=args.corrections,
        progress=progress,
    )


def convert_labels(args: argparse.Namespace, out: Path, progress: Progress, *, keeps_report: bool = True) -> Path:
    """A YOLO folder in ``out`` of all labels that the flags name; what a person should know of it is logged.

    Without ``keeps_report`` the folder goes at the end, and nobody is sent to the report in it.
    ``args`` gets ``unreadable``: the exit code that images deserve which cannot be read, or none.

    Returns:
        Its data.yaml.

    Raises:
        DetectorError: see :func:`detector.data.dataset.build` and :func:`~detector.data.dataset.adopt`.
    """
    if args.data:
        report = dataset.adopt(args.data, out, class_map=dict(args.map), progress=progress)
    else:
        report = build_dataset(args, out, progress)
        if not args.split:
            log.info("%s", report.split)
    args.unreadable = say_what_was_wrong(report, *([f"see {out / 'report.txt'}"] if keeps_report else []))
    return out / "data.yaml"


def say_what_was_wrong(report: Report, where: str = "-v lists them") -> int:
    """Log what reading the labels brought to light; each single line only where more was asked for.

    Images that cannot be read are always named; returns the exit code that they, or none, deserve.

    Args:
        report: of the loaders.
        where: the end of the line that counts what is not as it should be.
    """
    for line in report.warnings:
        log.warning("warning: %s", line)
    notes = [*report.dropped, *report.mended, *report.suspicious]
    for note in notes:
        log.debug("%s %s: %s", note.kind, note.file, note.reason)
    if notes:
        log.warning("%d labels or images were left out, mended or look wrong: %s", len(notes), where)
    return say_what_is_missing(report.unreadable)


def say_what_is_missing(unreadable: Sequence[str]) -> int:
    """Log the images that could not be read; returns the exit code that this deserves."""
    for line in unreadable:
        log.warning("left out: %s", line)
    return EXIT_PARTIAL if unreadable else EXIT_OK
