"""Turn a checkpoint into a verified ONNX file: ``mask-detector export CHECKPOINT``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from detector import cli
from detector.cli.flags import add_flags
from detector.engines.weights import CLASSIFIER_WEIGHTS, FACE_WEIGHTS
from detector.files import shell_line
from detector.media.images import list_images
from detector.training import require_packages

__all__ = ["main", "next_command"]

EXAMPLES = """\
  mask-detector export runs/train/weights/best.pt
  mask-detector export weights/mask_detector.pt --head end2end --out mask_detector_e2e.onnx"""


def __getattr__(name: str) -> Any:
    """``export``, for programs: imported when it is asked for, since it imports torch."""
    if name != "export":
        raise AttributeError(name)
    return import_module("detector.training.exporter").export


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = cli.make_parser(
        "export", "Turn a checkpoint into an ONNX file and check that both find the same faces.", EXAMPLES
    )
    parser.add_argument(
        "checkpoint", type=Path, help="the network that mask-detector train wrote (.pt)", metavar="CHECKPOINT"
    )
    add_flags(parser, "--out", metavar="FILE", help="file to write (default: beside the checkpoint)")
    add_flags(parser, "--imgsz", help="recommended image size, px (default: as trained)")
    parser.add_argument(
        "--head",
        choices=("raw", "end2end"),
        default="raw",
        help="raw: double boxes are removed outside the network; end2end: inside it, if it can",
    )
    compared = "images to compare on, or crops (default: two are built in)"
    add_flags(parser, "--images", action="store", help=compared)
    parser.add_argument("--data-note", default="", help="what the network was trained on, for the metadata")
    add_flags(parser, "--trust")
    return cli.run_command(parser, _command, argv)


def _command(args: argparse.Namespace) -> int:
    require_packages()
    from detector.training.exporter import export

    done = export(
        args.checkpoint,
        args.out or args.checkpoint.with_suffix(".onnx"),
        imgsz=args.imgsz,
        head=args.head,
        data_note=args.data_note,
        images=list_images(args.images) if args.images else (),
        trust=args.trust,
    )
    print(done)
    print(next_command(done.network, done.path))
    return cli.EXIT_OK


def next_command(network: str, weights: Path | None) -> str:
    """What to do with a new network.

    Args:
        network: its name, see :mod:`detector.engines.weights`.
        weights: its file; None if it is the default now.
    """
    if network == FACE_WEIGHTS:
        finder = f"ssd={weights}" if weights else "ssd"
        return "next: " + shell_line("mask-detector", "train", "--engine", "two-step", "--faces", finder)
    engine = ["--engine", "two-step"] if network == CLASSIFIER_WEIGHTS else []
    network_file = ["--weights", str(weights)] if weights else []
    return "next: " + shell_line("mask-detector", "run", *engine, "--source", "0", *network_file)


if __name__ == "__main__":
    sys.exit(main())
