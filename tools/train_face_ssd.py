"""Train the two-step engine's face finder. See --help."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from detector import _cli
from detector._labels import add_label_flags, check_label_flags, convert
from detector._progress import TrainingProgress, clock, say_stopped
from detector.engines.weights import FACE_WEIGHTS, default_weights
from detector.training.exporter import install
from detector.training.imagenet import load_imagenet
from detector.training.single_stage.yolo_training import run_folder
from detector.training.two_step import face_ssd_training
from detector.training.two_step_export import export_face_ssd

BACKBONE = "mobilenet_v2"

EXAMPLES = """\
  python tools/train_face_ssd.py --data my_yolo_folder/data.yaml
  python tools/train_face_ssd.py --annotations my/xml --images my/photos --epochs 60
  python tools/train_face_ssd.py --resume runs/faces"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return _cli.run_command(build_parser(), _command, argv)


def build_parser() -> argparse.ArgumentParser:
    """The flags of ``python tools/train_face_ssd.py``."""
    parser = _cli.make_parser(
        "tools/train_face_ssd.py", "Train the two-step engine's face finder; both classes are faces.", EXAMPLES
    )
    add_label_flags(parser)
    parser.add_argument("--ignore", type=Path, help="CSV of faces that nobody labelled, to be left out", metavar="CSV")
    learning = parser.add_argument_group("training")
    learning.add_argument("--start", default=BACKBONE, help="torchvision's ImageNet weights (.pth), or their name")
    learning.add_argument("--epochs", type=_cli.positive, default=40, help="times that every image is seen")
    learning.add_argument("--imgsz", type=_cli.positive, default=512, help="side of the network's input, px")
    learning.add_argument("--batch", type=_cli.positive, default=16, help="images per step")
    learning.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps")
    learning.add_argument(
        "--resume", type=Path, help="go on with an interrupted run; only --device and --install apply", metavar="RUN"
    )
    output = parser.add_argument_group("output")
    output.add_argument("--name", default="faces", help="name of the run; taken names get a number")
    output.add_argument("--runs", type=Path, default=Path("runs"), help="folder of all runs", metavar="FOLDER")
    output.add_argument("--install", action="store_true", help="also make the result the default, in weights/")
    return parser


def _command(args: argparse.Namespace) -> int:
    check_label_flags(args)
    with run_folder(args.resume, args.runs, args.name) as run:
        progress = TrainingProgress()
        try:
            if args.resume:
                trained = face_ssd_training.resume(run, device=args.device, progress=progress)
            else:
                trained = _train_new(args, run, progress)
        except KeyboardInterrupt:
            say_stopped(run, "python tools/train_face_ssd.py")
            return _cli.EXIT_INTERRUPTED
        print(
            f"recall at 1 false face an image: {trained.recall.recall:.3f} of {trained.recall.faces} faces from 16 px, "
            f"at a score of {trained.recall.threshold:.3f}; trained in {clock(trained.seconds)}"
        )
        exported = export_face_ssd(trained.best, run / FACE_WEIGHTS, trained.examples)
    print(exported)
    if args.install:
        for path in install([exported.path], default_weights().parent):
            print(f"installed {path}")
    faces = "ssd" if args.install else f"ssd={exported.path}"
    print(f"next: python -m detector.train --engine two-step --faces {faces}")
    return _cli.EXIT_OK


def _train_new(args: argparse.Namespace, run: Path, progress: TrainingProgress) -> face_ssd_training.Trained:
    weights = load_imagenet(args.start, BACKBONE, args.runs / "pretrained")
    data = args.data or convert(args, run / "dataset", progress)
    settings = face_ssd_training.Settings(
        data=str(data.resolve()),
        epochs=args.epochs,
        imgsz=-(-args.imgsz // 64) * 64,  # a mosaic's quarter is whole strides too
        batch=args.batch,
        seed=args.seed,
        ignore=str(args.ignore.resolve()) if args.ignore else None,
    )
    return face_ssd_training.train(settings, run, weights, device=args.device, progress=progress)


if __name__ == "__main__":
    sys.exit(main())
