"""Cut labelled faces, and what is no face, into folders that a classifier is trained on. See --help."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from detector import _cli
from detector.engines.crops import MARGIN, SIDE
from detector.engines.face_finders import load_finder
from detector.evaluation.labelled import load_yolo
from detector.evaluation.regions import Regions
from detector.scoring import MIN_SIDE
from detector.training.crops import write_crops

EXAMPLES = """\
  python tools/crop_faces.py --data runs/dataset/data.yaml --out runs/crops
  python tools/crop_faces.py --data runs/dataset/data.yaml --out runs/crops --faces ssd --ignore unlabelled.csv"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return _cli.run_command(build_parser(), _command, argv)


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = _cli.make_parser("tools/crop_faces.py", __doc__, EXAMPLES)
    parser.add_argument("--data", type=Path, required=True, help="data.yaml of a YOLO folder", metavar="YAML")
    parser.add_argument("--out", type=Path, default=Path("runs/crops"), help="a folder that is not there yet")
    parser.add_argument("--side", type=_cli.positive, default=SIDE, help="of the crops, px")
    parser.add_argument("--margin", type=_cli.fraction, default=MARGIN, help="around a face, share of its longer side")
    parser.add_argument("--min-side", type=float, default=MIN_SIDE, help="smaller faces are left out, px")
    parser.add_argument(
        "--faces", help="face finder whose false faces become background/, such as ssd=FILE (default: random squares)"
    )
    parser.add_argument(
        "--ignore", type=Path, help="CSV (image, xmin, ymin, xmax, ymax) of faces without a label", metavar="CSV"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the random squares")
    return parser


def _command(args: argparse.Namespace) -> int:
    regions = Regions(args.ignore)
    parts = {
        part: load_yolo(args.data, part=part, regions=regions, progress=_cli.progress_bar) for part in ("train", "val")
    }
    counts = write_crops(
        parts,
        args.out,
        side=args.side,
        margin=args.margin,
        min_side=args.min_side,
        finder=load_finder(args.faces) if args.faces else None,
        seed=args.seed,
        progress=_cli.progress_bar,
    )
    for part, of_class in counts.items():
        print(f"{part}: {', '.join(f'{count} {name}' for name, count in of_class.items())}")
    print(f"next: python -m detector.train --engine two-step --crops {args.out}")
    return _cli.EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
