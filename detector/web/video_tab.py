"""The video tab: every frame through the engine, an H.264 copy with the faces marked, and what happened when."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import cv2
import gradio as gr
import numpy as np

from detector.detections import Detections
from detector.errors import DetectorError, OutputError, SourceError
from detector.evaluation.charts import Chart, draw_chart
from detector.media.encode import VideoSink
from detector.media.frames import Frame, Source
from detector.media.records import CsvSink
from detector.media.sinks import Annotator
from detector.media.video import VideoSource
from detector.web.answers import problem
from detector.web.engine_pool import EnginePool, filter_detections
from detector.web.fields import Upload
from detector.web.sessions import Visitor, Visitors, owner_of
from detector.web.uploads import MEGABYTE

__all__ = ["MAX_BYTES", "MAX_SECONDS", "MAX_SIDE", "VideoTab", "timeline"]

log = logging.getLogger(__name__)

MAX_SECONDS = 120
MAX_BYTES = 200 * MEGABYTE
MAX_SIDE = 4096
"""Limits of a video: longer, heavier or larger ones would keep the others waiting."""

FILM_SIDE = 1920
"""Longest side of the annotated copy, px; larger videos are looked at as they are and shown scaled down."""

MAX_FRAME_PIXELS = MAX_SIDE * 2304  # 4K of every usual shape; a decoder holds a dozen frames

MAX_HEAD = 10_000_000
"""Bytes that a video may need to say what is in it: FFmpeg makes up to forty times as many of them."""

POINTS = 60
"""The timeline has at most so many points for each kind of face."""

REPORT_S = 0.5
OWN_COMPUTER = "cut it, or run it on your own computer: python -m detector.run --source VIDEO --save out"

Answer = tuple[str, str | None, str, Any]
"""A line in words, the annotated video, the timeline as HTML, the CSV file's button."""


Counts = list[tuple[float, int, int]]
"""Of each frame: seconds, faces with a mask, faces without."""


class VideoTab:
    """Answers the video tab's events.

    Args:
        bench: the engines.
        visitors: who keeps which video.
    """

    def __init__(self, bench: EnginePool, visitors: Visitors) -> None:
        self.bench, self.visitors = bench, visitors

    def take(self, upload: Upload | None, request: gr.Request) -> Answer:
        """Another video, or none any more: the last result goes."""
        visitor = self.visitors.meet(request.session_hash, owner_of(request))
        visitor.stop.set()
        self.visitors.hold(visitor, "video", upload.path if upload else None)
        return _nothing("")

    def cancel(self, request: gr.Request) -> None:
        """Stop after the frame that is worked on; what is done until then is shown."""
        self.visitors.meet(request.session_hash, owner_of(request)).stop.set()

    def watch(
        self,
        upload: Upload | None,
        engine: str,
        conf: float,
        overlap: float,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio is asked for it
    ) -> Iterator[Answer]:
        """Work through the video; the page is told of progress, and of the end."""
        if upload is None or upload.path is None:
            yield _nothing(problem("There is no video yet: choose one first"))
            return
        with self.visitors.working(request.session_hash, owner_of(request)) as visitor:
            self.visitors.hold(visitor, "video", upload.path)  # a program sends it here and nowhere else
            visitor.stop.set()  # what is still under way for this page
            with visitor.busy:
                visitor.stop.clear()
                if visitor.gone:  # the page was closed while this waited
                    visitor.stop.set()
                try:
                    answer = self._watch(visitor, upload, engine, (conf, overlap), progress)
                except (OSError, OutputError):  # whose messages have paths of this computer
                    log.exception("a result cannot be written")
                    answer = _nothing(problem(f"{upload.name}: there is no room for its result here: try again later"))
                except DetectorError as error:
                    answer = _nothing(problem(str(error)))
        yield answer

    def _watch(
        self, visitor: Visitor, upload: Upload, engine: str, limits: tuple[float, float], progress: gr.Progress
    ) -> Answer:
        assert upload.path is not None  # noqa: S101 - looked at above
        _check_bytes(upload)
        counts: Counts = []
        began = time.monotonic()
        source = VideoSource(f"file:{upload.path}", upload.name, max_pixels=MAX_FRAME_PIXELS, max_head=MAX_HEAD)
        with source:
            _check_length(source, upload.name)
            folder = self.visitors.folder(visitor)
            stem = Path(upload.name).stem.encode()[:80].decode(errors="ignore") or "video"
            film, table = folder / f"{stem}-masks.mp4", folder / f"{stem}-masks.csv"
            annotate, reported = Annotator(), 0.0
            with VideoSink(film, source.fps, annotate) as video, CsvSink(table) as rows:
                for frame in source:
                    if visitor.stop.is_set() or (frame.time or 0.0) > MAX_SECONDS + 1:
                        break
                    if not counts:
                        _check_side(frame, upload.name)
                    found = filter_detections(self.bench.look(frame.image, engine, patient=True).found, *limits)
                    video.write(*_film_size(frame, found))
                    rows.write(frame, found)
                    counts.append((frame.time or 0.0, found.count("with_mask"), found.count("without_mask")))
                    if time.monotonic() - reported > REPORT_S:
                        reported = time.monotonic()
                        progress((len(counts), source.length), desc="Looking for faces", unit="frames")
        if not counts:
            return _nothing('<p class="sentence" role="status">Stopped before the first picture.</p>')
        words = _describe(counts, source, time.monotonic() - began, cancelled=visitor.stop.is_set())
        return words, str(film), timeline(counts), gr.DownloadButton(value=str(table), interactive=True)


def _nothing(words: str) -> Answer:
    """An answer without a result."""
    return words, None, "", gr.DownloadButton(value=None, interactive=False)


def _check_bytes(upload: Upload) -> None:
    assert upload.path is not None  # noqa: S101
    try:
        size = upload.path.stat().st_size
    except OSError as error:
        raise SourceError(f"{upload.name}: is no longer here: choose it again") from error
    if not size:
        raise SourceError(f"{upload.name}: the file is empty: choose another one")
    if size > MAX_BYTES:
        raise SourceError(
            f"{upload.name}: {size / MEGABYTE:.0f} MB are too much for this page (at most {MAX_BYTES // MEGABYTE}): "
            f"{OWN_COMPUTER}"
        )


def _check_length(source: Source, name: str) -> None:
    seconds = float(source.length / source.fps) if source.length and source.fps else 0.0
    if seconds > MAX_SECONDS + 1:
        raise SourceError(
            f"{name}: {seconds:.0f} seconds are too long for this page (at most {MAX_SECONDS}): {OWN_COMPUTER}"
        )


def _check_side(frame: Frame, name: str) -> None:
    height, width = frame.image.shape[:2]
    if max(height, width) > MAX_SIDE:
        raise SourceError(f"{name}: {width} x {height} pixels are too large for this page: {OWN_COMPUTER}")


def _film_size(frame: Frame, found: Detections) -> tuple[Frame, Detections]:
    """A frame and its faces as large as the copy shows them: an encoder takes 1.2 GB for 4K."""
    height, width = frame.image.shape[:2]
    scale = FILM_SIDE / max(height, width)
    if scale >= 1:
        return frame, found
    size = (max(1, round(scale * width)), max(1, round(scale * height)))
    image = cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    return replace(frame, image=image), replace(found, xyxy=found.xyxy * np.float32(scale))


def _describe(counts: Counts, source: VideoSource, took: float, *, cancelled: bool) -> str:
    seen = len(counts)
    most = max(masked + bare for _, masked, bare in counts)
    share = sum(bare > 0 for _, _, bare in counts) / seen
    words = f"{_count(seen, 'frame')}: no face found"
    if most:
        words = f"{_count(seen, 'frame')}, at most {_count(most, 'face')} at once: without a mask in {share:.0%} of all"
    notes = [f"{seen / took:.0f} frames a second."]
    if cancelled:
        notes.insert(0, f"Stopped at {_clock(counts[-1][0])}: this is what was done until then.")
    elif counts[-1][0] > MAX_SECONDS:
        notes.insert(0, f"Only the first {MAX_SECONDS} seconds were looked at: {OWN_COMPUTER}.")
    elif source.damaged or (source.length and seen < 0.98 * source.length):
        whole = f" of {source.length}" if source.length else ""
        notes.insert(0, f"The video is damaged or cut short: {seen}{whole} frames could be read.")
    return f'<p class="sentence" role="status">{escape(words)}</p><p class="note">{escape(" ".join(notes))}</p>'


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def timeline(counts: Counts) -> str:
    """Most faces of each kind over time, as an ``<svg>``; (seconds, with a mask, without) for each frame."""
    end = max(counts[-1][0], 1.0)
    points: dict[int, tuple[int, int]] = {}
    for seconds, masked, bare in counts:
        slot = min(int(POINTS * max(seconds, 0.0) / end), POINTS - 1)
        before = points.get(slot, (0, 0))
        points[slot] = (max(before[0], masked), max(before[1], bare))
    lines = {
        name: [((slot + 0.5) * end / POINTS, float(pair[index])) for slot, pair in sorted(points.items())]
        for index, name in enumerate(("faces with a mask", "faces without a mask"))
    }
    chart = Chart("Faces with and without a mask over the video's time", "time", "faces", lines, _time_ticks(end))
    return f'<div class="timeline">{draw_chart(chart)}</div>'


def _time_ticks(end: float) -> dict[float, str]:
    """At most nine round moments, from the beginning."""
    step = next((seconds for seconds in (1, 2, 5, 10, 15) if end / seconds < 8), 30)
    return {float(moment): _clock(moment) if end >= 60 else f"{moment} s" for moment in range(0, int(end) + 1, step)}


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
