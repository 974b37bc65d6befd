"""Collect pictures by search phrase, with a record of where each is from. See --help."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from detector import cli
from detector.cli.flags import add_flags, positive
from detector.errors import require_extra
from detector.files import shell_line
from detector.labelling.search_terms import CLASS, DEFAULT_PHRASES, ENGINES, LICENCES, Phrase, read_phrases

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
    parser = cli.make_parser("collect", "Collect pictures by search phrase, and where each of them is from.", EXAMPLES)
    add_flags(parser, "--out", required=True, help="folder; one of an earlier run is added to")
    parser.add_argument("--phrases", type=Path, metavar="FILE", help="phrases of each class (default: our own list)")
    parser.add_argument(
        "--phrase",
        action="append",
        default=[],
        type=_phrase,
        metavar="CLASS=PHRASE",
        help="a phrase, instead of the default list or added to --phrases; repeatable",
    )
    parser.add_argument("--search", choices=ENGINES, default=ENGINES[0], help="the search engine: see below")
    parser.add_argument(
        "--licence",
        choices=LICENCES,
        metavar="USE",
        help=f"only pictures that the engine says may be used like this: {' '.join(LICENCES)} (default: all)",
    )
    limits = parser.add_argument_group("limits")
    limits.add_argument("--max", type=positive, default=100, metavar="N", help="pictures for each phrase")
    add_flags(limits, "--min-side", default=200, help="pictures whose shorter side is under this are left out")
    limits.add_argument("--max-mb", type=positive, default=20, metavar="N", help="leave larger files, MiB")
    limits.add_argument("--pause", type=_seconds, default=1.0, metavar="S", help="between two requests to one host")
    limits.add_argument("--timeout", type=_seconds, default=15.0, metavar="S", help="wait so long for an answer")
    add_flags(parser, "--dry-run", help="say what would be searched for, and send nothing")
    return cli.run_command(parser, _command, argv)


def _command(args: argparse.Namespace) -> int:
    require_extra("labelling", "icrawler", "requests")
    from detector.labelling.collecting import collect, open_collection
    from detector.labelling.search import SearchEngine

    listed = read_phrases(args.phrases or DEFAULT_PHRASES) if args.phrases or not args.phrase else []
    with (
        open_collection(args.out, dry_run=args.dry_run) as collection,
        SearchEngine(args.search, licence=args.licence, pause=args.pause, timeout=args.timeout) as engine,
    ):
        outcomes = collection.outcomes([*listed, *args.phrase])
        if args.dry_run:
            return _say_what_would_happen(outcomes, args)
        try:
            sizes = {"min_side": args.min_side, "max_bytes": args.max_mb * 2**20}
            collect(collection, outcomes, engine, most=args.max, **sizes, progress=cli.progress_bar)
        finally:
            _say_what_happened(outcomes, collection, args)
    return cli.EXIT_PARTIAL if any(outcome.state == "no results" for outcome in outcomes) else cli.EXIT_OK


def _say_what_would_happen(outcomes: list[Outcome], args: argparse.Namespace) -> int:
    wanted = [max(0, args.max - outcome.there) for outcome in outcomes]
    for outcome, missing in zip(outcomes, wanted, strict=True):
        print(f"{outcome.name}: {outcome.phrase}: {missing} to collect, {outcome.there} there")
    print(f"{len(outcomes)} phrases, at most {sum(wanted)} pictures from {args.search}")
    print("dry run: nothing was sent or written")
    return cli.EXIT_OK


def _say_what_happened(outcomes: list[Outcome], collection: Collection, args: argparse.Namespace) -> None:
    for outcome in outcomes:
        reasons = ", ".join(f"{count} {why}" for why, count in outcome.reasons.items())
        without = f"; without a picture: {reasons}" if reasons else ""
        print(f"{outcome.name}: {outcome.phrase}: {outcome.new} new ({outcome.state}){without}")
    empty = sum(outcome.state == "no results" for outcome in outcomes)
    if empty:
        phrases = f"{empty} of {len(outcomes)} phrases"
        print(f"warning: {args.search} gave no results for {phrases}: see --help about the engines", file=sys.stderr)
    if counts := ", ".join(f"{count} {name}" for name, count in collection.counts().items()):
        print(f"{args.out}: {counts}; where each is from: {args.out / 'provenance.csv'}")
        print("next:", shell_line("mask-detector", "clean", args.out / "images", "--out", "photos"))


def _phrase(text: str) -> Phrase:
    name, _, phrase = (part.strip() for part in text.partition("="))
    if not phrase or not CLASS.fullmatch(name):
        raise argparse.ArgumentTypeError(f"{text!r} is not CLASS=PHRASE, such as with_mask=nurse")
    return name, phrase


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds")
    return value


if __name__ == "__main__":
    sys.exit(main())
