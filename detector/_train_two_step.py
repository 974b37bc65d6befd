"""``python -m detector.train --engine two-step``: crops of labelled faces, and the classifier that learns from them."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from detector import _cli
from detector._labels import convert, sources_given
from detector._progress import TrainingProgress, clock, say_stopped
from detector.data.loading import load_yolo
from detector.data.regions import Regions
from detector.engines import default_weights
from detector.engines.crops import SIDE
from detector.engines.face_finders import load_finder
from detector.errors import TrainingError
from detector.scoring import MIN_SIDE
from detector.training.exporter import install
from detector.training.imagenet import BACKBONES, load_imagenet
from detector.training.single_stage.yolo_training import run_folder
from detector.training.two_step import classifier_training
from detector.training.two_step.crop_folder import read_crop_folder
from detector.training.two_step.crop_writer import write_crops
from detector.training.two_step_export import export_classifier

__all__ = ["FLAGS", "add_flags", "train_two_step"]

log = logging.getLogger("detector.train")

NETWORK = "mask_classifier"
EPOCHS, BATCH = 20, 32
BACKBONE = next(iter(BACKBONES))
PARITY_CROPS = 16

FLAGS = ("crops", "backbone", "side", "min_side", "faces", "ignore")
"""What only this engine's training has."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of :data:`FLAGS`; none has a value unless it was given."""
    group = parser.add_argument_group("two-step engine only: the classifier of face crops")
    group.add_argument("--crops", type=Path, help="folder of ready crops instead of labels", metavar="FOLDER")
    group.add_argument("--backbone", choices=list(BACKBONES), help=f"network (default: {BACKBONE})")
    group.add_argument("--side", type=_cli.positive, help=f"of the crops, px (default: {SIDE})")
    group.add_argument("--min-side", type=float, help=f"smaller faces are left out, px (default: {MIN_SIDE:g})")
    group.add_argument(
        "--faces", help="face finder whose false faces teach what is none, such as ssd (default: random squares)"
    )
    group.add_argument("--ignore", type=Path, help="CSV of faces that nobody labelled, to be left out", metavar="CSV")


def train_two_step(args: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    _check_flags(args)
    with run_folder(args.resume, args.runs, args.name) as run:
        progress = TrainingProgress()
        try:
            if args.resume:
                trained = classifier_training.resume(run, device=args.device, progress=progress)
            else:
                trained = _train_new(args, run, progress)
        except KeyboardInterrupt:
            say_stopped(run, "python -m detector.train --engine two-step")
            return _cli.EXIT_INTERRUPTED
        print(trained.report)
        print(f"trained in {clock(trained.seconds)}; curves: {trained.curves}; best checkpoint: {trained.best}")
        exported = export_classifier(trained.best, run / f"{NETWORK}.onnx", trained.examples[:PARITY_CROPS])
    print(exported)
    if args.install:
        for path in install([exported.path], default_weights().parent):
            print(f"installed {path}")
    weights = "" if args.install else f" --weights {exported.path}"
    print(f"next: python -m detector.run --engine two-step --source 0{weights}")
    return _cli.EXIT_OK


def _train_new(args: argparse.Namespace, run: Path, progress: TrainingProgress) -> classifier_training.Trained:
    backbone = args.backbone or BACKBONE
    weights = load_imagenet(args.start or backbone, backbone, args.runs / "pretrained")
    folder = args.crops or _cut(args, run, progress)
    smallest = len(read_crop_folder(folder, seed=args.seed, progress=progress).train)
    if args.batch and args.batch > smallest:
        raise TrainingError(
            f"--batch {args.batch}: there are only {smallest} crops to train on: use {smallest} or less"
        )
    settings = classifier_training.Settings(
        crops=str(folder.resolve()),
        backbone=backbone,
        epochs=args.epochs or EPOCHS,
        side=args.side or SIDE,
        batch=args.batch or min(BATCH, smallest),
        seed=args.seed,
    )
    return classifier_training.train(settings, run, weights, device=args.device, progress=progress)


def _cut(args: argparse.Namespace, run: Path, progress: TrainingProgress) -> Path:
    """The crops of the labels that the flags name, in the run's folder."""
    data = args.data or convert(args, run / "dataset", progress)
    regions = Regions(args.ignore)
    parts = {part: load_yolo(data, part=part, regions=regions, progress=progress) for part in ("train", "val")}
    out: Path = run / "crops"
    write_crops(
        parts,
        out,
        side=args.side or SIDE,
        min_side=MIN_SIDE if args.min_side is None else args.min_side,
        finder=load_finder(args.faces) if args.faces else None,
        seed=args.seed,
        progress=progress,
    )
    return out


def _check_flags(args: argparse.Namespace) -> None:
    if args.imgsz:
        raise TrainingError(f"--imgsz {args.imgsz}: is for --engine single-stage: use --side")
    cutting = [name for name in ("min_side", "faces", "ignore") if getattr(args, name) is not None]
    labels = [*sources_given(args), *(["data"] if args.data else []), *cutting]
    if args.crops and labels:
        raise TrainingError(f"--crops are ready: leave out --{labels[0].replace('_', '-')}")
    given = [name for name in (*FLAGS, "epochs", "batch", "start") if getattr(args, name) is not None]
    if args.resume and given:
        raise TrainingError(f"--resume goes on with its own settings: leave out --{given[0].replace('_', '-')}")
