"""Turn a checkpoint into a verified ONNX file: ``python -m detector.export CHECKPOINT``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from detector import _cli
from detector.media.images import list_images
from detector.training.exporter import Exported, export

__all__ = ["export", "main"]

EXAMPLES = """\
  mask-detector export runs/train/weights/best.pt
  mask-detector export weights/mask_detector.pt --head end2end --out mask_detector_e2e.onnx"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = _cli.make_parser(
        "export", "Turn a checkpoint into an ONNX file and check that both find the same faces.", EXAMPLES
    )
    parser.add_argument(
        "checkpoint", type=Path, help="the network that detector.train wrote (.pt)", metavar="CHECKPOINT"
    )
    parser.add_argument("--out", type=Path, help="file to write (default: beside the checkpoint)", metavar="FILE")
    parser.add_argument("--imgsz", type=_cli.positive, help="recommended image size, px (default: as trained)")
    parser.add_argument(
        "--head",
        choices=("raw", "end2end"),
        default="raw",
        help="raw: double boxes are removed outside the network; end2end: inside it, if it can",
    )
    parser.add_argument("--images", type=Path, help="folder of images to compare on (default: two are built in)")
    parser.add_argument("--data-note", default="", help="what the network was trained on, for the metadata")
    _cli.add_trust_flag(parser)
    return _cli.run_command(parser, _command, argv)


def _command(args: argparse.Namespace) -> int:
    done = export(
        args.checkpoint,
        args.out or args.checkpoint.with_suffix(".onnx"),
        imgsz=args.imgsz,
        head=args.head,
        data_note=args.data_note,
        images=list_images(args.images) if args.images else (),
        trust=args.trust,
    )
    print(summary(done))
    print(f"next: python -m detector.run --source 0 --weights {done.path}")
    return _cli.EXIT_OK


def summary(done: Exported) -> str:
    """One line about an export."""
    return (
        f"{done.path}: {done.head} head, {done.imgsz} px; equal to the checkpoint on {done.parity.inputs} inputs "
        f"({done.parity.candidates} boxes, off by at most {done.parity.pixels:.2g} px and {done.parity.score:.1g})"
    )


if __name__ == "__main__":
    sys.exit(main())
