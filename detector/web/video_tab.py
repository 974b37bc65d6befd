"""The video tab: the page starts a job, asks how far it is, and shows what it made.

By server functions alone, as :mod:`detector.web.picture_tab` says why. Programs have one event, ``watch``.
"""

from __future__ import annotations

import base64
import json
import threading
from typing import Any

import gradio as gr

from detector.evaluation.pages import write_page
from detector.media import images
from detector.web.engine_pool import BusyError, EnginePool
from detector.web.fields import Upload, api_fields, control_content, named_upload, number, script, undecoded
from detector.web.sessions import Session, Sessions
from detector.web.uploads import MAX_BYTES, MEGABYTE
from detector.web.video_job import MAX_SECONDS, Moment, VideoJob, Wish

__all__ = ["VideoTab"]

AT_ONCE = 2
"""Videos that are worked on at the same time."""

WAITING = 16
"""Videos that may wait for their turn; a further visitor is told to wait."""

POINTS = 60
"""The timeline has at most so many columns."""


class VideoTab:
    """The tab's view, and the answers to its questions and to those of programs.

    Args:
        pool: the engines.
        sessions: who keeps which video.
    """

    def __init__(self, pool: EnginePool, sessions: Sessions) -> None:
        self.pool, self.sessions = pool, sessions
        self._turn = threading.BoundedSemaphore(AT_ONCE)
        self._room = threading.BoundedSemaphore(AT_ONCE + WAITING)

    def build(self, conf: float) -> None:
        """Put the view here; its slider stands at ``conf``."""

        def start(message: Any, request: gr.Request) -> dict[str, Any]:
            return self.start(message, self.sessions.asking(request, message))

        def progress(message: Any, request: gr.Request) -> dict[str, Any]:
            return self.progress(message, self.sessions.asking(request, message))

        def cancel(message: Any, request: gr.Request) -> dict[str, Any]:
            self.sessions.asking(request, message).stop.set()  # what is done until then is shown
            return {}

        def forget(message: Any, request: gr.Request) -> dict[str, Any]:
            self.forget(self.sessions.asking(request, message))
            return {}

        engines = list(self.pool.names)
        limits = {"seconds": MAX_SECONDS, "megabytes": MAX_BYTES // MEGABYTE}
        settings = json.dumps({"most": MAX_BYTES})
        view = write_page("web/video.html", settings=settings, **limits, **control_content(engines, conf))
        ask, code = [start, progress, cancel, forget], script("video")
        gr.HTML(view, js_on_load=code, server_functions=ask, apply_default_css=False, elem_id="video")
        with gr.Row(visible=False):  # for programs
            field, chosen, begin = gr.Video(), api_fields(engines, conf), gr.Button()
            outputs = [gr.HTML(), undecoded(gr.Video(), "video"), undecoded(gr.File(), "table")]
        asked = [undecoded(field, "video"), *chosen]
        begin.click(self.watch, asked, outputs, api_name="watch", concurrency_limit=AT_ONCE)

    def start(self, message: object, session: Session) -> dict[str, Any]:
        """Begin with a video, instead of the one before.

        Args:
            message: ``path`` of an upload and its ``name``, ``engine``, ``conf``, ``overlap``, ``hide``.
            session: who asks.

        Returns:
            ``started``; or ``gone``: send the file again; or ``wait`` with the reason.
        """
        asked = message if isinstance(message, dict) else {}
        upload = named_upload(asked, self.sessions.store, "video")
        if upload is None:
            return {"gone": True}
        conf, overlap = number(asked.get("conf")), number(asked.get("overlap"))
        wish = Wish(str(asked.get("engine", "")), conf, overlap, asked.get("hide") is True)
        try:
            job = self._begin(session, upload, wish)
        except BusyError as error:
            return {"wait": str(error)}
        threading.Thread(target=self._work_for_page, args=(job, session), name="video", daemon=True).start()
        return {"started": True}

    def progress(self, message: object, session: Session) -> dict[str, Any]:
        """How far the session's video is.

        Args:
            message: ``done``, how many frames the page has heard of.
            session: who asks.

        Returns:
            ``waiting``; or ``done``, ``total`` and ``left_s``, which may be None, and ``jpeg``, the newest frame in
            base64; or ``gone``, or ``error`` with the reason; or, when it is over, ``words``, ``note``, the paths of
            ``film`` and ``table``, ``seconds`` and ``columns``, see :func:`columns`.
        """
        job = session.job
        if job is None:
            return {"gone": True}
        if job.problem:
            return {"error": job.problem}
        if job.over:
            files = {"film": str(job.film or ""), "table": str(job.table or "")}
            seconds = job.moments[-1].seconds if job.moments else 0.0
            return {"words": job.words, "note": job.note, **files, "seconds": seconds, "columns": columns(job.moments)}
        if job.began is None:
            return {"waiting": True}
        done, known = len(job.moments), message.get("done") if isinstance(message, dict) else None
        image = job.preview() if done != known else None
        jpeg = None if image is None else base64.b64encode(images.encode(image, ".jpg", 70)).decode()
        return {"done": done, "total": job.total, "left_s": job.left_s(), "jpeg": jpeg}

    def forget(self, session: Session) -> None:
        """The session's video is no longer wanted, nor what became of it."""
        session.stop.set()
        session.job = None
        self.sessions.hold(session, "video", None)
        if not session.busy.locked():
            self.sessions.hold(session, "result", None)

    def watch(
        self, upload: Upload | None, engine: str, conf: float, overlap: float, request: gr.Request
    ) -> tuple[str, str | None, str | None]:
        """Work through a program's video: one line in words, the copy and the CSV file."""
        if upload is None or upload.path is None:
            return "problem: there is no video: send one", None, None
        session = self.sessions.of(request)
        try:
            job = self._begin(session, upload, Wish(engine, conf, overlap))
        except BusyError as error:
            return f"problem: {error}", None, None
        self._work(job, session)
        if job.problem or session.job is not job or job.film is None:
            return f"problem: {job.problem}" if job.problem else job.words, None, None
        return f"{job.words} ({job.note})", str(job.film), str(job.table)

    def _begin(self, session: Session, upload: Upload, wish: Wish) -> VideoJob:
        if not self._room.acquire(blocking=False):
            raise BusyError("Too many videos wait already")
        try:
            job = VideoJob(self.pool, upload, wish)
        except BaseException:
            self._room.release()
            raise
        session.stop.set()  # what is still under way for this page
        session.stop, session.job = job.stop, job
        self.sessions.hold(session, "video", upload.path)
        return job

    def _work_for_page(self, job: VideoJob, session: Session) -> None:
        self._work(job, session)
        if not session.open:  # its connection was lost: nobody would notice that it is closed
            self.sessions.hold(session, "video", None)

    def _work(self, job: VideoJob, session: Session) -> None:
        try:
            with self.sessions.working(session), session.busy, self._turn:
                if session.gone:  # the page was closed while this waited
                    job.stop.set()
                if session.job is job:
                    job.run(self.sessions.folder(session))
                if session.job is not job:
                    self.sessions.hold(session, "result", None)
        finally:
            self._room.release()


def columns(moments: list[Moment]) -> list[tuple[int, int]]:
    """The most faces with and without a mask, in equal parts of the video's time."""
    end = max([each.seconds for each in moments], default=0.0) or 1.0
    most = [(0, 0)] * min(POINTS, len(moments))
    for each in moments:
        slot = min(int(len(most) * max(each.seconds, 0.0) / end), len(most) - 1)
        most[slot] = max(most[slot][0], each.masked), max(most[slot][1], each.bare)
    return most
