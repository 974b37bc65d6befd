"""Let the detector label images, for a person to correct in LabelImg. See --help."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from detector import cli
from detector.cli import flags
from detector.data.yolo import CLASSES_TXT
from detector.detections import CLASSES
from detector.engines import Engine
from detector.errors import AnnotationError, OutputError, SourceError
from detector.files import alone, check_free, refuse_existing, write_file, write_late
from detector.labelling.label_folder import LabelFolder
from detector.labelling.prelabel_record import RECORD, write_record
from detector.labelling.proposals import FLOOR, Proposal, propose, shown_otherwise
from detector.labelling.review_links import link_in_order
from detector.media import images

EXAMPLES = """\
  mask-detector prelabel --images photos --out labels --review review
  labelImg review labels/classes.txt labels
      the images in LabelImg, least certain first; a box that the network is unsure of is "difficult"
  mask-detector prelabel --images photos --out labels --refresh --weights runs/mine/mask_detector.onnx
      a better network labels again what nobody has saved since
  mask-detector prelabel --images photos --out labels --dry-run --report found.json
      only say what would be written

An image that has a label file is left alone. One without a face gets none: without a look at it, a missed face would
be taught as background. In LabelImg the space bar says that an image is right (an empty one too) and saves it.
labels/prelabels.csv lists what nobody has saved since, least certain first.
"""

NEW, NO_FACE, EARLIER, LABELLED, LEFT_OUT = "pre-labelled", "no face", "pre-labelled earlier", "labelled", "left out"


@dataclass(frozen=True, eq=False)
class Outcome:
    """What happened to one image.

    Args:
        image: the file.
        status: NEW, NO_FACE, EARLIER, LABELLED or LEFT_OUT.
        reason: of LEFT_OUT and LABELLED, in one line.
        proposal: of NEW and NO_FACE.
    """

    image: Path
    status: str
    reason: str = ""
    proposal: Proposal | None = None

    def content(self) -> dict[str, object]:
        """For the report in JSON."""
        entry: dict[str, object] = {"image": self.image.name, "status": self.status}
        if self.reason:
            entry["reason"] = self.reason
        if self.proposal:
            pairs = zip(self.proposal.faces, self.proposal.unsure.tolist(), strict=True)
            entry["doubt"] = round(self.proposal.doubt, 2)
            entry["faces"] = [
                {"box": list(map(int, box)), "class": name, "confidence": round(confidence, 4), "unsure": unsure}
                for (box, confidence, name), unsure in pairs
            ]
        return entry


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code, 1 where images were left out. After Ctrl-C all files are whole."""
    return cli.run_command(build_parser(), _command, argv)


def build_parser() -> argparse.ArgumentParser:
    """The flags of ``mask-detector prelabel``."""
    parser = cli.make_parser(
        "prelabel", "Let the detector label images, for a person to correct in LabelImg.", EXAMPLES
    )
    parser.add_argument("--images", "-i", type=Path, required=True, metavar="DIR", help="folder of images")
    parser.add_argument(
        "--out", "-o", type=Path, required=True, metavar="DIR", help="folder for the XML files: LabelImg's save folder"
    )
    parser.add_argument(
        "--review", type=Path, metavar="DIR", help="a new folder of links to the images, in the order to look at them"
    )
    parser.add_argument(
        "--sure", type=flags.fraction, default=0.6, help="boxes under this are marked as unsure (difficult), 0 to 1"
    )
    parser.add_argument(
        "--background", action="store_true",
        help="write a file without boxes where no face is found: such an image trains as background",
    )  # fmt: skip
    parser.add_argument(
        "--refresh", action="store_true", help="replace pre-labels that nobody has saved in LabelImg since"
    )
    parser.add_argument("--force", action="store_true", help="replace every label file, a person's too")
    parser.add_argument("--dry-run", action="store_true", help="find the faces, but write nothing but the report")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write what was found in each image as JSON")
    flags.add_engine_flags(parser)
    return parser


def _command(args: argparse.Namespace) -> int:
    with flags.engine_from(args) as engine:
        args.conf, engine.conf = engine.conf, min(engine.conf, FLOOR)  # None before, where the weights decide
        return _prelabel(args, engine)


def _prelabel(args: argparse.Namespace, engine: Engine) -> int:
    _check_flags(args)
    pictures = images.list_images(args.images)
    if not pictures:
        raise AnnotationError(f"{args.images}: no images there: check --images")
    with nullcontext() if args.dry_run else alone(args.out):
        outcomes = _work(pictures, args, engine)
    if args.report:
        write_late(args.report, _report(outcomes, args).encode())
    _say(outcomes, args)
    return cli.EXIT_PARTIAL if any(outcome.status == LEFT_OUT for outcome in outcomes) else cli.EXIT_OK


def _work(pictures: Sequence[Path], args: argparse.Namespace, engine: Engine) -> list[Outcome]:
    labels = LabelFolder(args.out, args.force, args.refresh, args.background, args.dry_run)
    wanted, outcomes = _sort_out(pictures, labels)
    try:
        outcomes += [_label_one(path, labels, args, engine) for path in cli.progress_bar(wanted, "finding faces")]
    finally:  # put in order after Ctrl-C too
        if not args.dry_run:
            write_record(args.out, labels.unseen())
    if not args.dry_run:
        _help_labelimg(labels, args)
    return outcomes


def _check_flags(args: argparse.Namespace) -> None:
    """Refuse before minutes of work what could not be done after them."""
    if args.sure <= args.conf:
        raise AnnotationError(f"--sure {args.sure:g} must be above --conf {args.conf:g}: the boxes between are unsure")
    if args.review:
        check_free(args.review, "--review")
    if args.report:
        refuse_existing(args.report)
    if args.out.exists() and not args.out.is_dir():
        raise OutputError(f"{args.out}: is a file, not a folder: choose another --out")


def _sort_out(pictures: Sequence[Path], labels: LabelFolder) -> tuple[list[Path], list[Outcome]]:
    """The images to label, and what is said of the others."""
    wanted, outcomes = [], []
    same_name = Counter(picture.stem.casefold() for picture in pictures)
    for picture in pictures:
        there = labels.label_of(picture)
        if same_name[picture.stem.casefold()] > 1:
            reason = f"{picture}: another image would share its label file: rename one"
            outcomes.append(Outcome(picture, LEFT_OUT, reason))
        elif there and not labels.may_write(picture):
            outcomes.append(Outcome(picture, EARLIER if labels.is_prelabel(there) else LABELLED, f"{there} is there"))
        else:
            wanted.append(picture)
    return wanted, outcomes


def _label_one(path: Path, labels: LabelFolder, args: argparse.Namespace, engine: Engine) -> Outcome:
    try:
        picture = images.read(path)
        if reason := shown_otherwise(path):
            return Outcome(path, LEFT_OUT, f"{path}: {reason}")
        size = picture.shape[1], picture.shape[0]
        proposal = propose(engine(picture), size, conf=args.conf, sure=args.sure)
        there = labels.label_of(path)
        if there and not labels.may_write(path):
            return Outcome(path, LABELLED, f"{there} was made meanwhile")
        if there and not labels.is_prelabel(there) and not len(proposal.faces):
            return Outcome(path, LABELLED, f"{there} stays: no face was found")
        labels.write(path, size, proposal)
    except (SourceError, AnnotationError) as error:
        return Outcome(path, LEFT_OUT, str(error))
    return Outcome(path, NEW if len(proposal.faces) else NO_FACE, "", proposal)


def _help_labelimg(labels: LabelFolder, args: argparse.Namespace) -> None:
    """The class names that LabelImg offers, and the images in the order to look at them."""
    names = args.out / CLASSES_TXT
    if not names.exists():
        write_file(names, "".join(f"{name}\n" for name in CLASSES).encode())
    if args.review:
        unseen = [args.images / entry.image for entry in labels.unseen()]
        link_in_order([path for path in unseen if path.is_file()], args.review)


def _report(outcomes: Sequence[Outcome], args: argparse.Namespace) -> str:
    content = {
        "made_by": "prelabel",
        "engine": args.engine,
        "weights": args.weights.name if args.weights else None,
        "conf": args.conf,
        "sure": args.sure,
        "dry_run": args.dry_run,
        "counts": dict(sorted(Counter(outcome.status for outcome in outcomes).items())),
        "images": [outcome.content() for outcome in sorted(outcomes, key=lambda outcome: outcome.image.name)],
    }
    return json.dumps(content, indent=1) + "\n"


def _say(outcomes: Sequence[Outcome], args: argparse.Namespace) -> None:
    for outcome in outcomes:
        if outcome.status == LEFT_OUT:
            print(f"left out: {outcome.reason}", file=sys.stderr)
    proposals = [outcome.proposal for outcome in outcomes if outcome.proposal]
    boxes = sum(len(proposal.faces) for proposal in proposals)
    unsure = sum(int(proposal.unsure.sum()) for proposal in proposals)
    counts = Counter(outcome.status for outcome in outcomes)
    print(
        f"{counts[NEW]} images {'would be ' if args.dry_run else ''}{NEW} with {boxes} boxes, {unsure} of them unsure"
    )
    without = "a label file without boxes" if args.background else "no label file"
    print(f"{counts[NO_FACE]} without a face: {without}")
    print(f"{counts[EARLIER]} {EARLIER} and not saved since, {counts[LABELLED]} labelled, {counts[LEFT_OUT]} left out")
    if not args.dry_run:
        print(f"least certain first: {args.out / RECORD}")
        print(f"next: labelImg {args.review or args.images} {args.out / CLASSES_TXT} {args.out}")


if __name__ == "__main__":
    sys.exit(main())
