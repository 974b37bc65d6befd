"""Measure an engine on labelled images: ``mask-detector evaluate``."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from detector import cli
from detector.cli.flags import add_engine_flags, add_flags, engine_from
from detector.cli.image_flags import add_image_flags, load_scored_images
from detector.cli.label_flags import say_what_is_missing
from detector.engines import default_weights
from detector.errors import ModelError, OutputError, require_extra
from detector.evaluation import text
from detector.evaluation.charts import chart_file, precision_recall_chart, reliability_chart
from detector.evaluation.contenders import find, open_contender
from detector.evaluation.figures import by_set, measure
from detector.files import make_folder, refuse_existing, write_late
from detector.scoring import SAME_FACE_IOU, calibrate, export_coco

__all__ = ["main"]

log = logging.getLogger(__name__)

EXAMPLES = """\
  mask-detector evaluate                                          on the sample in data/
  mask-detector evaluate --annotations my/xml --images my/photos --map bare=without_mask
  mask-detector evaluate --annotations a/xml --images a/jpg --split split.csv --part val --json figures.json
  mask-detector evaluate --data my_yolo_folder/data.yaml --weights runs/mine/mask_detector.onnx --curves pr.svg
  mask-detector evaluate --images pictures/without/people        how many false boxes there are
  mask-detector evaluate --annotations a/xml --images a/jpg --weights mine.onnx --calibrate mine_calibrated.onnx

All figures are of what people are shown: one word per face. Average precision is COCO's, over all confidences; the
shares of faces with the right word, the wrong word and none, and the false boxes per 100 images, are from --conf on. A
face and a detection are the same if they overlap by half (IoU 0.5). A figure that no face speaks for is shown as –."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code, 1 where some images could not be read."""
    return cli.run_command(_build_parser(), _command, argv)


def _build_parser() -> argparse.ArgumentParser:
    parser = cli.make_parser("evaluate", "Measure an engine on labelled images.", EXAMPLES)
    add_image_flags(parser)
    add_engine_flags(parser)
    output = parser.add_argument_group("results")
    add_flags(output, "--json", help="write all figures as JSON (- for stdout)")
    output.add_argument("--curves", type=Path, metavar="FILE.svg", help="draw the precision-recall curves")
    output.add_argument(
        "--reliability", type=Path, metavar="FILE.svg", help="draw how many faces are right at each confidence"
    )
    output.add_argument(
        "--calibrate",
        type=Path,
        metavar="FILE.onnx",
        help="write a copy of the single-stage network whose confidence is the share of right faces in these images, "
        "and whose default --conf is the best threshold",
    )
    output.add_argument(
        "--coco", type=Path, metavar="FOLDER", help="write ground_truth.json and detections.json for pycocotools"
    )
    add_flags(output, "--overwrite")
    return parser


def _command(args: argparse.Namespace) -> int:
    _check_outputs(args)
    parts = [args.faces.partition("=")[0]] if args.engine == "two-step" else []
    parts += [args.weights.name] if args.weights else []
    name = f"{args.engine} ({', '.join(parts)})" if parts else args.engine
    with ExitStack() as stack:
        contender = open_contender(stack, name, partial(engine_from, args), conf=args.conf)
        samples = load_scored_images(args)
        # pycocotools' users may ask for more than our figures: they get every box.
        findings = find([contender], samples, cli.progress_bar, min_side=None if args.coco else args.min_side)
    (examples,) = findings.examples
    measured = partial(measure, conf=contender.conf, min_side=args.min_side)
    figures, sets = measured(name, examples), by_set(measured, findings.labelled, examples)
    said = sys.stderr if args.json == "-" else sys.stdout
    print(text.describe(figures, sets), file=said)
    if caveat := text.caveat(findings.labelled):
        log.warning("note: %s", caveat)
    content = {"min_side": args.min_side, "same_face_iou": SAME_FACE_IOU, **figures.content()}
    if len(sets) > 1:
        content["sets"] = {one.name: one.content() for one in sets}
    written = json.dumps(content, indent=1, allow_nan=False) + "\n"
    if args.json == "-":
        print(written, end="")
    elif args.json:
        write_late(Path(args.json), written.encode(), replace=args.overwrite)
    for path, chart in ((args.curves, precision_recall_chart), (args.reliability, reliability_chart)):
        if path:
            write_late(path, chart_file(chart(figures)).encode(), replace=args.overwrite)
    if args.calibrate:
        network = args.weights or default_weights()
        print(calibrate(network, args.calibrate, figures.matches, replace=args.overwrite), file=said)
    if args.coco:
        make_folder(args.coco)
        paths = export_coco(args.coco, examples, findings.labelled, min_side=args.min_side, replace=args.overwrite)
        log.info("wrote %s and %s", *paths)
    return max(int(args.unreadable), say_what_is_missing(findings.unreadable))


def _check_outputs(args: argparse.Namespace) -> None:
    """Refuse before minutes of work what could not be written after them."""
    for flag, suffix in (("curves", ".svg"), ("reliability", ".svg"), ("calibrate", ".onnx")):
        path = getattr(args, flag)
        if path and path.suffix.lower() != suffix:
            raise OutputError(f"--{flag} {path}: name a file that ends in {suffix}")
    if args.curves or args.reliability:
        require_extra("score", "matplotlib")
    if args.calibrate:
        if args.engine == "two-step":
            raise ModelError("--calibrate: only the single-stage engine has a calibration: leave out --engine two-step")
        require_extra("export", "onnx")
    paths = [path for path in (args.curves, args.reliability, args.calibrate) if path]
    paths += [Path(args.json)] if args.json and args.json != "-" else []
    paths += [args.coco / "ground_truth.json", args.coco / "detections.json"] if args.coco else []
    for path in paths if not args.overwrite else []:
        refuse_existing(path)


if __name__ == "__main__":
    sys.exit(main())
