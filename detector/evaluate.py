"""Measure an engine on labelled images: ``python -m detector.evaluate``."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from detector import _cli
from detector.data.loading import load_faceless, load_voc, load_yolo
from detector.data.regions import Regions
from detector.data.report import Report
from detector.data.sample import Sample
from detector.detections import CLASSES
from detector.engines import default_weights, load_engine
from detector.errors import AnnotationError, ModelError, OutputError
from detector.evaluation import text
from detector.evaluation.calibrate import calibrate, import_onnx
from detector.evaluation.charts import chart_file
from detector.evaluation.contenders import find, open_contender
from detector.evaluation.figures import Figures, by_set, measure
from detector.evaluation.plots import precision_recall_chart, reliability_chart
from detector.files import make_folder, refuse_existing, write_late
from detector.scoring import MIN_SIDE, SAME_FACE_IOU, export_coco, import_coco_eval
from detector.scoring.examples import shorter_side

__all__ = ["add_image_flags", "load_images", "main", "measure", "say_what_is_missing"]

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
    return _cli.run_command(build_parser(), _command, argv)


def build_parser() -> argparse.ArgumentParser:
    """The flags of ``python -m detector.evaluate``."""
    parser = _cli.make_parser("evaluate", "Measure an engine on labelled images.", EXAMPLES)
    add_image_flags(parser)
    _cli.add_engine_flags(parser)
    output = parser.add_argument_group("results")
    output.add_argument("--json", metavar="FILE", help="write all figures as JSON (- for stdout)")
    output.add_argument("--curves", type=Path, metavar="FILE.svg", help="draw the precision-recall curves")
    output.add_argument(
        "--reliability", type=Path, metavar="FILE.svg", help="draw how many faces are right at each confidence"
    )
    output.add_argument(
        "--calibrate", type=Path, metavar="FILE.onnx",
        help="write a copy of the single-stage network whose confidence is the share of right faces in these images, "
        "and whose default --conf is the best threshold",
    )  # fmt: skip
    output.add_argument(
        "--coco", type=Path, metavar="FOLDER", help="write ground_truth.json and detections.json for pycocotools"
    )
    output.add_argument("--force", action="store_true", help="replace files that are there already")
    return parser


def add_image_flags(parser: argparse.ArgumentParser) -> None:
    """Which labelled images to measure on, alike in ``evaluate`` and ``compare``."""
    group = parser.add_argument_group("labelled images")
    group.add_argument(
        "--annotations", type=Path, action="append", metavar="FOLDER",
        help="LabelImg XML; repeatable (default: data/annotations)",
    )  # fmt: skip
    group.add_argument(
        "--images", type=Path, action="append", metavar="FOLDER",
        help="their images; repeatable (default: data/images)",
    )  # fmt: skip
    group.add_argument("--data", type=Path, metavar="YAML", help="instead of these: the data.yaml of a YOLO folder")
    group.add_argument("--split", type=Path, metavar="CSV", help="which image is in which part (columns image, split)")
    group.add_argument("--part", default="val", help="with --split or --data: the part to measure on")
    group.add_argument(
        "--map", type=_cli.name_and_class, action="append", default=[], metavar="NAME=CLASS",
        help="what one of your class names means: with_mask, without_mask or ignore; repeatable",
    )  # fmt: skip
    group.add_argument(
        "--ignore", type=Path, metavar="CSV",
        help="regions where a detection is no false alarm (columns image, xmin, ymin, xmax, ymax, optionally set)",
    )  # fmt: skip
    group.add_argument(
        "--min-side", type=_cli.positive, default=int(MIN_SIDE), metavar="PX",
        help="faces whose shorter side is under this neither help nor hurt",
    )  # fmt: skip


def load_images(args: argparse.Namespace) -> list[Sample]:
    """The images that the flags of :func:`add_image_flags` name.

    Raises:
        AnnotationError: flags that do not go together, or labels that cannot be used.
        SourceError: images that cannot be read.
        MissingExtraError: what scores them is not installed.
    """
    import_coco_eval()  # now, not after minutes of finding faces
    if args.data and (args.annotations or args.images or args.split):
        raise AnnotationError("--data already names images and labels: leave out --annotations, --images and --split")
    if args.annotations and not args.images:
        raise AnnotationError("--annotations and --images belong together: give both, or none for the sample in data/")
    if args.split and not args.annotations and args.images:
        raise AnnotationError("--split needs --annotations: pictures without faces have no parts")
    regions, report = Regions(args.ignore), Report()
    if args.data:
        labelled = load_yolo(
            args.data, class_map=dict(args.map), part=args.part, regions=regions, report=report,
            progress=_cli.progress_bar,
        )  # fmt: skip
    elif args.images and not args.annotations:
        labelled = load_faceless(args.images, regions=regions, report=report, progress=_cli.progress_bar)
    else:
        sample = default_weights().parents[1] / "data"
        labelled = load_voc(
            args.annotations or [sample / "annotations"], args.images or [sample / "images"],
            class_map=dict(args.map), split=args.split, part=args.part, regions=regions, report=report,
            progress=_cli.progress_bar,
        )  # fmt: skip
    say_what_was_wrong(report)
    if regions.all_unused:
        log.warning("warning: %s: no region is in any of these images: check --ignore", args.ignore)
    for name in _classes_without_faces(labelled, args.min_side):
        log.warning(
            "warning: no face of %d px or more is labelled %s: its recall is not defined (%s)",
            args.min_side, name, text.UNDEFINED,
        )  # fmt: skip
    return labelled


def _classes_without_faces(samples: Sequence[Sample], min_side: float) -> list[str]:
    """The classes of which no face that counts is labelled: nothing can be said of them."""
    found: set[str] = set()
    for sample in samples:
        found.update(sample.truth[shorter_side(sample.truth.xyxy) >= min_side].names)
    return [name for name in CLASSES if name not in found]


def say_what_is_missing(unreadable: Sequence[str]) -> int:
    """Log the images that could not be read; returns the exit code that this deserves."""
    for line in unreadable:
        log.warning("left out: %s", line)
    return _cli.EXIT_PARTIAL if unreadable else _cli.EXIT_OK


def _command(args: argparse.Namespace) -> int:
    _check_outputs(args)
    parts = [args.faces.partition("=")[0]] if args.engine == "two-step" else []
    parts += [args.weights.name] if args.weights else []
    name = f"{args.engine} ({', '.join(parts)})" if parts else args.engine
    with contextlib.ExitStack() as stack:
        load = partial(
            load_engine, args.engine, weights=args.weights, faces=args.faces, iou=args.iou, imgsz=args.imgsz,
            device=args.device, threads=args.threads,
        )  # fmt: skip
        contender = open_contender(stack, name, load, conf=args.conf)
        findings = find([contender], load_images(args), _cli.progress_bar)
    (examples,) = findings.examples
    measured = partial(measure, conf=contender.conf, min_side=args.min_side)
    figures = measured(name, examples)
    sets = by_set(measured, findings.labelled, examples)
    said = sys.stderr if args.json == "-" else sys.stdout
    print(text.describe(figures, sets), file=said)
    content = _json(figures, sets, args.min_side)
    if args.json == "-":
        print(content, end="")
    elif args.json:
        write_late(Path(args.json), content.encode(), replace=args.force)
    if args.curves:
        write_late(args.curves, chart_file(precision_recall_chart(figures)).encode(), replace=args.force)
    if args.reliability:
        write_late(args.reliability, chart_file(reliability_chart(figures)).encode(), replace=args.force)
    if args.calibrate:
        network = args.weights or default_weights()
        print(calibrate(network, args.calibrate, figures.matches, replace=args.force), file=said)
    if args.coco:
        make_folder(args.coco)
        sizes = [(image.title, *image.size) for image in findings.labelled]
        export_coco(args.coco, examples, sizes, min_side=args.min_side, replace=args.force)
    return say_what_is_missing(findings.unreadable)


def _check_outputs(args: argparse.Namespace) -> None:
    """Refuse before minutes of work what could not be written after them."""
    for flag, suffix in (("curves", ".svg"), ("reliability", ".svg"), ("calibrate", ".onnx")):
        path = getattr(args, flag)
        if path and path.suffix.lower() != suffix:
            raise OutputError(f"--{flag} {path}: name a file that ends in {suffix}")
    if args.calibrate:
        if args.engine == "two-step":
            raise ModelError("--calibrate: only the single-stage engine has a calibration: leave out --engine two-step")
        import_onnx()
    paths = [path for path in (args.curves, args.reliability, args.calibrate) if path]
    paths += [Path(args.json)] if args.json and args.json != "-" else []
    paths += [args.coco / "ground_truth.json", args.coco / "detections.json"] if args.coco else []
    for path in paths if not args.force else []:
        refuse_existing(path)


def _json(figures: Figures, sets: Sequence[Figures], min_side: float) -> str:
    content = {"min_side": min_side, "same_face_iou": SAME_FACE_IOU, **figures.content()}
    if len(sets) > 1:
        content["sets"] = {one.name: one.content() for one in sets}
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def say_what_was_wrong(report: Report) -> None:
    """Log what reading the labels brought to light; each single line only where more was asked for."""
    for line in report.warnings:
        log.warning("warning: %s", line)
    notes = [note for notes in (report.dropped, report.mended, report.suspicious) for note in notes]
    for note in notes:
        log.debug("%s %s: %s", note.kind, note.file, note.reason)
    if notes:
        log.warning("%d labels or images were left out, mended or look wrong: -v lists them", len(notes))


if __name__ == "__main__":
    sys.exit(main())
