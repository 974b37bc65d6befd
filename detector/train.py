"""Train on your own labels: ``python -m detector.train``."""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from detector import _cli
from detector._progress import TrainingProgress, clock
from detector.data import dataset
from detector.engines import default_weights
from detector.errors import TrainingError
from detector.export import summary
from detector.training import export as exporting
from detector.training.checkpoint import slim
from detector.training.folder import adopt, check_folder, describe
from detector.training.results import TrainingResult
from detector.training.single_stage import last_checkpoint, new_run, resume, train
from detector.training.start import DEFAULT_START, find_start

__all__ = ["TrainingResult", "finish", "main", "resume", "train"]

log = logging.getLogger("detector.train")

NETWORK = "mask_detector"
PARITY_IMAGES = 3

EXAMPLES = """\
  python -m detector.train                                              on the sample in data/
  python -m detector.train --annotations my/xml --images my/photos --epochs 50
  python -m detector.train --annotations a/xml --annotations b/xml --images a/img --images b/img --map bare=without_mask
  python -m detector.train --data my_yolo_folder/data.yaml --imgsz 640 --device cuda
  python -m detector.train --resume runs/train"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return _cli.run_command(build_parser(), _command, argv)


def build_parser() -> argparse.ArgumentParser:
    """The flags of ``python -m detector.train``."""
    parser = _cli.make_parser("train", "Train the network on LabelImg labels or on a YOLO folder.", EXAMPLES)
    labels = parser.add_argument_group("labels")
    labels.add_argument(
        "--annotations",
        type=Path,
        action="append",
        help="folder of LabelImg XML; repeatable (default: data/annotations)",
    )
    labels.add_argument(
        "--images", type=Path, action="append", help="folder of its images; repeatable (default: data/images)"
    )
    labels.add_argument("--split", type=Path, help="CSV (image, split) that says what validates", metavar="CSV")
    labels.add_argument("--val", type=_cli.fraction, default=0.1, help="without --split: the share that validates")
    labels.add_argument(
        "--map",
        type=_name_and_class,
        action="append",
        default=[],
        metavar="NAME=CLASS",
        help="what one of your class names means: with_mask, without_mask or ignore; repeatable",
    )
    labels.add_argument("--corrections", type=Path, help="CSV of corrections to the labels", metavar="CSV")
    labels.add_argument(
        "--data", type=Path, help="instead of all these: the data.yaml of a YOLO folder", metavar="YAML"
    )
    learning = parser.add_argument_group("training")
    learning.add_argument(
        "--start", help=f"checkpoint to start from (default: weights/{NETWORK}.pt, or {DEFAULT_START} from ultralytics)"
    )
    learning.add_argument("--epochs", type=_cli.positive, default=30, help="times that every image is seen")
    learning.add_argument("--imgsz", type=_cli.positive, default=512, help="images' longer side in the network, px")
    learning.add_argument("--batch", type=_cli.positive, help="images per step (default: 16, or all if they are fewer)")
    learning.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps")
    learning.add_argument("--seed", type=int, default=0, help="another number: another split and other augmentations")
    learning.add_argument(
        "--resume", type=Path, help="go on with an interrupted run; only --device and --batch apply", metavar="RUN"
    )
    output = parser.add_argument_group("output")
    output.add_argument("--name", default="train", help="name of the run; taken names get a number")
    output.add_argument("--runs", type=Path, default=Path("runs"), help="folder of all runs", metavar="FOLDER")
    output.add_argument("--install", action="store_true", help="also make the result the default network, in weights/")
    return parser


def finish(result: TrainingResult) -> exporting.Exported:
    """Write the best checkpoint into the run folder, small and clean, and export it to a verified ONNX file."""
    data = result.run / "dataset" / "data.yaml"
    checkpoint = result.run / f"{NETWORK}.pt"
    slim(result.best, checkpoint, data_note=describe(check_folder(data)))
    pictures = sorted((data.parent / "images" / "val").iterdir())[:PARITY_IMAGES]
    return exporting.export(checkpoint, checkpoint.with_suffix(".onnx"), images=pictures)


def _command(args: argparse.Namespace) -> int:
    _check_flags(args)
    run = args.resume or new_run(args.runs, args.name)
    progress = TrainingProgress()
    try:
        if args.resume:
            result = resume(run, device=args.device, batch=args.batch, listener=progress)
        else:
            result = _train_new(args, run, progress)
    except KeyboardInterrupt:
        progress.close()
        _say_how_to_go_on(run)
        return _cli.EXIT_INTERRUPTED
    finally:
        progress.close()
        if not args.resume and not last_checkpoint(run):  # nothing but the copied data: made above, and of no more use
            shutil.rmtree(run, ignore_errors=True)
    exported = finish(result)
    _print_result(result)
    print(summary(exported))
    weights = exported.path
    if args.install:
        files = [weights.with_suffix(".pt"), weights]
        for path in exporting.install(files, default_weights().parent):
            print(f"installed {path}")
    print(f"next: python -m detector.run --source 0{'' if args.install else f' --weights {weights}'}")
    return _cli.EXIT_OK


def _check_flags(args: argparse.Namespace) -> None:
    sources = [name for name in ("annotations", "images", "split", "map", "corrections") if getattr(args, name)]
    if args.data and sources:
        raise TrainingError(f"--data already names images and labels: leave out --{sources[0]}")
    if args.resume and (args.data or sources):
        raise TrainingError(f"--resume goes on with its own data: leave out --{'data' if args.data else sources[0]}")
    if bool(args.annotations) != bool(args.images):
        raise TrainingError("--annotations and --images belong together: give both, or none for the sample in data/")


def _train_new(args: argparse.Namespace, run: Path, progress: TrainingProgress) -> TrainingResult:
    weights = default_weights().with_suffix(".pt")
    start = find_start(args.start or (str(weights) if weights.is_file() else DEFAULT_START), args.runs / "pretrained")
    out = run / "dataset"
    data = adopt(args.data, out, progress) if args.data else _convert(args, out, progress)
    log.info("%s: %s", run, describe(check_folder(data)))
    log.info("starting from %s", start)
    return train(
        data,
        run,
        start,
        epochs=args.epochs,
        imgsz=args.imgsz,
        batch=args.batch,
        device=args.device,
        seed=args.seed,
        listener=progress,
    )


def _convert(args: argparse.Namespace, out: Path, progress: TrainingProgress) -> Path:
    sample = default_weights().parents[1] / "data"
    split = args.split
    if not args.annotations and split is None and (sample / "split.csv").is_file():
        split = sample / "split.csv"
    report = dataset.build(
        args.annotations or [sample / "annotations"],
        args.images or [sample / "images"],
        out,
        class_map=dict(args.map),
        split=split,
        val=args.val,
        seed=args.seed,
        corrections=args.corrections,
        progress=progress,
    )
    for line in report.warnings:
        log.warning("warning: %s", line)
    notes = len(report.dropped) + len(report.mended) + len(report.suspicious)
    if notes:
        log.warning("%d labels or images were dropped, mended or look wrong: see %s", notes, out / "report.txt")
    return out / "data.yaml"


def _name_and_class(text: str) -> tuple[str, str]:
    name, separator, target = text.rpartition("=")
    if not (name and separator and target):
        raise argparse.ArgumentTypeError(f"{text} is not NAME=CLASS")
    return name, target


def _say_how_to_go_on(run: Path) -> None:
    if last_checkpoint(run):
        print(
            f"stopped; the last whole epoch is kept. Go on with: python -m detector.train --resume {run}",
            file=sys.stderr,
        )
    else:
        print("stopped before the first epoch was complete: there is nothing to go on from", file=sys.stderr)


def _print_result(result: TrainingResult) -> None:
    print(f"{'class':<14}{'faces':>7}{'AP50':>8}{'precision':>11}{'recall':>8}")
    for score in result.scores:
        print(f"{score.name:<14}{score.faces:>7}{score.ap50:>8.3f}{score.precision:>11.3f}{score.recall:>8.3f}")
    print(f"trained in {clock(result.seconds)}; curves: {result.curves}; best checkpoint: {result.best}")


if __name__ == "__main__":
    sys.exit(main())
