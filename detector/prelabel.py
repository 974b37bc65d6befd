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
from detector.cli import some
from detector.cli.flags import add_engine_flags, add_flags, engine_from, fraction
from detector.data.yolo import CLASSES_TXT
from detector.detections import CLASSES
from detector.engines import Engine
from detector.errors import AnnotationError, OutputError, SourceError
from detector.files import alone, check_free, make_folder, refuse_existing, shell_line, write_file, write_late
from detector.labelling.label_folder import RECORD, LabelFolder, link_in_order
from detector.labelling.proposals import FLOOR, Proposal, propose, shown_otherwise
from detector.media import images

EXAMPLES = """\
  mask-detector prelabel --images photos --out labels --review review
  mlabelImg review labels/classes.txt labels
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
class _Outcome:
    """What happened to one image.

    Args:
        image: the file.
        status: NEW, NO_FACE, EARLIER, LABELLED or LEFT_OUT.
        reason: of LEFT_OUT, EARLIER and LABELLED, in one line.
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
    return cli.run_command(_build_parser(), _command, argv)


def _build_parser() -> argparse.ArgumentParser:
    parser = cli.make_parser(
        "prelabel", "Let the detector label images, for a person to correct in LabelImg.", EXAMPLES
    )
    add_flags(parser, "--images", action="store", required=True, help="folder of images")
    add_flags(parser, "--out", required=True, help="folder for the XML files: LabelImg's save folder")
    parser.add_argument(
        "--review", type=Path, metavar="FOLDER", help="a new folder of links to the images, in the order to look at"
    )
    parser.add_argument("--sure", type=fraction, default=0.6, help="boxes under this are marked as unsure (difficult)")
    parser.add_argument(
        "--background", action="store_true", help="where no face is found, write a file without boxes, which trains too"
    )
    parser.add_argument("--refresh", action="store_true", help="replace pre-labels that nobody has saved since")
    add_flags(parser, "--overwrite", help="replace every label file, a person's too")
    add_flags(parser, "--dry-run", help="find the faces, but write nothing but the report")
    add_flags(parser, "--report")
    add_engine_flags(parser)
    return parser


def _command(args: argparse.Namespace) -> int:
    with engine_from(args) as engine:
        args.conf, engine.conf = engine.conf, min(engine.conf, FLOOR)  # None before, where the weights decide
        pictures = _check_flags(args)
        with nullcontext() if args.dry_run else alone(args.out):
            outcomes = _label_all(pictures, args, engine)
    if args.report:
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
        write_late(args.report, (json.dumps(content, indent=1) + "\n").encode())
    _say(outcomes, args)
    return cli.EXIT_PARTIAL if any(outcome.status == LEFT_OUT for outcome in outcomes) else cli.EXIT_OK


def _check_flags(args: argparse.Namespace) -> list[Path]:
    """Refuse before minutes of work what could not be done after them; returns the images."""
    if args.sure <= args.conf:
        raise AnnotationError(f"--sure {args.sure:g} must be above --conf {args.conf:g}: the boxes between are unsure")
    if args.review:
        check_free(args.review, "--review")
    if args.report:
        refuse_existing(args.report)
    if args.out.exists() and not args.out.is_dir():
        raise OutputError(f"{args.out}: is a file, not a folder: choose another --out")
    pictures, below = images.list_images(args.images, strange=True), images.left_below(args.images)
    if not pictures:
        raise AnnotationError(f"{args.images}: no images there{below and f' ({below})'}: check --images")
    if below:
        print(f"{args.images}: {below}", file=sys.stderr)
    if not args.dry_run:
        make_folder(args.out)
    return pictures


def _label_all(pictures: Sequence[Path], args: argparse.Namespace, engine: Engine) -> list[_Outcome]:
    labels = LabelFolder(
        args.out,
        overwrite=args.overwrite,
        refresh=args.refresh,
        background=args.background,
        dry_run=args.dry_run,
    )
    readable = [picture for picture in pictures if picture.suffix.lower() not in images.STRANGE_SUFFIXES]
    same_name = Counter(picture.stem.casefold() for picture in readable)
    outcomes = []
    try:
        for path in cli.progress_bar(pictures, "finding faces"):
            if same_name[path.stem.casefold()] > 1:
                reason = f"{path}: another image would share its label file: rename one"
                outcomes.append(_Outcome(path, LEFT_OUT, reason))
            else:
                outcomes.append(_labelled(path, labels) or _label(path, labels, args, engine))
    finally:  # put in order after Ctrl-C too
        if not args.dry_run:
            labels.write_record()
    if not args.dry_run and not (args.out / CLASSES_TXT).exists():  # the class names that LabelImg offers
        write_file(args.out / CLASSES_TXT, "".join(f"{name}\n" for name in CLASSES).encode())
    if not args.dry_run and args.review:
        unseen = [args.images / entry.image for entry in labels.unseen()]
        link_in_order([path for path in unseen if path.is_file()], args.review)
    return outcomes


def _labelled(path: Path, labels: LabelFolder) -> _Outcome | None:
    """What is said of an image whose label file must stay; None where one may be written."""
    there = labels.label_of(path)
    if there is None or labels.may_write(path):
        return None
    return _Outcome(path, EARLIER if labels.is_prelabel(there) else LABELLED, f"{there} is there")


def _label(path: Path, labels: LabelFolder, args: argparse.Namespace, engine: Engine) -> _Outcome:
    try:
        picture = images.read(path)
        if reason := shown_otherwise(path):
            return _Outcome(path, LEFT_OUT, f"{path}: {reason}")
        size = picture.shape[1], picture.shape[0]
        proposal = propose(engine(picture), size, conf=args.conf, sure=args.sure)
        if meanwhile := _labelled(path, labels):
            return meanwhile
        there = labels.label_of(path)
        if there and not labels.is_prelabel(there) and not len(proposal.faces):
            return _Outcome(path, LABELLED, f"{there} stays: no face was found")
        labels.write(path, size, proposal)
    except (SourceError, AnnotationError) as error:
        return _Outcome(path, LEFT_OUT, str(error))
    return _Outcome(path, NEW if len(proposal.faces) else NO_FACE, "", proposal)


def _say(outcomes: Sequence[_Outcome], args: argparse.Namespace) -> None:
    for outcome in outcomes:
        if outcome.status == LEFT_OUT:
            print(f"left out: {outcome.reason}", file=sys.stderr)
    proposals = [outcome.proposal for outcome in outcomes if outcome.proposal]
    boxes = sum(len(proposal.faces) for proposal in proposals)
    unsure = sum(int(proposal.unsure.sum()) for proposal in proposals)
    counts = Counter(outcome.status for outcome in outcomes)
    would = "would be " if args.dry_run else ""
    print(f"{some(counts[NEW], 'image')} {would}{NEW} with {some(boxes, 'box')}, {unsure} of them unsure")
    without = "a label file without boxes" if args.background else "no label file"
    print(f"{counts[NO_FACE]} without a face: {without}")
    print(f"{counts[EARLIER]} {EARLIER} and not saved since, {counts[LABELLED]} labelled, {counts[LEFT_OUT]} left out")
    if not args.dry_run:
        print(f"least certain first: {args.out / RECORD}")
        print("next:", shell_line("mlabelImg", args.review or args.images, args.out / CLASSES_TXT, args.out))


if __name__ == "__main__":
    sys.exit(main())
