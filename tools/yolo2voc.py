"""Convert YOLO labels, or predictions in that format, to XML that LabelImg opens. See --help."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from detector.data import to_voc, yolo
from detector.errors import DetectorError

T = TypeVar("T")

EXAMPLES = """examples:
  python tools/yolo2voc.py runs/dataset --out runs/xml
      runs/dataset/labels/train/x.txt + runs/dataset/images/train/x.jpg -> runs/xml/train/x.xml
  python tools/yolo2voc.py --labels predict/labels --images photos --names with_mask,without_mask --out xml --conf 0.5
      predictions (a sixth column is the confidence) to look through in LabelImg
  python tools/yolo2voc.py --labels photos --images photos --out xml
      what LabelImg itself saved in YOLO format (names in photos/classes.txt)

An XML file that is there already is never replaced without --force.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, 1 if some files were skipped, 2 for an error of the user's, or 130 after Ctrl-C."""
    parser = _parser()
    args = parser.parse_args(argv)
    if args.dataset is None and None in (args.labels, args.images):
        parser.error("give a YOLO folder, or --labels and --images")
    root = args.dataset or args.labels
    labels = args.labels or root / "labels"
    names_file = next(
        (path for path in (root / "data.yaml", labels / yolo.CLASSES_TXT) if path.is_file()), root / "data.yaml"
    )
    try:
        outcome = to_voc.convert(
            labels,
            args.images or root / "images",
            args.out,
            args.names or yolo.read_names(names_file),
            min_confidence=args.conf,
            force=args.force,
            progress=progress_bar,
        )
    except DetectorError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the files written so far are whole", file=sys.stderr)
        return 130
    for line in outcome.skipped:
        print(f"skipped: {line}", file=sys.stderr)
    print(f"{len(outcome.written)} XML files with {outcome.boxes} boxes in {args.out}, {len(outcome.skipped)} skipped")
    return 1 if outcome.skipped else 0


def progress_bar(items: Sequence[T], title: str) -> Iterable[T]:
    """A progress bar on a terminal, nothing elsewhere."""
    from tqdm import tqdm

    return tqdm(items, desc=title, disable=None, leave=False)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python tools/yolo2voc.py",
        description="Convert YOLO labels to LabelImg annotations (Pascal VOC XML).",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
        "--conf", type=float, default=0.0, help="leave out boxes that are less sure than this, 0 to 1 (default: 0)"
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
