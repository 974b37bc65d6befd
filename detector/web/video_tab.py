"""The video tab: every frame through the engine, an H.264 copy with the faces marked, and what happened when."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from detector.detections import Detections
from detector.errors import DetectorError, OutputError, SourceError
from detector.evaluation.charts import Chart, draw_chart
from detector.media.encode import VideoSink
from detector.media.frames import Frame
from detector.media.records import CsvSink
from detector.media.video import VideoSource
from detector.web.answers import problem, shrink
from detector.web.engine_pool import EnginePool, filter_detections
from detector.web.fields import Upload, controls, undecoded
from detector.web.sessions import Session, Sessions
from detector.web.uploads import MEGABYTE

__all__ = ["MAX_BYTES", "VideoTab"]

log = logging.getLogger(__name__)

MAX_SECONDS = 120
MAX_BYTES = 200 * MEGABYTE
MAX_SIDE = 4096
"""Limits of a video: longer, heavier or larger ones would keep the others waiting."""

COPY_SIDE = 1920
"""Longest side of the annotated copy, px: an encoder takes 1.2 GB for 4K. Larger videos are looked at as they are."""

MAX_FRAME_PIXELS = MAX_SIDE * 2304  # 4K of every usual shape; a decoder holds a dozen frames

MAX_HEAD = 10_000_000
"""Bytes that a video may need to say what is in it: FFmpeg makes up to forty times as many of them."""

POINTS = 60
"""The timeline has at most so many points for each kind of face."""

REPORT_S = 0.5
OWN_COMPUTER = "cut it, or run it on your own computer: mask-detector run --source VIDEO --save out"

Answer = tuple[str, str | None, str, Any]
"""A line in words, the annotated video, the timeline as HTML, the CSV file's button."""


@dataclass(frozen=True)
class Moment:
    """How many faces one frame shows.

    Args:
        seconds: since the video's beginning.
        masked: faces with a mask.
        bare: faces without.
    """

    seconds: float
    masked: int
    bare: int


class VideoTab:
    """The tab's fields, and the answers to its events.

    Args:
        pool: the engines.
        sessions: who keeps which video.
    """

    def __init__(self, pool: EnginePool, sessions: Sessions) -> None:
        self.pool, self.sessions = pool, sessions

    def build(self, conf: float) -> None:
        """Put the fields here; the slider stands at ``conf``."""
        with gr.Row():
            with gr.Column(scale=2, min_width=300):
                label = f"Video, at most {MAX_SECONDS} seconds and {MAX_BYTES // MEGABYTE} MB"
                field = gr.Video(label=label, sources=["upload"], buttons=[], height=300, elem_id="video-in")
                chosen = controls(list(self.pool.names), "video", conf)
                with gr.Row():
                    start = gr.Button("Look for faces", variant="primary", elem_id="video-start")
                    cancel = gr.Button("Stop", elem_id="video-stop")
            with gr.Column(scale=3, min_width=300):
                words = gr.HTML(elem_id="video-words", elem_classes="answer", min_height=40)
                copy = gr.Video(label="Result", interactive=False, buttons=["download"], elem_id="video-out")
                chart = gr.HTML(elem_id="video-chart")
                table = gr.DownloadButton("Save CSV, one row for each face", interactive=False, elem_id="video-csv")
        outputs = [words, undecoded(copy, "video"), chart, table]
        hidden: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        undecoded(field, "video").change(self.take, [field], outputs, **hidden)
        fields = [field, *chosen]
        start.click(self.watch, fields, outputs, api_name="watch", concurrency_limit=2, show_progress_on=[copy])
        cancel.click(self.cancel, None, None, **hidden)

    def take(self, upload: Upload | None, request: gr.Request) -> Answer:
        """Another video, or none any more: the last result goes."""
        session = self.sessions.of(request)
        session.videos += 1  # before the stop: what is worked on is not shown then
        session.stop.set()
        self.sessions.hold(session, "video", upload.path if upload else None)
        if not session.busy.locked():
            self.sessions.hold(session, "result", None)
        return _nothing("")

    def cancel(self, request: gr.Request) -> None:
        """Stop after the frame that is worked on; what is done until then is shown."""
        self.sessions.of(request).stop.set()

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
        session = self.sessions.of(request)
        with self.sessions.working(session):
            self.sessions.hold(session, "video", upload.path)  # a program sends it here and nowhere else
            session.stop.set()  # what is still under way for this page
            videos = session.videos
            with session.busy:
                if not session.gone:  # else the page was closed while this waited
                    session.stop.clear()
                try:
                    answer = self._watch(session, upload.name, upload.path, (engine, conf, overlap), progress)
                except (OSError, OutputError):  # whose messages have paths of this computer
                    log.exception("a result cannot be written")
                    answer = _nothing(problem(f"{upload.name}: there is no room for its result here: try again later"))
                except DetectorError as error:
                    answer = _nothing(problem(str(error)))
                if session.videos != videos:
                    self.sessions.hold(session, "result", None)
                    answer = _nothing("")
        yield answer

    def _watch(
        self, session: Session, name: str, path: Path, chosen: tuple[str, float, float], progress: gr.Progress
    ) -> Answer:
        engine, conf, overlap = chosen
        _check_bytes(name, path)
        began = time.monotonic()
        moments: list[Moment] = []
        source = VideoSource(f"file:{path}", name, max_pixels=MAX_FRAME_PIXELS, max_head=MAX_HEAD)
        with source:
            seconds = float(source.length / source.fps) if source.length and source.fps else 0.0
            if seconds > MAX_SECONDS + 1:
                raise _refusal(name, f"{seconds:.0f} seconds are too long for this page (at most {MAX_SECONDS})")
            stem = Path(name).stem.encode()[:80].decode(errors="ignore") or "video"
            folder, reported = self.sessions.folder(session), 0.0
            copy, table = folder / f"{stem}-masks.mp4", folder / f"{stem}-masks.csv"
            with VideoSink(copy, source.fps, sound=source.sound) as video, CsvSink(table) as rows:
                for frame in source:
                    if session.stop.is_set() or (frame.time or 0.0) > MAX_SECONDS + 1:
                        break
                    height, width = frame.image.shape[:2]
                    if max(height, width) > MAX_SIDE:
                        raise _refusal(name, f"{width} x {height} pixels are too large for this page")
                    found = filter_detections(self.pool.detect(frame.image, engine, patient=True).found, conf, overlap)
                    video.write(*_shrunk(frame, found))
                    rows.write(frame, found)
                    moments.append(Moment(frame.time or 0.0, found.count("with_mask"), found.count("without_mask")))
                    if time.monotonic() - reported > REPORT_S:
                        reported = time.monotonic()
                        progress((len(moments), source.length), desc="Looking for faces", unit="frames")
        if not moments:
            return _nothing('<p class="sentence" role="status">Stopped before the first picture.</p>')
        words = _describe(moments, source, time.monotonic() - began, cancelled=session.stop.is_set())
        return words, str(copy), timeline(moments), gr.DownloadButton(value=str(table), interactive=True)


def _nothing(words: str) -> Answer:
    """An answer without a result."""
    return words, None, "", gr.DownloadButton(value=None, interactive=False)


def _refusal(name: str, reason: str) -> SourceError:
    return SourceError(f"{name}: {reason}: {OWN_COMPUTER}")


def _check_bytes(name: str, path: Path) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise SourceError(f"{name}: is no longer here: choose it again") from error
    if not size:
        raise SourceError(f"{name}: the file is empty: choose another one")


def _shrunk(frame: Frame, found: Detections) -> tuple[Frame, Detections]:
    """A frame and its faces as large as the copy shows them."""
    image, scale = shrink(frame.image, COPY_SIDE)
    if scale == 1.0:
        return frame, found
    return replace(frame, image=image), replace(found, xyxy=found.xyxy * np.float32(scale))


def _describe(moments: list[Moment], source: VideoSource, took: float, *, cancelled: bool) -> str:
    seen = len(moments)
    most = max(each.masked + each.bare for each in moments)
    share = sum(each.bare > 0 for each in moments) / seen
    words = f"{_count(seen, 'frame')}: no face found"
    if most:
        words = f"{_count(seen, 'frame')}, at most {_count(most, 'face')} at once: without a mask in {share:.0%} of all"
    notes = [f"{seen / took:.0f} frames a second."]
    if cancelled:
        notes.insert(0, f"Stopped at {_clock(moments[-1].seconds)}: this is what was done until then.")
    elif moments[-1].seconds > MAX_SECONDS:
        notes.insert(0, f"Only the first {MAX_SECONDS} seconds were looked at: {OWN_COMPUTER}.")
    elif source.damaged or (source.length and seen < 0.98 * source.length):
        whole = f" of {source.length}" if source.length else ""
        notes.insert(0, f"The video is damaged or cut short: {seen}{whole} frames could be read.")
    return f'<p class="sentence" role="status">{escape(words)}</p><p class="note">{escape(" ".join(notes))}</p>'


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def timeline(moments: list[Moment]) -> str:
    """The most faces of each kind over time, as an ``<svg>``."""
    end = max(moments[-1].seconds, 1.0)
    lines = {}
    for name, kind in (("faces with a mask", "masked"), ("faces without a mask", "bare")):
        most: dict[int, int] = {}
        for each in moments:
            slot = min(int(POINTS * max(each.seconds, 0.0) / end), POINTS - 1)
            most[slot] = max(most.get(slot, 0), getattr(each, kind))
        lines[name] = [((slot + 0.5) * end / POINTS, float(count)) for slot, count in sorted(most.items())]
    step = next((seconds for seconds in (1, 2, 5, 10, 15) if end / seconds < 8), 30)
    ticks = {float(moment): _clock(moment) if end >= 60 else f"{moment} s" for moment in range(0, int(end) + 1, step)}
    chart = Chart("Faces with and without a mask over the video's time", "time", "faces", lines, ticks)
    return f'<div class="timeline">{draw_chart(chart)}</div>'


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
