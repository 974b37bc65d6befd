"""Draw masks, and what is taken for masks, onto bare faces of labelled photographs. See --help."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from detector import cli
from detector.cli import some
from detector.cli.flags import add_flags, fraction
from detector.cli.label_flags import label_folders
from detector.data.loading import load_voc
from detector.data.report import Report
from detector.data.sample import Sample
from detector.data.voc import Box
from detector.detections import CLASSES
from detector.errors import AnnotationError, SourceError
from detector.files import make_folder, new_folder, refuse_existing, write_late
from detector.labelling.drawn_folder import ContactSheet, DrawnFolder
from detector.labelling.drawn_masks import CONFUSERS, STYLES
from detector.labelling.landmarks import FaceMesh
from detector.labelling.treatment import Options, treat
from detector.media import images

EXAMPLES = """\
  mask-detector masks --out runs/masks --sheet runs/masks.jpg
      onto the bare faces of the sample in data/ that train: a split.csv beside the labels is followed
  mask-detector masks -a a/xml -i a/jpg -a b/xml -i b/jpg --split split.csv --part train --out runs/masks
      only what trains; runs/masks/split.csv then says the same of the new pictures, for the next line
  mask-detector convert -a a/xml -i a/jpg -a b/xml -i b/jpg -a runs/masks/annotations -i runs/masks/images \\
      --split runs/masks/split.csv --out runs/dataset
  mask-detector masks --dry-run
      how many faces can be treated, and why the others cannot

A mask worn properly makes a face with_mask. One below the nose or on the chin leaves it without_mask, and so do a
hand, a scarf, a bandana or a cup before the mouth. Pictures in which nothing was done are not written. The sources
stay as they are.
"""

WORN_BADLY_BY_NAME = ("incorrect", "improper", "wrong")
"""Parts of class names of faces that wear a mask, though not as they should: these are not bare."""

LEFT_OUT = ("no annotation", "no line of the file of --split", "dropped by a correction")
"""How the reasons begin for which a picture is not wanted, which is nothing wrong."""


@dataclass
class _Outcome:
    """What was done to all pictures.

    Args:
        pictures: how many were looked at ("seen"), and how many of them were drawn on ("written").
        bare: bare faces that were looked at.
        untouched: how many of them were left as they are, by reason.
        treated: a line for each of the others.
        skipped: pictures that cannot be read, with the reason.
    """

    pictures: Counter[str] = field(default_factory=Counter)
    bare: int = 0
    untouched: Counter[str] = field(default_factory=Counter)
    treated: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code. The folder appears whole or not at all."""
    return cli.run_command(_build_parser(), _command, argv)


def _build_parser() -> argparse.ArgumentParser:
    parser = cli.make_parser(
        "masks",
        "Draw masks, and what is taken for masks, onto bare faces of labelled photographs: more to train on.",
        EXAMPLES,
    )
    labels = parser.add_argument_group("labels")
    add_flags(labels, "--annotations", "--images", "--map", "--split")
    add_flags(labels, "--part", default="train")
    add_flags(labels, "--corrections")
    drawing, usual = parser.add_argument_group("drawing"), Options()
    for flag, default, what in (
        ("--share", usual.share, "of the faces that can be treated, 0 to 1"),
        ("--worn-wrongly", usual.worn_wrongly, "of the treated faces: mask below the nose or on the chin"),
        ("--confusers", usual.confusers, "of the treated faces: something before the mouth that is no mask"),
    ):
        drawing.add_argument(flag, type=fraction, default=default, metavar="SHARE", help=what)
    drawing.add_argument("--style", action="append", choices=STYLES, help="of the masks, repeatable (default: all)")
    drawing.add_argument("--confuser", action="append", choices=CONFUSERS, help="repeatable (default: all)")
    add_flags(drawing, "--min-side", default=usual.min_side)
    add_flags(drawing, "--seed")
    output = parser.add_argument_group("output")
    add_flags(output, "--out", default=Path("runs/masks"))
    output.add_argument("--sheet", type=Path, metavar="FILE", help="contact sheet of the treated faces, .jpg or .png")
    add_flags(output, "--report", "--dry-run")
    return parser


def _command(args: argparse.Namespace) -> int:
    _check_outputs(args)
    options = Options(
        share=args.share,
        worn_wrongly=args.worn_wrongly,
        confusers=args.confusers,
        styles=tuple(args.style or STYLES),
        kinds=tuple(args.confuser or CONFUSERS),
        seed=args.seed,
        min_side=args.min_side,
    )
    # What is drawn is small: OpenCV's threads would mostly wait for each other, and busily.
    cv2.setNumThreads(1)
    sheet = ContactSheet(args.seed) if args.sheet and not args.dry_run else None
    with nullcontext() if args.dry_run else new_folder(args.out, "--out") as part:
        samples, report = _load(args)
        folder = DrawnFolder(part, args.out.absolute().name, args.split, args.part) if part else None
        outcome = _run(samples, report.classes, options, folder, sheet)
        notes = [note for note in report.dropped if note.kind != "box"]
        left_out = [f"{note.file}: {note.reason}" for note in notes if note.reason.startswith(LEFT_OUT)]
        outcome.skipped += [f"{note.file}: {note.reason}" for note in notes if not note.reason.startswith(LEFT_OUT)]
        if not outcome.pictures["written"]:
            found = ", ".join(f"{count} {reason}" for reason, count in outcome.untouched.most_common(4))
            why = found or "no bare face is labelled"
            raise AnnotationError(f"no face can be treated: {why}: check --annotations and --min-side")
        if folder:
            folder.write_split()
    if sheet:
        write_late(args.sheet, images.encode(sheet.draw(), args.sheet.suffix))
    if args.report and not args.dry_run:
        content = {"options": asdict(options), **vars(outcome)}
        write_late(args.report, (json.dumps(content, indent=1) + "\n").encode())
    for line in outcome.skipped:
        print(f"skipped: {line}", file=sys.stderr)
    for line in report.warnings:
        print(f"warning: {line}", file=sys.stderr)
    if left_out:
        print(f"{some(len(left_out), 'picture')} left out, such as {left_out[0]}", file=sys.stderr)
    print(_summary(outcome, args))
    return cli.EXIT_PARTIAL if outcome.skipped else cli.EXIT_OK


def _check_outputs(args: argparse.Namespace) -> None:
    """Refuse before the drawing what could not be written after it."""
    for path in (args.report, args.sheet):
        if path is not None:
            refuse_existing(path)
            if not args.dry_run:
                make_folder(path.parent)
    if args.sheet:
        images.encode(np.zeros((1, 1, 3), np.uint8), args.sheet.suffix)


def _load(args: argparse.Namespace) -> tuple[list[Sample], Report]:
    """The labelled pictures that the flags name, and what was left out of them.

    A file split.csv beside the labels decides where no other does: a picture that validates must not train too.
    """
    report, folders = Report(), label_folders(args)
    args.split = args.split or folders.split_beside
    samples = load_voc(
        folders.annotations,
        folders.images,
        class_map=dict(args.map),
        split=args.split,
        part=args.part,
        corrections=args.corrections,
        report=report,
        progress=cli.progress_bar,
    )
    return samples, report


def _run(
    samples: Sequence[Sample],
    classes: Mapping[str, str],
    options: Options,
    folder: DrawnFolder | None,
    sheet: ContactSheet | None,
) -> _Outcome:
    """Draw on all pictures and write what was drawn; without a folder, nothing is written."""
    outcome, mesh = _Outcome(), FaceMesh()
    for sample in cli.progress_bar([each for each in samples if _bare(each.boxes, classes)], "adding masks"):
        boxes, bare = _named(sample.boxes, classes), _bare(sample.boxes, classes)
        try:
            picture = images.read(sample.path)
        except SourceError as error:
            outcome.skipped.append(str(error))
            continue
        drawn, done, untouched = treat(picture, sample.title, boxes, bare, mesh, options)
        outcome.pictures["seen"] += 1
        outcome.pictures["written"] += bool(done)
        outcome.bare += len(bare)
        outcome.untouched += untouched
        for each in done:
            boxes[each.index] = each.after
        name = folder.add(sample, boxes, drawn) if folder and done else ""
        for each in done:
            line = {"image": name, "source": sample.title, **vars(each)}
            outcome.treated.append(line | {"before": str(each.before), "after": str(each.after)})
            if sheet:
                sheet.add(drawn, each)
    return outcome


def _named(boxes: Sequence[Box], classes: Mapping[str, str]) -> list[Box]:
    """The boxes, named by their classes; those that have none keep the annotator's name."""
    return [replace(box, name=classes[box.name]) if classes[box.name] in CLASSES else box for box in boxes]


def _bare(boxes: Sequence[Box], classes: Mapping[str, str]) -> list[int]:
    """Which of the boxes are bare faces."""
    return [
        index
        for index, box in enumerate(boxes)
        if classes[box.name] == CLASSES[1] and not any(word in box.name.casefold() for word in WORN_BADLY_BY_NAME)
    ]


def _summary(outcome: _Outcome, args: argparse.Namespace) -> str:
    bare, seen = some(outcome.bare, "bare face"), some(outcome.pictures["seen"], "picture")
    lines = [f"{bare} in {seen}, {len(outcome.treated)} treated"]
    lines += [f"  left: {count} {reason}" for reason, count in outcome.untouched.most_common()]
    if args.dry_run:
        return "\n".join([*lines, "nothing was written (--dry-run)"])
    kinds = Counter((each["kind"], each["what"]) for each in outcome.treated)
    lines += [f"  {kind}: {what} {count}" for (kind, what), count in sorted(kinds.items())]
    return "\n".join([*lines, f"{some(outcome.pictures['written'], 'picture')} in {args.out}"])


if __name__ == "__main__":
    sys.exit(main())
