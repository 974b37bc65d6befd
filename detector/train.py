"""Train on your own labels: ``mask-detector train``."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detector import cli
from detector.cli.flags import add_flags, positive
from detector.cli.label_flags import add_label_flags, check_label_flags, convert_labels, sources_given
from detector.crop import cut_crops
from detector.engines.metadata import MAX_SIDE
from detector.engines.weights import CLASSIFIER_WEIGHTS, DEFAULT_WEIGHTS, FACE_WEIGHTS, default_weights
from detector.errors import TrainingError
from detector.export import next_command
from detector.training import require_packages

if TYPE_CHECKING:
    from detector.training.exporter import Exported
    from detector.training.history import Trained

__all__ = ["finish", "main"]

log = logging.getLogger(__name__)

FLAGS = ("start", "epochs", "imgsz", "crops", "backbone", "side", "min_side", "faces", "ignore")
"""What a training learns from and how; not all of them have all."""

FOREIGN_FLAGS: dict[str, tuple[set[str], str]] = {
    DEFAULT_WEIGHTS: (
        {"crops", "backbone", "side", "min_side", "faces", "ignore"},
        "is for --engine two-step: add that, or leave it out",
    ),
    CLASSIFIER_WEIGHTS: ({"imgsz"}, "is not for the mask classifier: use --side"),
    FACE_WEIGHTS: ({"crops", "backbone", "side", "min_side", "faces"}, "is not for the face finder: leave it out"),
}
"""By network, what its training does not have, and the remedy."""

_FUNCTIONS = {"train": "detector.training.single_stage.yolo_training", "resume": "detector.training.resume"}

EXAMPLES = """\
  mask-detector train                                              on the sample in data/
  mask-detector train --annotations my/xml --images my/photos --epochs 50
  mask-detector train --annotations a/xml --annotations b/xml --images a/img --images b/img --map bare=without_mask
  mask-detector train --data my_yolo_folder/data.yaml --imgsz 640 --device cuda
  mask-detector train --resume runs/train
  mask-detector train --engine two-step --crops my/crops           the classifier of the two-step engine
  mask-detector train --engine two-step --finder                   its face finder"""


def __getattr__(name: str) -> Any:
    """``train`` and ``resume``, for programs: imported when they are asked for, since they import torch."""
    if name not in _FUNCTIONS:
        raise AttributeError(name)
    return getattr(import_module(_FUNCTIONS[name]), name)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code, 1 where labelled images cannot be read."""
    return cli.run_command(build_parser(), _command, argv)


def build_parser() -> argparse.ArgumentParser:
    """The flags of ``mask-detector train``."""
    parser = cli.make_parser("train", "Train the network on LabelImg labels or on a YOLO folder.", EXAMPLES)
    add_flags(parser, "--engine", default=None, help="what is trained (default: single-stage)")
    add_label_flags(parser)
    learning = parser.add_argument_group("training")
    learning.add_argument(
        "--start",
        help="checkpoint to start from (default: weights/mask_detector.pt, or yolo26n.pt from ultralytics; "
        "two-step: ImageNet weights of torchvision, from there)",
    )
    add_flags(learning, "--epochs", help="times that every image is seen (default: 30; classifier 20, finder 40)")
    add_flags(learning, "--imgsz", help="images' longer side in the network, px (default: 512)")
    add_flags(learning, "--batch", help="images per step (default: 16, classifier 32, or all if they are fewer)")
    add_flags(learning, "--device", help="auto, cpu, cuda, cuda:1 or mps")
    add_flags(learning, "--resume", help="go on with an interrupted run; only --device, --batch and --trust apply")
    add_flags(learning, "--trust")
    group = parser.add_argument_group("two-step engine only")
    group.add_argument("--finder", action="store_true", help="train its face finder; both classes are faces")
    group.add_argument("--crops", type=Path, help="folder of ready crops instead of labels", metavar="FOLDER")
    group.add_argument("--backbone", help="classifier's network, mobilenet_v2 (default) or inception_v3")
    group.add_argument("--side", type=positive, help="of the crops, px (default: 224)")
    add_flags(group, "--min-side")
    add_flags(
        group,
        "--faces",
        default=None,
        help="face finder whose false faces teach what is none, such as ssd (default: random squares)",
    )
    add_flags(group, "--ignore")
    add_flags(parser.add_argument_group("output"), "--name", "--runs", "--install")
    return parser


def finish(trained: Trained, *, trust: bool = False) -> Exported:
    """Export the best checkpoint to a verified ONNX file in the run's folder; single-stage leaves a small .pt too."""
    from detector.training.checkpoint import slim
    from detector.training.exporter import export

    checkpoint, out = trained.best, trained.run / trained.network
    if trained.network == DEFAULT_WEIGHTS:
        checkpoint = out.with_suffix(".pt")
        slim(trained.best, checkpoint, data_note=trained.note, trust=trust)
    return export(checkpoint, out, images=trained.examples, trust=trust)


def _command(args: argparse.Namespace) -> int:
    network = FACE_WEIGHTS if args.finder else CLASSIFIER_WEIGHTS if args.engine == "two-step" else DEFAULT_WEIGHTS
    _check_flags(args, network)
    if args.resume and args.resume.suffix == ".pt":  # its checkpoint was named
        args.resume = args.resume.absolute().parents[args.resume.absolute().parent.name == "weights"]
    require_packages()
    from detector.training.exporter import install
    from detector.training.history import clock
    from detector.training.resume import resume
    from detector.training.runs import run_folder

    with run_folder(args.resume, args.runs, args.name) as run:
        if args.resume:
            trained = resume(run, device=args.device, batch=args.batch, progress=cli.progress_bar, trust=args.trust)
        else:
            trained = _TRAININGS[network](args, run)
        print(trained.report)
        print(f"trained in {clock(trained.seconds)}; curves: {trained.curves}; best checkpoint: {trained.best}")
        exported = finish(trained, trust=args.trust)
    print(exported)
    if args.install:
        small = exported.path.with_suffix(".pt")
        for path in install([*([small] if small.is_file() else []), exported.path], default_weights().parent):
            print(f"installed {path}")
    print(next_command(trained.network, None if args.install else exported.path))
    return getattr(args, "unreadable", cli.EXIT_OK)


def _check_flags(args: argparse.Namespace, network: str) -> None:
    check_label_flags(args)
    given = [name for name in FLAGS if getattr(args, name) is not None]
    if args.resume and (args.engine or args.finder or given):
        name = "engine" if args.engine else "finder" if args.finder else given[0]
        raise TrainingError(f"--resume goes on with its own settings: leave out --{name.replace('_', '-')}")
    if args.finder and args.engine != "two-step":
        raise TrainingError("--finder: is for --engine two-step: add that, or leave it out")
    for name in ("imgsz", "side"):
        if (getattr(args, name) or 0) > MAX_SIDE:
            raise TrainingError(
                f"--{name} {getattr(args, name)}: no image fits into the memory: use at most {MAX_SIDE}"
            )
    foreign, remedy = FOREIGN_FLAGS[network]
    cutting = [name for name in ("min_side", "faces", "ignore") if getattr(args, name) is not None]
    labels = [*sources_given(args), *(["data"] if args.data else []), *cutting]
    for name in given:
        if name in foreign:
            raise TrainingError(f"--{name.replace('_', '-')}: {remedy}")
    if args.crops and labels:
        raise TrainingError(f"--crops are ready: leave out --{labels[0].replace('_', '-')}")


def _train_detector(args: argparse.Namespace, run: Path) -> Trained:
    from detector.training.single_stage.yolo_training import train
    from detector.training.start import DEFAULT_START, find_start

    shipped = default_weights().with_suffix(".pt")
    start = find_start(args.start or (str(shipped) if shipped.is_file() else DEFAULT_START), args.runs / "pretrained")
    data = convert_labels(args, run / "dataset", cli.progress_bar)
    log.info("training in %s, starting from %s", run, start)
    chosen = _given(args, "epochs", "imgsz", "batch", "seed", "device", "trust")
    return train(data, run, start, progress=cli.progress_bar, **chosen)


def _train_classifier(args: argparse.Namespace, run: Path) -> Trained:
    from detector.training.start import load_imagenet
    from detector.training.two_step.classifier_network import BACKBONES
    from detector.training.two_step.classifier_training import ClassifierLearner, ClassifierSettings

    backbone = args.backbone or BACKBONES[0]
    weights = load_imagenet(args.start or backbone, backbone, args.runs / "pretrained")
    folder = args.crops or run / "crops"
    if not args.crops:
        cut_crops(args, run / "dataset", folder)
    chosen = _given(args, "epochs", "side", "batch", "seed")
    settings = ClassifierSettings(crops=str(folder.resolve()), backbone=backbone, **chosen)
    return ClassifierLearner(settings, run, args.device, cli.progress_bar).start(weights)


def _train_face_finder(args: argparse.Namespace, run: Path) -> Trained:
    from detector.training.start import load_imagenet
    from detector.training.two_step.face_ssd_network import BACKBONE
    from detector.training.two_step.face_ssd_training import FaceFinderLearner, FaceFinderSettings

    weights = load_imagenet(args.start or BACKBONE, BACKBONE, args.runs / "pretrained")
    data = convert_labels(args, run / "dataset", cli.progress_bar)
    ignore = str(args.ignore.resolve()) if args.ignore else None
    chosen = _given(args, "epochs", "imgsz", "batch", "seed")
    settings = FaceFinderSettings(data=str(data.resolve()), ignore=ignore, **chosen)
    return FaceFinderLearner(settings, run, args.device, cli.progress_bar).start(weights)


def _given(args: argparse.Namespace, *names: str) -> dict[str, Any]:
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}


_TRAININGS = {
    DEFAULT_WEIGHTS: _train_detector,
    CLASSIFIER_WEIGHTS: _train_classifier,
    FACE_WEIGHTS: _train_face_finder,
}

if __name__ == "__main__":
    sys.exit(main())
