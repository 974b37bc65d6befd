"""Cut labelled faces, and what is no face, into folders that a classifier is trained on. See --help."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from detector import _cli
from detector._labels import add_label_flags, check_label_flags, convert
from detector.data.loading import load_yolo
from detector.data.regions import Regions
from detector.engines.crops import MARGIN, SIDE
from detector.engines.face_finders import load_finder
from detector.scoring import MIN_SIDE
from detector.staging import temporary_folder
from detector.training.two_step.crop_writer import write_crops

EXAMPLES = """\
  python tools/crop_faces.py                                            of the sample in data/
  python tools/crop_faces.py --annotations my/xml --images my/photos --faces ssd
  python tools/crop_faces.py --data runs/dataset/data.yaml --out runs/crops --side 160"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return _cli.run_command(build_parser(), _command, argv)


def build_parser() -> argparse.ArgumentParser:
    """The flags of ``python tools/crop_faces.py``."""
    parser = _cli.make_parser(
        "tools/crop_faces.py",
        "Cut labelled faces, and what is no face, into the folders that a mask classifier is trained on.",
        EXAMPLES,
    )
    add_label_flags(parser)
    parser.set_defaults(resume=None)  # a flag of the trainings that share the others
    cutting = parser.add_argument_group("crops")
    cutting.add_argument("--side", type=_cli.positive, default=SIDE, help="of the crops, px")
    cutting.add_argument("--margin", type=_cli.fraction, default=MARGIN, help="around a face, share of its longer side")
    cutting.add_argument("--min-side", type=float, default=MIN_SIDE, help="smaller faces are left out, px")
    cutting.add_argument(
        "--faces", help="face finder whose false faces become background/, such as ssd (default: random squares)"
    )
    cutting.add_argument("--ignore", type=Path, help="CSV of faces that nobody labelled, to be left out", metavar="CSV")
    cutting.add_argument("--out", type=Path, default=Path("runs/crops"), help="a folder that is not there yet")
    return parser


def _command(args: argparse.Namespace) -> int:
    check_label_flags(args)
    finder = load_finder(args.faces) if args.faces else None
    regions = Regions(args.ignore)
    with temporary_folder() as folder:
        data = args.data or convert(args, folder / "dataset", _cli.progress_bar)
        parts = {
            part: load_yolo(data, part=part, regions=regions, progress=_cli.progress_bar) for part in ("train", "val")
        }
        counts = write_crops(
            parts,
            args.out,
            side=args.side,
            margin=args.margin,
            min_side=args.min_side,
            finder=finder,
            seed=args.seed,
            progress=_cli.progress_bar,
        )
    for part, of_class in counts.items():
        print(f"{part}: {', '.join(f'{count} {name}' for name, count in of_class.items())}")
    print(f"next: python -m detector.train --engine two-step --crops {args.out}")
    return _cli.EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
