"""Train on your own labels: ``python -m detector.train``."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from detector import _cli, _train_two_step
from detector._labels import add_label_flags, check_label_flags, convert
from detector._progress import TrainingProgress, clock, say_stopped
from detector.engines import ENGINES, default_weights
from detector.errors import TrainingError
from detector.export import summary
from detector.training import exporter
from detector.training.checkpoint import slim
from detector.training.results import TrainingResult
from detector.training.single_stage.yolo_copy import adopt, check_folder, describe
from detector.training.single_stage.yolo_training import resume, run_folder, train
from detector.training.start import DEFAULT_START, find_start

__all__ = ["TrainingResult", "finish", "main", "resume", "train"]

log = logging.getLogger("detector.train")

NETWORK = "mask_detector"
EPOCHS, IMGSZ = 30, 512
PARITY_IMAGES = 3

EXAMPLES = """\
  mask-detector train                                              on the sample in data/
  mask-detector train --annotations my/xml --images my/photos --epochs 50
  mask-detector train --annotations a/xml --annotations b/xml --images a/img --images b/img --map bare=without_mask
  mask-detector train --data my_yolo_folder/data.yaml --imgsz 640 --device cuda
  mask-detector train --resume runs/train
  mask-detector train --engine two-step --crops my/crops           the classifier of the two-step engine"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return _cli.run_command(build_parser(), _command, argv)


def build_parser() -> argparse.ArgumentParser:
    """The flags of ``python -m detector.train``."""
    parser = _cli.make_parser("train", "Train the network on LabelImg labels or on a YOLO folder.", EXAMPLES)
    parser.add_argument("--engine", choices=ENGINES, default=ENGINES[0], help="what is trained")
    add_label_flags(parser)
    learning = parser.add_argument_group("training")
    learning.add_argument(
        "--start",
        help=f"checkpoint to start from (default: weights/{NETWORK}.pt, or {DEFAULT_START} from ultralytics; "
        "two-step: ImageNet weights of torchvision, from there)",
    )
    learning.add_argument(
        "--epochs", type=_cli.positive, help=f"times that every image is seen (default: {EPOCHS}, two-step 20)"
    )
    learning.add_argument(
        "--imgsz", type=_cli.positive, help=f"images' longer side in the network, px (default: {IMGSZ})"
    )
    learning.add_argument(
        "--batch", type=_cli.positive, help="images per step (default: 16, two-step 32, or all if they are fewer)"
    )
    learning.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps")
    learning.add_argument(
        "--resume",
        type=Path,
        help="go on with an interrupted run; only --device, --batch and --trust apply",
        metavar="RUN",
    )
    _cli.add_trust_flag(parser)
    _train_two_step.add_flags(parser)
    output = parser.add_argument_group("output")
    output.add_argument("--name", default="train", help="name of the run; taken names get a number")
    output.add_argument("--runs", type=Path, default=Path("runs"), help="folder of all runs", metavar="FOLDER")
    output.add_argument("--install", action="store_true", help="also make the result the default network, in weights/")
    return parser


def finish(result: TrainingResult, *, trust: bool = False) -> exporter.Exported:
    """Write the best checkpoint into the run folder, small and clean, and export it to a verified ONNX file."""
    data = result.run / "dataset" / "data.yaml"
    checkpoint = result.run / f"{NETWORK}.pt"
    slim(result.best, checkpoint, data_note=describe(check_folder(data)), trust=trust)
    pictures = sorted((data.parent / "images" / "val").iterdir())[:PARITY_IMAGES]
    return exporter.export(checkpoint, checkpoint.with_suffix(".onnx"), images=pictures, trust=trust)


def _command(args: argparse.Namespace) -> int:
    check_label_flags(args)
    if args.engine == "two-step":
        return _train_two_step.train_two_step(args)
    given = [name for name in _train_two_step.FLAGS if getattr(args, name) is not None]
    if given:
        raise TrainingError(f"--{given[0].replace('_', '-')}: is for --engine two-step: add that, or leave it out")
    with run_folder(args.resume, args.runs, args.name) as run:
        progress = TrainingProgress()
        try:
            if args.resume:
                result = resume(run, device=args.device, batch=args.batch, listener=progress, trust=args.trust)
            else:
                result = _train_new(args, run, progress)
        except KeyboardInterrupt:
            progress.close()
            say_stopped(run, "python -m detector.train")
            return _cli.EXIT_INTERRUPTED
        finally:
            progress.close()
        exported = finish(result, trust=args.trust)
    _print_result(result)
    print(summary(exported))
    weights = exported.path
    if args.install:
        files = [weights.with_suffix(".pt"), weights]
        for path in exporter.install(files, default_weights().parent):
            print(f"installed {path}")
    print(f"next: python -m detector.run --source 0{'' if args.install else f' --weights {weights}'}")
    return _cli.EXIT_OK


def _train_new(args: argparse.Namespace, run: Path, progress: TrainingProgress) -> TrainingResult:
    weights = default_weights().with_suffix(".pt")
    start = find_start(args.start or (str(weights) if weights.is_file() else DEFAULT_START), args.runs / "pretrained")
    out = run / "dataset"
    data = adopt(args.data, out, progress) if args.data else convert(args, out, progress)
    log.info("%s: %s", run, describe(check_folder(data)))
    log.info("starting from %s", start)
    return train(
        data,
        run,
        start,
        epochs=args.epochs or EPOCHS,
        imgsz=args.imgsz or IMGSZ,
        batch=args.batch,
        device=args.device,
        seed=args.seed,
        listener=progress,
        trust=args.trust,
    )


def _print_result(result: TrainingResult) -> None:
    print(f"{'class':<14}{'faces':>7}{'AP50':>8}{'precision':>11}{'recall':>8}")
    for score in result.scores:
        print(f"{score.name:<14}{score.faces:>7}{score.ap50:>8.3f}{score.precision:>11.3f}{score.recall:>8.3f}")
    print(f"trained in {clock(result.seconds)}; curves: {result.curves}; best checkpoint: {result.best}")


if __name__ == "__main__":
    sys.exit(main())
