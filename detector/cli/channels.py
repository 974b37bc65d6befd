"""The loop of a run: frames of one source or several in turns, looked at and handed to their sinks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from detector.cli.reporter import Summary
from detector.detections import Detections
from detector.media.frames import Frame, Source
from detector.media.images import Image
from detector.media.sinks import Sink
from detector.media.turns import in_turns

__all__ = ["Channel", "run", "run_channels"]


@dataclass
class Channel:
    """A source, what looks at its frames, and where its results go.

    Args:
        source: an open source, or any frames.
        look: finds the faces of a frame; each channel has its own, for it remembers the frames before.
        sinks: entered already; several channels may share one.
        summary: what was done so far.
        every: only each so-many-th frame is looked at, the first of all.
    """

    source: Iterable[Frame]
    look: Callable[[Frame], Detections]
    sinks: Sequence[Sink] = ()
    summary: Summary = field(default_factory=Summary)
    every: int = 1

    def work(self, frame: Frame) -> Detections:
        """Find the faces of one frame and hand them to every sink."""
        detections = self.look(frame)
        for sink in self.sinks:
            sink.write(frame, detections)
        return detections

    def tell_changes(self) -> None:
        """Tell every sink that the source was lost, or is back."""
        while isinstance(self.source, Source) and self.source.changes:
            change = self.source.changes.popleft()
            for sink in self.sinks:
                sink.source_changed(self.source.name, change)


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
    channel = Channel(frames, lambda frame: engine(frame.image), sinks)
    run_channels([channel], on_frame and (lambda _, frame, detections: on_frame(frame, detections, channel.summary)))
    return channel.summary


def run_channels(channels: Sequence[Channel], on_frame: Callable[[int, Frame, Detections], None] | None = None) -> None:
    """Work through several channels in turns, until all their frames or a window's viewer end it.

    Args:
        channels: their summaries grow meanwhile.
        on_frame: called after each frame with the channel's place among them.

    Raises:
        SourceError: the only source broke off; one of several is logged and left out.
        OutputError: a result cannot be written.
    """
    started = time.perf_counter()
    sinks = {id(sink): sink for channel in channels for sink in channel.sinks}.values()
    for turn in in_turns([channel.source for channel in channels]):
        for channel in channels:
            channel.tell_changes()
        if turn is None:
            for sink in sinks:
                sink.idle()
        else:
            index, frame = turn
            if frame.index % channels[index].every:
                continue
            detections = channels[index].work(frame)
            channels[index].summary.add(detections, time.perf_counter() - started)
            if on_frame:
                on_frame(index, frame, detections)
        if any(sink.closed for sink in sinks):
            break
