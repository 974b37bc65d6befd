"""Show where the network and the labels disagree most, for a person to decide. See --help."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from detector import cli
from detector.cli import flags
from detector.cli.image_flags import add_image_flags, say_what_is_missing, say_what_was_wrong
from detector.data.loading import load_voc, load_yolo
from detector.data.regions import Regions
from detector.data.report import Report
from detector.data.sample import IGNORE, Sample
from detector.data.yolo import read_source
from detector.engines import default_weights, load_engine
from detector.errors import AnnotationError
from detector.evaluation.contenders import Contender, Findings, find
from detector.files import check_free, new_folder, refuse_existing, write_late
from detector.labelling.check_page import write_sheet
from detector.labelling.correction_rows import Row, earlier_rows, rows_of, to_csv
from detector.labelling.disagreements import KINDS, Disagreement, Face, find_disagreements
from detector.scoring import SHOWN_IOU, TAIL, Example, one_class

log = logging.getLogger("detector.check")

ALL = "all"
"""The value of ``--part`` that stands for every part."""

EXAMPLES = """\
  mask-detector check                                         of the sample in data/
  mask-detector check --annotations labels --images photos --top 50 --kinds missed,class
  mask-detector convert --annotations labels --images photos --corrections runs/check/corrections.csv
      after a look at runs/check/sheet.html, and without the lines that you do not agree with
  mask-detector check --annotations labels --images photos --corrections runs/check/corrections.csv --out again
      what is left after these corrections; the new file has the old lines too, and takes the old one's place
  mask-detector check --data runs/dataset/data.yaml --weights runs/mine/mask_detector.onnx
      a YOLO folder; its corrections name the images as they are called there

kinds: missed  a face that nobody labelled
       extra   a box in which the network sees no face
       class   a face that the network takes for the other class
       loose   a box that lies beside the face

Check with a network that was not trained on these labels: one that was has learnt some of their errors.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code, 1 where some images could not be read."""
    return cli.run_command(build_parser(), _command, argv)


def build_parser() -> argparse.ArgumentParser:
    """The flags of ``mask-detector check``."""
    parser = cli.make_parser(
        "check",
        "Show where the network and the labels disagree most, for a person to decide.",
        EXAMPLES,
    )
    add_image_flags(parser)
    parser.set_defaults(part=ALL)
    parser.add_argument(
        "--corrections", type=Path, metavar="CSV", help="of the labels, applied before they are checked"
    )
    flags.add_engine_flags(parser)
    output = parser.add_argument_group("results")
    output.add_argument("--top", type=flags.positive, default=100, metavar="N", help="so many of them, the surest")
    output.add_argument(
        "--kinds", type=_kinds, default=",".join(KINDS), metavar="A,B", help="only these kinds of disagreement"
    )
    output.add_argument(
        "--out", "-o", type=Path, default=Path("runs/check"), metavar="DIR",
        help="for sheet.html and corrections.csv; a folder that is not there yet",
    )  # fmt: skip
    output.add_argument("--dry-run", action="store_true", help="print how many there are, write nothing but the report")
    output.add_argument("--report", type=Path, metavar="FILE", help="write all of them as JSON, whatever --top says")
    return parser


def _command(args: argparse.Namespace) -> int:
    _check_flags(args)
    if not args.dry_run:
        check_free(args.out, "--out")
    if args.report:
        refuse_existing(args.report)
    earlier = earlier_rows(args.corrections)
    findings, shown = _look(args)
    found = find_disagreements(findings.labelled, findings.examples[0], shown, conf=args.conf, min_side=args.min_side)
    found = [disagreement for disagreement in found if disagreement.kind in args.kinds]
    if not args.dry_run:
        _write(args.out, found[: args.top], earlier, len(findings.labelled))
    if args.report:
        write_late(args.report, _report(found, findings, args).encode())
    _say(found, findings, args)
    return say_what_is_missing(findings.unreadable)


def _look(args: argparse.Namespace) -> tuple[Findings, list[Example]]:
    """What the network thinks of both classes of each face in the labelled images, and the one that it shows."""
    report = Report()
    labelled = _load_labels(args, report)
    say_what_was_wrong(report)
    load = partial(
        load_engine, args.engine, weights=args.weights, faces=args.faces, iou=args.iou, imgsz=args.imgsz,
        device=args.device, threads=args.threads,
    )  # fmt: skip
    with contextlib.ExitStack() as stack:
        engine = stack.enter_context(load(conf=args.conf))
        args.conf, engine.conf = engine.conf, min(engine.conf, TAIL)  # None before, where the weights decide
        both = stack.enter_context(load(conf=engine.conf, one_class=False))
        contenders = [Contender("both", both, both)]
        if args.engine == "two-step":  # which shows something else: it drops what its classifier takes for background
            contenders.append(Contender("shown", engine, engine))
        findings = find(contenders, labelled, cli.progress_bar)
        if len(contenders) > 1:
            return findings, findings.examples[1]
        iou = SHOWN_IOU if args.iou is None else args.iou
        return findings, [replace(each, found=one_class(each.found, iou)) for each in findings.examples[0]]


def _check_flags(args: argparse.Namespace) -> None:
    """Refuse flags that contradict each other.

    Raises:
        AnnotationError: they do.
    """
    if args.data and (args.annotations or args.images or args.split or args.corrections):
        raise AnnotationError("--data already names images and labels: leave out the flags of LabelImg labels")
    if bool(args.annotations) != bool(args.images):
        raise AnnotationError("--annotations and --images belong together: give both, or none for the sample in data/")


def _load_labels(args: argparse.Namespace, report: Report) -> list[Sample]:
    """The images that the flags name.

    Args:
        args: those of :func:`detector.evaluate.add_image_flags`, and ``corrections``.
        report: collects what is dropped, mended and suspicious.

    Raises:
        AnnotationError: labels that cannot be used, or none that the flags leave.
        SourceError: a folder of images cannot be read.
    """
    regions = Regions(args.ignore)
    labelled = _of_yolo(args, regions, report) if args.data else _of_voc(args, regions, report)
    if regions.all_unused:
        report.warnings.append(f"{args.ignore}: no region is in any of these images: check --ignore")
    return labelled


def _of_yolo(args: argparse.Namespace, regions: Regions, report: Report) -> list[Sample]:
    parts = list(read_source(args.data).parts) if args.part == ALL else [args.part]
    return [
        image
        for part in parts
        for image in load_yolo(
            args.data, class_map=dict(args.map), part=part, regions=regions, report=report, progress=cli.progress_bar
        )
    ]


def _of_voc(args: argparse.Namespace, regions: Regions, report: Report) -> list[Sample]:
    sample = default_weights().parents[1] / "data"
    samples = load_voc(
        args.annotations or [sample / "annotations"],
        args.images or [sample / "images"],
        class_map=dict(args.map),
        split=args.split,
        part=None if args.part == ALL else args.part,
        corrections=args.corrections,
        regions=regions,
        report=report,
        progress=cli.progress_bar,
    )
    return [replace(one, ignored=np.concatenate([one.ignored, _ignored_boxes(one, report)])) for one in samples]


def _ignored_boxes(one: Sample, report: Report) -> npt.NDArray[np.float32]:
    """What the annotators labelled with a name that is mapped to "ignore": no face is left out there."""
    boxes = [box.xyxy for box in one.boxes if report.classes.get(box.name) == IGNORE]
    return np.array(boxes, np.float32).reshape(-1, 4)


def _write(out: Path, shown: Sequence[Disagreement], earlier: Sequence[Row], images_seen: int) -> None:
    rows = [row for item, disagreement in enumerate(shown, 1) for row in rows_of(item, disagreement)]
    with new_folder(out, "--out") as folder:
        (folder / "corrections.csv").write_bytes(to_csv([*earlier, *rows]).encode(errors="backslashreplace"))
        sheet = write_sheet(shown, earlier, images_seen, cli.progress_bar)
        (folder / "sheet.html").write_bytes(sheet.encode(errors="backslashreplace"))


def _report(found: Sequence[Disagreement], findings: Findings, args: argparse.Namespace) -> str:
    content = {
        "made_by": "check_labels",
        "engine": args.engine,
        "weights": args.weights.name if args.weights else None,
        "conf": args.conf,
        "images": len(findings.labelled),
        "labels": sum(len(image.truth) for image in findings.labelled),
        "unreadable": findings.unreadable,
        "counts": {kind: sum(one.kind == kind for one in found) for kind in args.kinds},
        "disagreements": [
            {
                "item": item,
                "set": one.image.set_name,
                "image": one.image.path.name,
                "kind": one.kind,
                "score": round(one.score, 4),
                "label": _content(one.label),
                "found": _content(one.found),
            }
            for item, one in enumerate(found, 1)
        ],
    }
    return json.dumps(content, indent=1) + "\n"


def _content(face: Face | None) -> dict[str, object] | None:
    if face is None:
        return None
    box = [round(value, 1) for value in face.xyxy]
    return {"box": box, "class": face.name, "confidence": round(face.confidence, 4)}


def _say(found: Sequence[Disagreement], findings: Findings, args: argparse.Namespace) -> None:
    counts = Counter(disagreement.kind for disagreement in found)
    listed = ", ".join(f"{counts[kind]} {kind}" for kind in args.kinds)
    total = sum(len(image.truth) for image in findings.labelled)
    print(f"{len(findings.labelled)} images with {total} labels, {len(found)} disagreements: {listed}")
    if args.dry_run:
        return
    corrections = args.out / "corrections.csv"
    print(f"the {min(args.top, len(found))} surest, to look at: {args.out / 'sheet.html'}")
    print(f"their corrections: {corrections}; delete the lines that you do not agree with")
    if not args.data:
        sources = [
            f"--annotations {labels} --images {images}"
            for labels, images in zip(args.annotations or [], args.images or [], strict=False)
        ]
        print(f"next: {' '.join(['mask-detector convert', *sources, '--corrections', str(corrections)])}")


def _kinds(text: str) -> list[str]:
    """The value of ``--kinds``, in the order of :data:`KINDS`."""
    asked = [kind.strip() for kind in text.split(",")]
    unknown = [kind for kind in asked if kind not in KINDS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not one of {', '.join(KINDS)}")
    return [kind for kind in KINDS if kind in asked]


if __name__ == "__main__":
    sys.exit(main())
