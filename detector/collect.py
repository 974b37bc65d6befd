"""Collect pictures by search phrase, with a record of where each is from. See --help."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from detector import _cli
from detector.errors import MissingExtraError
from detector.labelling.choices import ENGINES, LICENCES
from detector.labelling.phrases import DEFAULT_PHRASES, Phrases, class_and_phrase, merge, read_phrases

if TYPE_CHECKING:
    from detector.labelling.collecting import Collection, Outcome

EXAMPLES = """\
  mask-detector collect --out found --dry-run
      what would be searched for; nothing is sent
  mask-detector collect --out found --max 50 --licence creativecommons
      50 pictures for each phrase of the list that comes along
  mask-detector collect --out found --phrase "with_mask=nurse at work" --phrase "without_mask=people at a market"
  mask-detector collect --out found --phrases my.txt
      my.txt has a class in brackets, then a phrase a line:
          [with_mask]
          nurse at work
          [without_mask]
          people at a market

found/images/CLASS has the files as they were downloaded, found/provenance.csv for each its address, date, phrase and
size, found/skipped.csv the addresses that gave no picture and why. Ctrl-C at any time: the same command goes on where
it stopped. Afterwards: mask-detector clean found/images --out photos

The class is what was searched for, not a label: look at every picture when you label it.

engines, all through icrawler:
  bing    works by all reports; at most a few hundred results for a phrase, only .jpg addresses
  flickr  Flickr's own interface, which states each licence; needs a key in the variable FLICKR_APIKEY
  baidu   open reports that it answers with nothing; no filter by licence
  google  open reports since 2020 that icrawler cannot read its pages: expect nothing
  Engines change their pages. If one finds nothing: pip install --upgrade icrawler, or use another.

The rights of others: the pictures belong to those who made them, and the people in them have rights too. A filter by
licence is a hint of the engine's, not a permission: look at the page that the picture is from. Without a permission
do not publish the pictures, nor, depending on the law where you live, a network trained on them. Engines may forbid
automatic searches in their terms: read them. Between two requests to one host there is a pause; please leave it.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code. What was collected stays, however it ends."""
    return _cli.run_command(build_parser(), _command, argv)


def build_parser() -> argparse.ArgumentParser:
    """The flags of ``mask-detector collect``."""
    parser = _cli.make_parser("collect", "Collect pictures by search phrase, and where each of them is from.", EXAMPLES)
    parser.add_argument(
        *("--out", "-o"), type=Path, required=True, metavar="DIR", help="folder; one of an earlier run is added to"
    )
    parser.add_argument("--phrases", type=Path, metavar="FILE", help="phrases of each class (default: our own list)")
    parser.add_argument(
        "--phrase", action="append", default=[], type=_phrase, metavar="CLASS=PHRASE",
        help="a phrase, instead of the default list or added to --phrases; repeatable",
    )  # fmt: skip
    parser.add_argument("--engine", choices=ENGINES, default=ENGINES[0], help="see below")
    parser.add_argument(
        "--licence", choices=LICENCES, metavar="USE",
        help=f"only pictures that the engine says may be used like this: {' '.join(LICENCES)} (default: all)",
    )  # fmt: skip
    limits = parser.add_argument_group("limits")
    limits.add_argument("--max", type=_cli.positive, default=100, metavar="N", help="pictures for each phrase")
    limits.add_argument("--min-side", type=_cli.positive, default=200, metavar="PX", help="leave smaller pictures")
    limits.add_argument("--max-mb", type=_cli.positive, default=20, metavar="N", help="leave larger files, MiB")
    limits.add_argument("--pause", type=_seconds, default=1.0, metavar="S", help="between two requests to one host")
    limits.add_argument("--timeout", type=_seconds, default=15.0, metavar="S", help="wait so long for an answer")
    parser.add_argument("--dry-run", action="store_true", help="say what would be searched for, and send nothing")
    return parser


def _command(args: argparse.Namespace) -> int:
    try:
        from detector.labelling.collecting import Collection, Limits, collect, outcomes_of
        from detector.labelling.search import SearchEngine
    except ImportError as error:
        raise MissingExtraError(error.name or "a package", "tools") from error
    with (
        Collection(args.out, dry_run=args.dry_run) as collection,
        SearchEngine(args.engine, licence=args.licence, pause=args.pause, timeout=args.timeout) as engine,
    ):
        outcomes = outcomes_of(_phrases(args), collection)
        if args.dry_run:
            return _say_what_would_happen(outcomes, args)
        limits = Limits(args.max, args.min_side, args.max_mb * 2**20, args.timeout)
        try:
            collect(outcomes, collection, engine, limits, _cli.progress_bar)
        finally:
            if collection.begun:
                collection.report(outcomes, {"engine": args.engine, "licence": args.licence, "max": args.max})
    return _say_what_happened(outcomes, collection, args)


def _phrases(args: argparse.Namespace) -> Phrases:
    if args.phrases is None and args.phrase:
        return merge(args.phrase)
    listed = read_phrases(args.phrases or DEFAULT_PHRASES)
    return merge([*((name, phrase) for name, of_class in listed.items() for phrase in of_class), *args.phrase])


def _say_what_would_happen(outcomes: list[Outcome], args: argparse.Namespace) -> int:
    for outcome in outcomes:
        print(f"{outcome.name}: {outcome.phrase}: {max(0, args.max - outcome.there)} to collect, {outcome.there} there")
    wanted = sum(max(0, args.max - outcome.there) for outcome in outcomes)
    print(
        f"{len(outcomes)} phrases, at most {wanted} pictures from {args.engine}; dry run: nothing was sent or written"
    )
    return _cli.EXIT_OK


def _say_what_happened(outcomes: list[Outcome], collection: Collection, args: argparse.Namespace) -> int:
    for outcome in outcomes:
        reasons = ", ".join(f"{count} {why}" for why, count in outcome.reasons.items())
        without = f"; without a picture: {reasons}" if reasons else ""
        print(f"{outcome.name}: {outcome.phrase}: {outcome.new} new ({outcome.state}){without}")
    empty = [outcome for outcome in outcomes if outcome.state == "no results"]
    if empty:
        print(
            f"warning: {args.engine} gave no results for {len(empty)} of {len(outcomes)} phrases: "
            "see --help about the engines",
            file=sys.stderr,
        )
    counts = ", ".join(f"{count} {name}" for name, count in collection.counts().items()) or "no pictures"
    print(f"{args.out}: {counts}; where each is from: {args.out / 'provenance.csv'}")
    print(f"next: mask-detector clean {args.out / 'images'} --out photos")
    return _cli.EXIT_PARTIAL if empty else _cli.EXIT_OK


def _phrase(text: str) -> tuple[str, str]:
    try:
        return class_and_phrase(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds")
    return value


if __name__ == "__main__":
    sys.exit(main())
