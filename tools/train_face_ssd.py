"""Train the two-step engine's face finder. See --help."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from detector import _cli
from detector._progress import TrainingProgress, clock
from detector.training import face_ssd
from detector.training.imagenet import load_imagenet
from detector.training.single_stage import last_checkpoint, new_run

BACKBONE = "mobilenet_v2"

EXAMPLES = """\
  python tools/train_face_ssd.py --data my_yolo_folder/data.yaml --epochs 40
  python tools/train_face_ssd.py --resume runs/faces"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return _cli.run_command(build_parser(), _command, argv)


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = _cli.make_parser("tools/train_face_ssd.py", __doc__, EXAMPLES)
    parser.add_argument("--data", type=Path, help="data.yaml of a YOLO folder; both classes are faces", metavar="YAML")
    parser.add_argument("--start", default=BACKBONE, help="torchvision's ImageNet weights (.pth), or their name")
    parser.add_argument("--epochs", type=_cli.positive, default=40, help="times that every image is seen")
    parser.add_argument("--imgsz", type=_cli.positive, default=512, help="side of the network's input, px")
    parser.add_argument("--batch", type=_cli.positive, default=16, help="images per step")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps")
    parser.add_argument("--seed", type=int, default=0, help="another number: other cuts, another order")
    parser.add_argument("--resume", type=Path, help="go on with an interrupted run", metavar="RUN")
    parser.add_argument("--name", default="faces", help="name of the run; taken names get a number")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of all runs", metavar="FOLDER")
    parser.add_argument("--install", action="store_true", help="also copy the result into weights/")
    return parser


def _command(args: argparse.Namespace) -> int:
    progress = TrainingProgress()
    run = args.resume
    try:
        if args.resume:
            trained = face_ssd.resume(run, device=args.device, progress=progress)
        else:
            weights = load_imagenet(args.start, BACKBONE, args.runs / "pretrained")
            run = new_run(args.runs, args.name)
            settings = face_ssd.Settings(str(args.data.resolve()), args.epochs, args.imgsz, args.batch, args.seed)
            trained = face_ssd.train(settings, run, weights, device=args.device, progress=progress)
    except KeyboardInterrupt:
        if run and last_checkpoint(run):
            print(f"stopped; go on with: python tools/train_face_ssd.py --resume {run}", file=sys.stderr)
        else:
            print("stopped before the first epoch was complete: there is nothing to go on from", file=sys.stderr)
        return _cli.EXIT_INTERRUPTED
    print(
        f"recall at 1 false face an image {trained.recall.recall:.3f} of {trained.recall.faces} faces from 16 px, "
        f"at a score of {trained.recall.threshold:.3f}; trained in {clock(trained.seconds)}; {trained.best}"
    )
    return _cli.EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
