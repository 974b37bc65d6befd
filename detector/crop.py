"""Cut labelled faces, and what is no face, into folders that a classifier is trained on: ``mask-detector crop``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detector import cli
from detector.cli.flags import add_flags, fraction, positive
from detector.cli.label_flags import add_label_flags, check_label_flags, convert_labels, say_what_was_wrong
from detector.data.loading import load_yolo
from detector.data.regions import Regions
from detector.data.report import Report
from detector.engines.crops import MARGIN, SIDE
from detector.engines.face_finders import load_finder
from detector.files import shell_line
from detector.scoring import MIN_SIDE
from detector.staging import temporary_folder
from detector.training.two_step.crop_writer import write_crops

__all__ = ["cut_crops", "main"]

EXAMPLES = """\
  mask-detector crop                                            of the sample in data/
  mask-detector crop --annotations my/xml --images my/photos --faces ssd
  mask-detector crop --data runs/dataset/data.yaml --out runs/crops --side 160"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code, 1 where labelled images cannot be read."""
    return cli.run_command(build_parser(), _command, argv)


def build_parser() -> argparse.ArgumentParser:
    """The flags of ``mask-detector crop``."""
    purpose = "Cut labelled faces, and what is no face, into the folders that a mask classifier is trained on."
    parser = cli.make_parser("crop", purpose, EXAMPLES)
    add_label_flags(parser, "random squares")
    cutting = parser.add_argument_group("crops")
    cutting.add_argument("--side", type=positive, default=SIDE, help="of the crops, px")
    cutting.add_argument("--margin", type=fraction, default=MARGIN, help="around a face, share of its longer side")
    add_flags(cutting, "--min-side", default=int(MIN_SIDE))
    finder = "face finder whose false faces become background/, such as ssd (default: random squares)"
    add_flags(cutting, "--faces", default=None, help=finder)
    add_flags(cutting, "--ignore")
    add_flags(cutting, "--out", default=Path("runs/crops"))
    return parser


def _command(args: argparse.Namespace) -> int:
    check_label_flags(args)
    with temporary_folder() as folder:
        counts = cut_crops(args, folder / "dataset", args.out, keeps_report=False)
    for part, of_class in counts.items():
        print(f"{part}: {', '.join(f'{count} {name}' for name, count in of_class.items())}")
    print("next:", shell_line("mask-detector", "train", "--engine", "two-step", "--crops", args.out))
    return getattr(args, "unreadable", cli.EXIT_OK)


def cut_crops(
    args: argparse.Namespace, dataset: Path, out: Path, *, keeps_report: bool = True
) -> dict[str, dict[str, int]]:
    """Cut the crops of the labels that the flags name.

    Args:
        args: label flags, ``faces`` and ``ignore``; what they have of side, margin, min_side and seed is used.
        dataset: where LabelImg labels become a YOLO folder first.
        out: a folder that does not exist yet, or is empty.
        keeps_report: ``dataset`` stays, with the report in it.

    Returns:
        The number of crops by part and class.
    """
    finder = load_finder(args.faces) if args.faces else None
    regions = Regions(args.ignore)
    report = Report()
    shared: dict[str, Any] = {"regions": regions, "report": report, "progress": cli.progress_bar}
    if args.data:
        shared["class_map"] = dict(args.map)
    data = args.data or convert_labels(args, dataset, cli.progress_bar, keeps_report=keeps_report)
    parts = {part: load_yolo(data, part=part, **shared) for part in ("train", "val")}
    args.unreadable = max(say_what_was_wrong(report), getattr(args, "unreadable", cli.EXIT_OK))
    chosen = {name: getattr(args, name, None) for name in ("side", "margin", "min_side", "seed")}
    given = {name: value for name, value in chosen.items() if value is not None}
    return write_crops(parts, out, finder=finder, progress=cli.progress_bar, **given)


if __name__ == "__main__":
    sys.exit(main())
