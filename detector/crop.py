"""Cut labelled faces, and what is no face, into folders that a classifier is trained on: ``mask-detector crop``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from detector import cli
from detector.cli.flags import add_flags, fraction, positive
from detector.cli.label_flags import add_label_flags, check_label_flags, convert_labels
from detector.data.loading import load_yolo
from detector.data.regions import Regions
from detector.engines.crops import MARGIN, SIDE
from detector.engines.face_finders import load_finder
from detector.scoring import MIN_SIDE
from detector.staging import temporary_folder
from detector.training.two_step.crop_writer import write_crops

EXAMPLES = """\
  mask-detector crop                                            of the sample in data/
  mask-detector crop --annotations my/xml --images my/photos --faces ssd
  mask-detector crop --data runs/dataset/data.yaml --out runs/crops --side 160"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
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
    finder = load_finder(args.faces) if args.faces else None
    regions = Regions(args.ignore)
    with temporary_folder() as folder:
        data = args.data or convert_labels(args, folder / "dataset", cli.progress_bar)
        counts = write_crops(
            {part: load_yolo(data, part=part, regions=regions, progress=cli.progress_bar) for part in ("train", "val")},
            args.out,
            side=args.side,
            margin=args.margin,
            min_side=args.min_side,
            finder=finder,
            seed=args.seed,
            progress=cli.progress_bar,
        )
    for part, of_class in counts.items():
        print(f"{part}: {', '.join(f'{count} {name}' for name, count in of_class.items())}")
    print(f"next: mask-detector train --engine two-step --crops {args.out}")
    return cli.EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
