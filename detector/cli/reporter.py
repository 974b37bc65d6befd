"""What a run says of what it finds: a line for each image, one line that changes for videos and cameras, a summary."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from detector.cli import some
from detector.detections import CLASSES, Detections
from detector.media.frames import Frame, Source, StillSource

__all__ = ["Reporter", "Summary"]

LIVE_LINE_S = 0.2  # how often the live line changes on a terminal
PLAIN_LINE_S = 10.0  # how often a line is written where there is no terminal


@dataclass
class Summary:
    """What a run did with a source: frames seen, faces found by class, and the seconds that it took.

    ``rested`` of the frames showed nobody and no change: there the network did not look (:mod:`detector.media.rest`).
    With a tracker also ``people``, its counts: how many people there were, by class.
    """

    frames: int = 0
    with_mask: int = 0
    without_mask: int = 0
    seconds: float = 0.0
    rested: int = 0
    people: dict[str, int] | None = None

    @property
    def fps(self) -> float:
        """Frames per second over the whole run."""
        return self.frames / self.seconds if self.seconds > 0 else 0.0

    def rest(self) -> None:
        """Count one frame at which the network did not look."""
        self.rested += 1

    def add(self, detections: Detections, seconds: float) -> None:
        """Count one frame more, which was done so many seconds after the start."""
        self.frames += 1
        self.with_mask += detections.count("with_mask")
        self.without_mask += detections.count("without_mask")
        self.seconds = seconds


class Reporter:
    """Says what is found in the frames of a source, or of several.

    Args:
        sources: the open sources.
        summaries: the counts of each, which grow meanwhile.
        out: where the words go.
    """

    def __init__(self, sources: Sequence[Source], summaries: Sequence[Summary], out: TextIO) -> None:
        self.sources, self.summaries, self.out, self.tty = sources, summaries, out, out.isatty()
        self.recent: list[float] = []
        self.last = time.perf_counter()

    def __call__(self, source: int, frame: Frame, detections: Detections) -> None:
        """Say what is in a frame of this source, if it is time to."""
        faces = [f"{detections.count(name)} {name}" for name in CLASSES if detections.count(name)]
        words = f"{some(len(detections), 'face')}: {', '.join(faces)}" if faces else "no face"
        if isinstance(self.sources[source], StillSource):
            print(f"{frame.name}: {words}", file=self.out)
            return
        now = time.perf_counter()
        self.recent = [moment for moment in self.recent if now - moment < 2] + [now]
        if now - self.last < (LIVE_LINE_S if self.tty else PLAIN_LINE_S):
            return
        self.last = now
        span = now - self.recent[0]
        fps = (len(self.recent) - 1) / span if span > 0 else 0.0
        line = f"frame {' + '.join(map(self._done, range(len(self.sources))))}  {fps:.1f} fps  {words}"
        print(f"\r\033[K{line}" if self.tty else line, end="" if self.tty else "\n", file=self.out, flush=True)

    def close(self) -> None:
        """The summary, also of a run that was stopped."""
        if self.tty and self.recent:
            print(file=self.out)
        for source, summary in zip(self.sources, self.summaries, strict=True):
            whose = f"{source.name}: " if len(self.sources) > 1 else ""
            print(f"{whose}{_words(source, summary)}", file=self.out)

    def _done(self, index: int) -> str:
        summary, length = self.summaries[index], self.sources[index].length
        done = f"{summary.frames}/{length}" if length else str(summary.frames)
        return f"{done} ({summary.rested} at rest)" if summary.rested else done


def _words(source: Source, summary: Summary) -> str:
    """One source's line of the summary."""
    still = isinstance(source, StillSource)
    failures = len(source.failures) if still else 0
    counts = summary.people or {name: getattr(summary, name) for name in CLASSES}
    total = sum(counts.values())
    found = some(total, "face") if summary.people is None else "1 person" if total == 1 else f"{total} people"
    return (
        f"{some(summary.frames, 'image' if still else 'frame')} in {summary.seconds:.1f} s ({summary.fps:.1f} fps): "
        + ", ".join([found, *(f"{count} {name}" for name, count in counts.items())])
        + (f"; at rest in {some(summary.rested, 'frame')}" if summary.rested else "")
        + (f"; {some(failures, 'file')} could not be read" if failures else "")
        + (f"; lost {some(source.losses, 'time')}" if source.losses else "")
    )
