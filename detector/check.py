"""Show where the network and the labels disagree most, for a person to decide. See --help."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from detector import cli
from detector.cli.flags import add_engine_flags, add_flags, engine_from, positive
from detector.cli.image_flags import ALL, add_image_flags, load_images
from detector.cli.label_flags import say_what_is_missing, say_what_was_wrong
from detector.data.report import Report
from detector.data.sample import Sample
from detector.evaluation.contenders import Contender, Findings, find
from detector.files import check_free, new_folder, refuse_existing, shell_line, write_late
from detector.labelling.check_page import Row, earlier_rows, rows_of, to_csv, write_sheet
from detector.labelling.disagreements import KINDS, Disagreement, Face, find_disagreements
from detector.scoring import SHOWN_IOU, TAIL, Example, one_class

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
    return cli.run_command(_build_parser(), _command, argv)


def _build_parser() -> argparse.ArgumentParser:
    parser = cli.make_parser(
        "check", "Show where the network and the labels disagree most, for a person to decide.", EXAMPLES
    )
    add_image_flags(parser, part=ALL)
    add_flags(parser, "--corrections", help="of the labels, applied before they are checked")
    add_engine_flags(parser)
    output = parser.add_argument_group("results")
    output.add_argument("--top", type=positive, default=100, metavar="N", help="so many of them, the surest")
    output.add_argument(
        "--kinds", type=_kinds, default=",".join(KINDS), metavar="A,B", help="only these kinds of disagreement"
    )
    what = "for sheet.html and corrections.csv; a folder that is not there yet"
    add_flags(output, "--out", default=Path("runs/check"), help=what)
    add_flags(output, "--dry-run", help="print how many there are, write nothing but the report")
    add_flags(output, "--report", help="write all of them as JSON, whatever --top says")
    return parser


def _command(args: argparse.Namespace) -> int:
    if not args.dry_run:
        check_free(args.out, "--out")
    if args.report:
        refuse_existing(args.report)
    report = Report()
    samples = load_images(args, report)
    unreadable = say_what_was_wrong(report)
    earlier = earlier_rows(args.corrections)
    findings, shown = _look(args, samples)
    found = find_disagreements(findings.labelled, findings.examples[0], shown, conf=args.conf, min_side=args.min_side)
    found = [disagreement for disagreement in found if disagreement.kind in args.kinds]
    if not args.dry_run:
        _write(args.out, found[: args.top], earlier, len(findings.labelled))
    if args.report:
        write_late(args.report, (json.dumps(_content(found, findings, args), indent=1) + "\n").encode())
    _say(found, findings, args)
    return max(unreadable, say_what_is_missing(findings.unreadable))


def _look(args: argparse.Namespace, samples: list[Sample]) -> tuple[Findings, list[Example]]:
    """What the network thinks of both classes of each face in the images, and the one that it shows."""
    with ExitStack() as stack:
        engine = stack.enter_context(engine_from(args))
        args.conf, engine.conf = engine.conf, min(engine.conf, TAIL)  # None before, where the weights decide
        both = stack.enter_context(engine_from(args, conf=engine.conf, one_class=False))
        contenders = [Contender("both", both, both)]
        if args.engine == "two-step":  # which shows something else: it drops what its classifier takes for background
            contenders.append(Contender("shown", engine, engine))
        findings = find(contenders, samples, cli.progress_bar)
        if len(contenders) > 1:
            return findings, findings.examples[1]
        iou = SHOWN_IOU if args.iou is None else args.iou
        return findings, [replace(each, found=one_class(each.found, iou)) for each in findings.examples[0]]


def _write(out: Path, shown: Sequence[Disagreement], earlier: Sequence[Row], images_seen: int) -> None:
    rows = [row for item, disagreement in enumerate(shown, 1) for row in rows_of(item, disagreement)]
    with new_folder(out, "--out") as folder:
        (folder / "corrections.csv").write_bytes(to_csv([*earlier, *rows]).encode(errors="backslashreplace"))
        (folder / "sheet.html").write_bytes(write_sheet(shown, earlier, images_seen, cli.progress_bar).encode())


def _content(found: Sequence[Disagreement], findings: Findings, args: argparse.Namespace) -> dict[str, object]:
    """For the report in JSON."""
    return {
        "made_by": "check",
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
                "label": _box(one.label),
                "found": _box(one.found),
            }
            for item, one in enumerate(found, 1)
        ],
    }


def _box(face: Face | None) -> dict[str, object] | None:
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
        pairs = zip(args.annotations or [], args.images or [], strict=False)
        sources = [word for labels, pictures in pairs for word in ("--annotations", labels, "--images", pictures)]
        print("next:", shell_line("mask-detector", "convert", *sources, "--corrections", corrections))


def _kinds(text: str) -> list[str]:
    """The value of ``--kinds``, in the order of :data:`KINDS`."""
    asked = [kind.strip() for kind in text.split(",")]
    unknown = [kind for kind in asked if kind not in KINDS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not one of {', '.join(KINDS)}")
    return [kind for kind in KINDS if kind in asked]


if __name__ == "__main__":
    sys.exit(main())
