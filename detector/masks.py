"""Draw masks, and what is taken for masks, onto bare faces of labelled photographs. See --help."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2

from detector import cli
from detector.cli import flags
from detector.data.report import Report
from detector.engines import default_weights
from detector.errors import AnnotationError, SourceError
from detector.files import make_folder, refuse_existing, write_late
from detector.labelling.bare_faces import Rules
from detector.labelling.bare_pictures import Labels, Picture, load
from detector.labelling.confusers import CONFUSERS
from detector.labelling.drawn_folder import Folder, Sheet
from detector.labelling.drawn_masks import STYLES
from detector.labelling.landmarks import FaceMesh
from detector.labelling.treatment import Treated, Wishes, plan, treat
from detector.media import images

EXAMPLES = """\
  mask-detector masks --out runs/masks --sheet runs/masks.jpg
      onto the bare faces of the sample in data/
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


@dataclass
class Outcome:
    """What was done to all pictures.

    Args:
        pictures: how many were looked at, and how many of them were written (or would be).
        bare: bare faces that were looked at.
        untouched: how many of them were left as they are, by reason.
        treated: a line for each of the others.
        skipped: pictures that cannot be read, with the reason.
        unlabelled: pictures without a label file, which is nothing wrong, with the reason.
    """

    pictures: Counter[str] = field(default_factory=Counter)
    bare: int = 0
    untouched: Counter[str] = field(default_factory=Counter)
    treated: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    unlabelled: list[str] = field(default_factory=list)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code. The folder appears whole or not at all."""
    return cli.run_command(build_parser(), _command, argv)


def _command(args: argparse.Namespace) -> int:
    if args.report is not None:
        refuse_existing(args.report)
    for path in (args.report, args.sheet):
        if path is not None and not args.dry_run:
            make_folder(path.parent)  # now, not after all the drawing
    sheet = None if args.sheet is None else Sheet(args.sheet, args.seed)
    folder = None if args.dry_run else Folder(args.out)
    mesh = FaceMesh()
    labels = _labels(args)
    wishes = Wishes(
        share=args.share,
        worn_wrongly=args.worn_wrongly,
        confusers=args.confusers,
        styles=tuple(args.style or STYLES),
        kinds=tuple(args.confuser or CONFUSERS),
        seed=args.seed,
        rules=Rules(min_side=args.min_side),
    )
    left_out = Report()
    pictures = load(labels, left_out, cli.progress_bar)
    # What is drawn is small: OpenCV's threads would mostly wait for each other, and busily.
    cv2.setNumThreads(1)
    with folder or nullcontext():
        outcome = _run(pictures, mesh, wishes, folder, sheet, labels.part)
        for note in left_out.dropped:
            unlabelled = note.kind == "image" and note.reason.startswith("no annotation")
            (outcome.unlabelled if unlabelled else outcome.skipped).append(f"{note.file}: {note.reason}")
        if not outcome.pictures["written"]:
            raise AnnotationError(f"no face can be treated: {_reasons(outcome)}: check --annotations and --min-side")
        if folder is not None:
            folder.write_split(labels.split)
    if sheet is not None and folder:
        sheet.write()
    if args.report and folder:
        write_late(args.report, (json.dumps(_report(outcome, wishes), indent=1) + "\n").encode())
    for line in outcome.skipped:
        print(f"skipped: {line}", file=sys.stderr)
    if outcome.unlabelled:
        print(f"{len(outcome.unlabelled)} pictures left out, such as {outcome.unlabelled[0]}", file=sys.stderr)
    print(_summary(outcome, args))
    return cli.EXIT_PARTIAL if outcome.skipped else cli.EXIT_OK


def _labels(args: argparse.Namespace) -> Labels:
    if bool(args.annotations) != bool(args.images):
        raise AnnotationError("--annotations and --images belong together: give both, or none for the sample in data/")
    sample = default_weights().parents[1] / "data"
    return Labels(
        args.annotations or [sample / "annotations"],
        args.images or [sample / "images"],
        dict(args.map),
        args.split,
        args.part,
        args.corrections,
    )


def _run(
    pictures: Sequence[Picture], mesh: FaceMesh, wishes: Wishes, folder: Folder | None, sheet: Sheet | None, part: str
) -> Outcome:
    """Treat all pictures; without a folder, only look which faces would be treated."""
    outcome = Outcome()
    for source in cli.progress_bar([each for each in pictures if each.bare], "adding masks"):
        try:
            picture = images.read(source.path)
        except SourceError as error:
            outcome.skipped.append(str(error))
            continue
        outcome.pictures["seen"] += 1
        outcome.bare += len(source.bare)
        chosen = plan(picture, source.boxes, source.bare, source.title, mesh, wishes)
        outcome.untouched += chosen.untouched
        if folder is None:
            outcome.treated += [{"source": source.title, "box": str(source.boxes[face[0]])} for face in chosen.faces]
            outcome.pictures["written"] += bool(chosen.faces)
            continue
        drawn, done, untouched = treat(picture, source.boxes, chosen, wishes)
        outcome.untouched += untouched
        if done:
            name = folder.add(source, drawn, done, part)
            outcome.pictures["written"] += 1
            outcome.treated += [_line(name, source, each) for each in done]
        if sheet is not None:
            for each in done:
                sheet.add(drawn, each)
    return outcome


def _line(name: str, source: Picture, each: Treated) -> dict[str, Any]:
    return {
        "image": name, "source": source.title, "kind": each.kind, "what": each.what, "worn": each.worn,
        "before": str(each.before), "after": str(each.after),
    }  # fmt: skip


def _report(outcome: Outcome, wishes: Wishes) -> dict[str, Any]:
    return {"wishes": asdict(wishes), **vars(outcome)}


def _reasons(outcome: Outcome) -> str:
    found = ", ".join(f"{count} {reason}" for reason, count in outcome.untouched.most_common(4))
    return found or "no bare face is labelled"


def _summary(outcome: Outcome, args: argparse.Namespace) -> str:
    lines = [f"{outcome.bare} bare faces in {outcome.pictures['seen']} pictures, {len(outcome.treated)} treated"]
    lines += [f"  left: {count} {reason}" for reason, count in outcome.untouched.most_common()]
    if args.dry_run:
        return "\n".join([*lines, "nothing was written (--dry-run)"])
    kinds = Counter((each["kind"], each["what"]) for each in outcome.treated)
    lines += [f"  {kind}: {what} {count}" for (kind, what), count in sorted(kinds.items())]
    return "\n".join([*lines, f"{outcome.pictures['written']} pictures in {args.out}"])


def build_parser() -> argparse.ArgumentParser:
    """The flags of ``mask-detector masks``."""
    parser = cli.make_parser(
        "masks",
        "Draw masks, and what is taken for masks, onto bare faces of labelled photographs: more to train on.",
        EXAMPLES,
    )
    labels = parser.add_argument_group("labels")
    labels.add_argument(
        *("--annotations", "-a"), action="append", type=Path, metavar="DIR",
        help="folder of XML files, repeatable (default: data/annotations)",
    )  # fmt: skip
    labels.add_argument(
        *("--images", "-i"), action="append", type=Path, metavar="DIR",
        help="folder of images, repeatable (default: data/images)",
    )  # fmt: skip
    labels.add_argument(
        "--map", action="append", default=[], type=flags.name_and_class, metavar="NAME=CLASS",
        help="a class name in the XML and what it is: with_mask, without_mask or ignore; repeatable",
    )  # fmt: skip
    labels.add_argument("--split", type=Path, metavar="FILE", help="CSV file that says which image is in which part")
    labels.add_argument("--part", default="train", help="with --split: which part is treated")
    labels.add_argument("--corrections", type=Path, metavar="FILE", help="CSV file of corrections to the annotations")
    _add_drawing_flags(parser.add_argument_group("drawing"))
    output = parser.add_argument_group("output")
    output.add_argument(
        *("--out", "-o"), type=Path, default=Path("runs/masks"), metavar="DIR", help="a folder that is not there yet"
    )
    output.add_argument("--sheet", type=Path, metavar="FILE", help="contact sheet of the treated faces, .jpg or .png")
    output.add_argument("--report", type=Path, metavar="FILE", help="what was done to each face, JSON")
    output.add_argument("--dry-run", action="store_true", help="only count the faces; write nothing")
    return parser


def _add_drawing_flags(drawing: argparse._ArgumentGroup) -> None:
    wishes = Wishes()
    drawing.add_argument(
        "--share", type=flags.fraction, default=wishes.share, help="of the faces that can be treated, 0 to 1"
    )
    drawing.add_argument(
        "--worn-wrongly", type=flags.fraction, default=wishes.worn_wrongly, metavar="SHARE",
        help="of the treated faces: mask below the nose or on the chin",
    )  # fmt: skip
    drawing.add_argument(
        "--confusers", type=flags.fraction, default=wishes.confusers, metavar="SHARE",
        help="of the treated faces: something before the mouth that is no mask",
    )  # fmt: skip
    drawing.add_argument("--style", action="append", choices=STYLES, help="of the masks, repeatable (default: all)")
    drawing.add_argument("--confuser", action="append", choices=CONFUSERS, help="repeatable (default: all)")
    drawing.add_argument(
        "--min-side", type=float, default=wishes.rules.min_side, help="smaller faces are left as they are, px"
    )
    drawing.add_argument("--seed", type=flags.whole, default=0, help="another number, other choices")


if __name__ == "__main__":
    sys.exit(main())
