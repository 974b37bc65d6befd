"""Convert YOLO labels, or predictions in that format, to XML that LabelImg opens. See --help."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from detector import _cli
from detector.data import to_voc, yolo
from detector.errors import AnnotationError

EXAMPLES = """\
  python tools/yolo2voc.py runs/dataset --out runs/xml
      runs/dataset/labels/train/x.txt + runs/dataset/images/train/x.jpg -> runs/xml/train/x.xml
  python tools/yolo2voc.py --labels predict/labels --images photos --names with_mask,without_mask --out xml --conf 0.5
      predictions (a sixth column is the confidence) to look through in LabelImg
  python tools/yolo2voc.py --labels photos --images photos --out xml
      what LabelImg itself saved in YOLO format (names in photos/classes.txt)

An XML file that is there already is never replaced without --force.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code. After Ctrl-C the files that were written are whole."""
    return _cli.run_command(_parser(), _command, argv)


def _command(args: argparse.Namespace) -> int:
    if args.dataset is None and None in (args.labels, args.images):
        raise AnnotationError("nothing to convert: give a YOLO folder, or --labels and --images")
    root = args.dataset or args.labels
    labels = args.labels or root / "labels"
    names_file = next(
        (path for path in (root / "data.yaml", labels / yolo.CLASSES_TXT) if path.is_file()), root / "data.yaml"
    )
    outcome = to_voc.convert(
        labels,
        args.images or root / "images",
        args.out,
        args.names or yolo.read_names(names_file),
        min_confidence=args.conf,
        force=args.force,
        progress=_cli.progress_bar,
    )
    for line in outcome.skipped:
        print(f"skipped: {line}", file=sys.stderr)
    print(f"{len(outcome.written)} XML files with {outcome.boxes} boxes in {args.out}, {len(outcome.skipped)} skipped")
    return _cli.EXIT_PARTIAL if outcome.skipped else _cli.EXIT_OK


def _parser() -> argparse.ArgumentParser:
    parser = _cli.make_parser(
        "tools/yolo2voc.py", "Convert YOLO labels to LabelImg annotations (Pascal VOC XML).", EXAMPLES
    )
    parser.add_argument(
        "dataset", nargs="?", type=Path, metavar="DIR", help="YOLO folder with data.yaml, images and labels"
    )
    parser.add_argument("--labels", type=Path, metavar="DIR", help="folder of .txt files (default: DIR/labels)")
    parser.add_argument("--images", type=Path, metavar="DIR", help="folder of images (default: DIR/images)")
    parser.add_argument(
        "--names", type=_names, metavar="A,B", help="class names in order (default: those in data.yaml or classes.txt)"
    )
    parser.add_argument("--out", "-o", type=Path, required=True, metavar="DIR", help="folder for the XML files")
    parser.add_argument(
        "--conf", type=_cli.fraction, default=0.0, help="leave out boxes that are less sure than this, 0 to 1"
    )
    parser.add_argument("--force", action="store_true", help="replace XML files that are there already")
    return parser


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text!r} has an empty name")
    return names


if __name__ == "__main__":
    sys.exit(main())
