"""Convert LabelImg annotations to a YOLO folder that ultralytics trains on. See --help."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from detector import _cli
from detector.data import dataset
from detector.errors import AnnotationError

EXAMPLES = """\
  python tools/voc2yolo.py
      data/annotations + data/images -> runs/dataset, every tenth image for validation
  python tools/voc2yolo.py --annotations a/xml --images a/jpg --annotations b/xml --images b/jpg --out runs/both
      two sets: the first --annotations belong to the first --images, and so on
  python tools/voc2yolo.py --map scarf=without_mask --map helmet=ignore
      class names that are not known by default
  python tools/voc2yolo.py --split split.csv --corrections fixes.csv
      your own split (columns: image, split, and optionally set, group) and corrections
      (columns: image, action, xmin, ymin, xmax, ymax, name, and optionally set, reason;
      actions: add, remove, class, drop)

The sources are never changed. What is left out or mended is in OUT/report.txt, with file and reason.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code. Nothing is written unless all of it is."""
    return _cli.run_command(_parser(), _command, argv)


def _command(args: argparse.Namespace) -> int:
    if bool(args.annotations) != bool(args.images):
        raise AnnotationError("--annotations and --images belong together: give both, or none for the sample in data/")
    report = dataset.build(
        args.annotations or [Path("data/annotations")],
        args.images or [Path("data/images")],
        args.out,
        class_map=dict(args.map),
        split=args.split,
        val=args.val,
        seed=args.seed,
        corrections=args.corrections,
        progress=_cli.progress_bar,
    )
    print(_summary(report, args.out))
    return _cli.EXIT_OK


def _summary(report: dataset.Report, out: Path) -> str:
    lines = []
    for split in ("train", "val"):
        images, boxes = report.total(split)
        lines.append(f"{split}: {images} images, {', '.join(f'{count} {name}' for name, count in boxes.items())}")
    lines += [f"warning: {warning}" for warning in report.warnings]
    notes = f"{len(report.dropped)} dropped, {len(report.mended)} mended, {len(report.suspicious)} to look at"
    return "\n".join([*lines, f"{notes}: see {out / 'report.txt'}", f"train on {out / 'data.yaml'}"])


def _parser() -> argparse.ArgumentParser:
    parser = _cli.make_parser(
        "tools/voc2yolo.py",
        "Convert LabelImg annotations (Pascal VOC XML) to a YOLO folder that ultralytics trains on.",
        EXAMPLES,
    )
    parser.add_argument(
        *("--annotations", "-a"),
        action="append",
        type=Path,
        metavar="DIR",
        help="folder of XML files, repeatable (default: data/annotations)",
    )
    parser.add_argument(
        *("--images", "-i"),
        action="append",
        type=Path,
        metavar="DIR",
        help="folder of images, repeatable (default: data/images)",
    )
    parser.add_argument(
        *("--out", "-o"),
        type=Path,
        default=Path("runs/dataset"),
        metavar="DIR",
        help="where to write; replaced only if this tool made it and nobody changed it",
    )
    parser.add_argument(
        "--map",
        action="append",
        default=[],
        type=_cli.name_and_class,
        metavar="NAME=CLASS",
        help="a class name in the XML and what it is: with_mask, without_mask or ignore; repeatable",
    )
    sides = parser.add_mutually_exclusive_group()
    sides.add_argument("--split", type=Path, metavar="FILE", help="CSV file that says which image is in train or val")
    sides.add_argument(
        "--val",
        type=float,
        default=0.1,
        metavar="SHARE",
        help="share of the images for validation, chosen at random with near-duplicates on one side",
    )
    parser.add_argument("--seed", type=int, default=0, help="another number, another random choice")
    parser.add_argument("--corrections", type=Path, metavar="FILE", help="CSV file of corrections to the annotations")
    return parser


if __name__ == "__main__":
    sys.exit(main())
