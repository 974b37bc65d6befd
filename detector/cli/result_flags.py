"""Where the results of a run go: its flags, and the sinks that they name."""

from __future__ import annotations

import argparse
import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from detector.cli.flags import add_flags
from detector.detections import CLASSES
from detector.errors import OutputError
from detector.media.blur import BlurSink
from detector.media.encode import VideoSink
from detector.media.frames import Source, StillSource
from detector.media.records import CsvSink, JsonLinesSink
from detector.media.sinks import CropSink, ImageSink, Sink
from detector.media.window import WindowSink
from detector.tracking import Tracker
from detector.tracking.events import EventSink
from detector.tracking.snapshots import SnapshotSink

__all__ = ["add_result_flags", "blurred", "own_sinks", "refuse_sources", "shared_sinks", "window_from"]

log = logging.getLogger(__name__)


def add_result_flags(parser: argparse.ArgumentParser) -> None:
    """``--save``, ``--json`` and the others of where results go."""
    group = parser.add_argument_group("results")
    add_flags(group, "--save")
    add_flags(group, "--json", help="write JSON Lines, one object per frame (- for stdout)")
    add_flags(group, "--csv")
    group.add_argument("--crops", type=Path, metavar="FOLDER", help="write each face here, in a folder of its class")
    group.add_argument(
        "--only",
        choices=CLASSES,
        help="draw, write and count only faces of this class; images without one are not saved",
    )
    add_flags(group, "--track")
    group.add_argument(
        "--events",
        metavar="FILE",
        help="write JSON Lines, one when a person appears, changes verdict or leaves, or a source is lost or back "
        "(- for stdout); with --track",
    )
    group.add_argument(
        "--snapshots", type=Path, metavar="FOLDER", help="write one picture of each person here; with --track"
    )
    group.add_argument(
        "--blur", action="store_true", help="make faces unrecognisable in everything that is saved or shown"
    )
    group.add_argument(
        "--rest",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="let the network rest while nobody is there and nothing moves (default: for cameras and streams)",
    )
    group.add_argument(
        "--show",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="show a window (default: for cameras, streams and videos that are not saved)",
    )


def shared_sinks(args: argparse.Namespace, trackers: Mapping[str, Tracker]) -> Iterator[Sink]:
    """What is written of all sources together, each line with the name of its own.

    Args:
        args: the flags.
        trackers: of each source, by its name.

    Raises:
        OutputError: a file exists, or cannot be made.
    """
    if args.json:
        yield JsonLinesSink(args.json)
    if args.csv:
        yield CsvSink(args.csv)
    if args.events:
        yield EventSink(args.events, trackers)


def refuse_sources(args: argparse.Namespace, sources: Sequence[Source]) -> None:
    """Keep results apart from what is read: the next run would take them for images.

    Raises:
        OutputError: a flag names a folder that images are read from.
    """
    for flag in ("save", "crops", "snapshots"):
        folder = getattr(args, flag)
        for source in sources if folder else ():
            if isinstance(source, StillSource) and source.reads_from(folder):
                raise OutputError(f"--{flag} {folder}: {source.name} is read from there: choose another folder")


def own_sinks(args: argparse.Namespace, source: Source) -> Iterator[Sink]:
    """The annotated copies, the crops and the snapshots of one source."""
    if args.save and isinstance(source, StillSource):
        yield ImageSink(args.save, empty=not args.only)
    elif args.save:
        path = args.save / f"{_stem(source)}.mp4"
        video = VideoSink(path, source.fps, sound=getattr(source, "sound", None), free=True)
        log.info("saving to %s%s", video.path, ", without sound" if source.is_live or "://" in source.name else "")
        yield video
    if args.crops:
        yield CropSink(args.crops)
    if args.snapshots:
        yield SnapshotSink(args.snapshots, _stem(source))


def blurred(source: Source, saved: Sequence[Sink], shown: Sequence[Sink]) -> BlurSink:
    """What hides the faces of one source in its copies and its window; that of a file can wait as they do."""
    return BlurSink(saved, shown) if source.is_live else BlurSink([*saved, *shown])


def _stem(source: Source) -> str:
    """What the names of a source's files begin with."""
    name = source.name if source.is_live or "://" in source.name else Path(source.name).stem
    if name == source.name:  # no file has given it a name: the address, or the camera, and the time
        name = re.sub(r"\W+", "_", name.partition("://")[2] or name).strip("_") + time.strftime("_%Y%m%d_%H%M%S")
    return name


def window_from(args: argparse.Namespace, sources: Sequence[Source]) -> WindowSink | None:
    """A window where one is wanted and possible; a run without a screen goes on without it."""
    unattended = any((args.save, args.json, args.csv, args.crops, args.events, args.snapshots)) or all(
        isinstance(source, StillSource) for source in sources
    )
    if not (args.show if args.show is not None else not unattended):
        return None
    try:
        return WindowSink(f"mask-detector: {sources[0].name if len(sources) == 1 else f'{len(sources)} sources'}")
    except OutputError as error:
        log.warning("going on without a window: %s", error)
        return None
