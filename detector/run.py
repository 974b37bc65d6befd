"""``mask-detector run``: faces with and without a mask in images, a video, a webcam or a stream."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from detector import cli
from detector._heap import return_memory
from detector.cli.channels import Channel, run, run_channels
from detector.cli.flags import add_engine_flags, add_flags, engine_from, positive, seconds
from detector.cli.reporter import Reporter, Summary
from detector.cli.result_flags import (
    add_result_flags,
    blurred,
    own_sinks,
    refuse_sources,
    shared_sinks,
    window_from,
)
from detector.cores import available_cores
from detector.detections import CLASSES, Detections
from detector.errors import SourceError
from detector.media.blur import WEAK
from detector.media.frames import Frame, Source, StillSource
from detector.media.rest import Rest
from detector.media.sinks import Sink
from detector.media.sources import open_sources
from detector.media.wall import tiles
from detector.tracking import Tracker
from detector.tracking.look import Look

if TYPE_CHECKING:
    from detector.engines import Engine
    from detector.engines.ahead import Ahead

__all__ = ["Channel", "Summary", "main", "run", "run_channels"]

EXAMPLES = """\
  mask-detector run --source 0                       webcam, in a window (q or Esc closes it)
  mask-detector run photos/ --save out               annotated copies of a folder's images
  mask-detector run door.mp4 --save out --csv faces.csv
  mask-detector run 0 --events door.jsonl --snapshots people     who comes, with and without a mask
  mask-detector run inbox/ --watch --only without_mask --crops faces     each image that is put there, as it comes
  mask-detector run rtsp://camera/stream --json - | your-program
  mask-detector run --source rtsp://front/1 --source rtsp://back/1 --csv faces.csv     both, in one window
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    return cli.run_command(build_parser(), _command, argv)


def build_parser() -> argparse.ArgumentParser:
    """The flags of ``mask-detector run``."""
    parser = cli.make_parser("run", "Find faces and say who wears a mask.", EXAMPLES)
    parser.add_argument("sources", nargs="*", metavar="WHAT", help="as --source")
    add_flags(parser, "--source")
    parser.add_argument(
        "--reconnect",
        type=seconds,
        default=600,
        metavar="SECONDS",
        help="how long a camera or stream that drops is tried again (inf: for ever)",
    )
    parser.add_argument("--every", type=positive, default=1, metavar="N", help="look at every Nth frame or image only")
    parser.add_argument(
        "--watch", action="store_true", help="of folders: go on with each image that is put there, until Ctrl-C"
    )
    add_engine_flags(parser)
    add_result_flags(parser)
    return parser


def _command(args: argparse.Namespace) -> int:
    with contextlib.ExitStack() as stack:
        engine = stack.enter_context(engine_from(args))
        conf = engine.conf
        if args.blur:
            engine.conf = min(conf, WEAK)
        wanted = [*args.sources, *(args.source or [])] or ["0"]
        sources = [stack.enter_context(source) for source in open_sources(wanted, args.reconnect, args.watch)]
        refuse_sources(args, sources)
        if any(source.is_live for source in sources):
            return_memory()  # of each reconnection a little would be left, in heaps with holes
        ahead = stack.enter_context(_ahead(args, engine))
        rests = [Rest() if (source.is_live if args.rest is None else args.rest) else None for source in sources]
        for source, rest in zip(sources, rests, strict=True):
            if not rest:
                ahead.follow(source, args.every)
            _thin(source, args.every)
        trackers = [_tracker(args, source) for source in sources]
        summaries = [Summary(people=tracker.counts if tracker else None) for tracker in trackers]
        taken = "-" in (args.json, args.csv, args.events)
        reporter = Reporter(sources, summaries, sys.stderr if taken else sys.stdout)
        stack.callback(reporter.close)  # after the sinks: the summary stands below what they say
        named = {source.name: tracker for source, tracker in zip(sources, trackers, strict=True) if tracker}
        tables = [stack.enter_context(sink) for sink in shared_sinks(args, named)]
        window = window_from(args, sources)
        shown: Sequence[Sink | None] = [None] * len(sources)
        if window:
            shown = tiles(stack.enter_context(window), [source.name for source in sources])
        channels = []
        for source, tracker, rest, summary, tile in zip(sources, trackers, rests, summaries, shown, strict=True):
            pictures = [stack.enter_context(sink) for sink in own_sinks(args, source)]
            live = [tile] if tile else []
            blur = stack.enter_context(blurred(source, pictures, live)) if args.blur else None
            look = _only(args.only, Look(ahead, conf, tracker=tracker, rest=rest, on_rest=summary.rest, blur=blur))
            sinks = [*tables, *([blur] if blur else [*pictures, *live])]
            channels.append(Channel(source, look, sinks, summary, args.every))
        run_channels(channels, reporter)
        if window and all(isinstance(source, StillSource) for source in sources):
            window.wait()
    return cli.EXIT_PARTIAL if any(source.failures for source in sources) else cli.EXIT_OK


def _ahead(args: argparse.Namespace, engine: Engine) -> Ahead:
    """The engine, and how to have more of it for files that are long enough."""
    from detector.engines.ahead import Ahead
    from detector.engines.session import on_processor

    def another() -> Engine:
        single = engine_from(args, threads=1)
        single.conf = engine.conf
        return single

    return Ahead(engine, another if on_processor(args.device) else None, args.threads or available_cores())


def _only(name: str | None, look: Callable[[Frame], Detections]) -> Callable[[Frame], Detections]:
    """The faces of this class alone, if one is named; the tracker has seen all."""

    def filtered(frame: Frame) -> Detections:
        found = look(frame)
        return found[found.class_id == CLASSES.index(name)] if name else found

    return filtered


def _thin(source: Source, every: int) -> None:
    """What is said of a source of which only each so-many-th frame is used."""
    source.length = source.length and -(-source.length // every)
    source.fps = source.fps and source.fps / every


def _tracker(args: argparse.Namespace, source: Source) -> Tracker | None:
    """Who follows the people of one source, where that is asked for."""
    if not (args.track or args.events or args.snapshots):
        return None
    if isinstance(source, StillSource):
        raise SourceError(f"{source.name}: --track follows people from frame to frame: give it a video or a camera")
    return Tracker()


if __name__ == "__main__":
    sys.exit(main())
