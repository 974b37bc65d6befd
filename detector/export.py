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
from detector.engines.weights import CLASSIFIER_WEIGHTS, FACE_WEIGHTS, named
from detector.errors import OutputError
from detector.files import refuse_existing, shell_line, write_file
from detector.media.images import list_images
from detector.training import require_packages

__all__ = ["main", "next_command"]

EXAMPLES = """\
  mask-detector export runs/train/weights/best.pt
  mask-detector export weights/mask_detector.pt --head end2end --out mask_detector_e2e.onnx
  mask-detector export pico --whole --out faces.onnx       picture in, faces out: for programs in any language"""


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
        "checkpoint",
        type=Path,
        help="the network that mask-detector train wrote (.pt); with --whole the ONNX file, nano or pico",
        metavar="CHECKPOINT",
    )
    add_flags(parser, "--out", metavar="FILE", help="file to write (default: beside the checkpoint; --whole: needed)")
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
    whole = parser.add_argument_group("everything in one file")
    whole.add_argument(
        "--whole",
        action="store_true",
        help="write a file that takes a picture of any size, uint8 (height, width, 3), and gives boxes, scores and "
        "classes: scaling, suppression and calibration are in it (docs/embed.md)",
    )
    whole.add_argument("--rgb", action="store_true", help="with --whole: pictures are RGB, not BGR")
    add_flags(whole, "--conf", "--iou")
    add_flags(whole, "--overwrite")
    return cli.run_command(parser, _command, argv)


def _command(args: argparse.Namespace) -> int:
    if args.whole:
        return _whole(args)
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


def _whole(args: argparse.Namespace) -> int:
    from detector.engines.whole_network import whole_network

    if args.out is None or args.out.suffix != ".onnx":
        raise OutputError(f"--out {args.out or ''}: --whole wants the name of a file to write that ends in .onnx")
    if not args.overwrite:
        refuse_existing(args.out)
    network = named(args.checkpoint)
    data = whole_network(network, conf=args.conf, iou=args.iou, imgsz=args.imgsz, rgb=args.rgb)
    write_file(args.out, data, replace=args.overwrite)
    print(f"{args.out}: {network.name} from picture to faces, {len(data) / 1e6:.1f} MB")
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
