"""``mask-detector run``: faces with and without a mask in images, a video, a webcam or a stream."""

from __future__ import annotations

import argparse
import contextlib
import logging
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from detector import cli
from detector.cli.flags import add_engine_flags, add_flags, engine_from
from detector.detections import CLASSES, Detections
from detector.errors import OutputError
from detector.media.encode import VideoSink
from detector.media.frames import Frame, Source, StillSource
from detector.media.images import Image
from detector.media.records import CsvSink, JsonLinesSink
from detector.media.sinks import ImageSink, Sink, WindowSink
from detector.media.sources import open_source

__all__ = ["Summary", "main", "run"]

log = logging.getLogger("detector.run")

EXAMPLES = """\
  mask-detector run --source 0                       webcam, in a window (q or Esc closes it)
  mask-detector run --source photos/ --save out      annotated copies of a folder's images
  mask-detector run --source door.mp4 --save out --csv faces.csv
  mask-detector run --source rtsp://camera/stream --json - | your-program
"""

LIVE_LINE_S = 0.2  # how often the live line changes on a terminal
PLAIN_LINE_S = 10.0  # how often a line is written where there is no terminal


@dataclass
class Summary:
    """What a run did: frames seen, faces found by class, and the seconds that it took."""

    frames: int = 0
    with_mask: int = 0
    without_mask: int = 0
    seconds: float = 0.0

    @property
    def fps(self) -> float:
        """Frames per second over the whole run."""
        return self.frames / self.seconds if self.seconds > 0 else 0.0


def run(
    frames: Iterable[Frame],
    engine: Callable[[Image], Detections],
    sinks: Sequence[Sink] = (),
    on_frame: Callable[[Frame, Detections, Summary], None] | None = None,
) -> Summary:
    """Find the faces of every frame and hand them to every sink, until the frames or a window's viewer end it.

    Args:
        frames: an open source, or any frames.
        engine: a loaded engine, or anything else that turns an image into detections.
        sinks: where results go, already entered.
        on_frame: called after each frame with the counts so far.

    Returns:
        The counts of the whole run.

    Raises:
        SourceError: the source broke off.
        OutputError: a result cannot be written.
    """
    summary, started = Summary(), time.perf_counter()
    for frame in frames:
        detections = engine(frame.image)
        for sink in sinks:
            sink.write(frame, detections)
        summary.frames += 1
        summary.with_mask += detections.count("with_mask")
        summary.without_mask += detections.count("without_mask")
        summary.seconds = time.perf_counter() - started
        if on_frame:
            on_frame(frame, detections, summary)
        if any(sink.closed for sink in sinks):
            break
    return summary


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    return cli.run_command(build_parser(), _command, argv)


def build_parser() -> argparse.ArgumentParser:
    """The flags of ``mask-detector run``."""
    parser = cli.make_parser("run", "Find faces and say who wears a mask.", EXAMPLES)
    add_flags(parser, "--source")
    add_engine_flags(parser)
    group = parser.add_argument_group("results")
    add_flags(group, "--save")
    add_flags(group, "--json", help="write JSON Lines, one object per frame (- for stdout)")
    add_flags(group, "--csv")
    group.add_argument(
        "--show",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="show a window (default: for cameras, streams and videos that are not saved)",
    )
    return parser


def _command(args: argparse.Namespace) -> int:
    with contextlib.ExitStack() as stack:
        engine = stack.enter_context(engine_from(args))
        source = stack.enter_context(open_source(args.source))
        reporter = _Reporter(source, sys.stderr if "-" in (args.json, args.csv) else sys.stdout)
        stack.callback(reporter.close)  # after the sinks: the summary stands below what they say
        sinks = [stack.enter_context(sink) for sink in _result_sinks(args, source)]
        window = _window(args, source)
        if window:
            sinks.append(stack.enter_context(window))
        run(source, engine, sinks, reporter)
        if window and isinstance(source, StillSource):
            window.wait()
    return cli.EXIT_PARTIAL if source.failures else cli.EXIT_OK


def _result_sinks(args: argparse.Namespace, source: Source) -> list[Sink]:
    sinks: list[Sink] = []
    if args.json:
        sinks.append(JsonLinesSink(args.json))
    if args.csv:
        sinks.append(CsvSink(args.csv))
    if args.save and isinstance(source, StillSource):
        sinks.append(ImageSink(args.save))
        log.info("saving to %s", args.save)
    elif args.save:
        name = source.name if source.is_live or "://" in source.name else Path(source.name).stem
        if name == source.name:  # no file has given it a name: the address, or the camera, and the time
            name = re.sub(r"\W+", "_", name.partition("://")[2] or name).strip("_") + time.strftime("_%Y%m%d_%H%M%S")
        video = VideoSink(args.save / f"{name}.mp4", source.fps, sound=getattr(source, "sound", None), free=True)
        sinks.append(video)
        log.info("saving to %s%s", video.path, ", without sound" if source.is_live or "://" in source.name else "")
    return sinks


def _window(args: argparse.Namespace, source: Source) -> WindowSink | None:
    """A window where one is wanted and possible; a run without a screen goes on without it."""
    unattended = args.save or args.json or args.csv or isinstance(source, StillSource)
    if not (args.show if args.show is not None else not unattended):
        return None
    try:
        return WindowSink(f"mask-detector: {source.name}")
    except OutputError as error:
        log.warning("going on without a window: %s", error)
        return None


class _Reporter:
    """Says what is found: a line for each image, one line that changes for a video or camera."""

    def __init__(self, source: Source, out: TextIO) -> None:
        self.source, self.out, self.tty = source, out, out.isatty()
        self.unit = "image" if isinstance(source, StillSource) else "frame"
        self.summary = Summary()
        self.recent: list[float] = []
        self.last = time.perf_counter()

    def __call__(self, frame: Frame, detections: Detections, summary: Summary) -> None:
        self.summary = summary
        faces = [f"{detections.count(name)} {name}" for name in CLASSES if detections.count(name)]
        words = f"{_some(len(detections), 'face')}: {', '.join(faces)}" if faces else "no face"
        if self.unit == "image":
            print(f"{frame.name}: {words}", file=self.out)
            return
        now = time.perf_counter()
        self.recent = [moment for moment in self.recent if now - moment < 2] + [now]
        if now - self.last < (LIVE_LINE_S if self.tty else PLAIN_LINE_S):
            return
        self.last = now
        span = now - self.recent[0]
        fps = (len(self.recent) - 1) / span if span > 0 else 0.0
        done = f"{summary.frames}/{self.source.length}" if self.source.length else str(summary.frames)
        line = f"frame {done}  {fps:.1f} fps  {words}"
        print(f"\r\033[K{line}" if self.tty else line, end="" if self.tty else "\n", file=self.out, flush=True)

    def close(self) -> None:
        """The summary, also of a run that was stopped."""
        summary, failures = self.summary, len(self.source.failures)
        if self.tty and self.unit == "frame" and self.recent:
            print(file=self.out)
        print(
            f"{_some(summary.frames, self.unit)} in {summary.seconds:.1f} s ({summary.fps:.1f} fps): "
            f"{_some(summary.with_mask + summary.without_mask, 'face')}, "
            f"{summary.with_mask} with_mask, {summary.without_mask} without_mask"
            + (f"; {_some(failures, 'file')} could not be read" if failures else ""),
            file=self.out,
        )


def _some(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"


if __name__ == "__main__":
    sys.exit(main())
