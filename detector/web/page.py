"""The page itself: its three tabs, its head and its foot."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from gradio.utils import get_upload_folder

import detector
from detector.engines import Engine
from detector.evaluation.pages import write_page
from detector.web.answers import hex_colour
from detector.web.engine_pool import FLOOR, EnginePool
from detector.web.fields import HIGHEST, check_inputs
from detector.web.link_preview import SENTENCE, TITLE
from detector.web.picture_tab import PictureTab
from detector.web.sessions import Sessions
from detector.web.uploads import Store
from detector.web.video_tab import VideoTab
from detector.web.webcam_tab import WebcamTab

__all__ = ["build_page"]

QUEUE = 64
"""Requests that may wait; a further one is told that the page is busy."""

CLEAN_EVERY_S, KEPT_S = 300, 3600
"""Where the folder is not the page's own, whatever is left in spite of all, such as an upload that was broken off, goes
after an hour."""


def build_page(engine: Engine, other: Engine | None = None, *, conf: float | None = None, model: str = "") -> gr.Blocks:
    """The page as Gradio blocks, see :func:`detector.demo.build_demo`."""
    conf = min(max(engine.conf if conf is None else conf, FLOOR), HIGHEST)  # before the pool lowers the engine's own
    pool, sessions = EnginePool(engine, other), Sessions(Store(Path(get_upload_folder())))
    cleaning = None if sessions.store.own else (CLEAN_EVERY_S, KEPT_S)
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=cleaning) as demo:
        gr.HTML(
            write_page(
                "web/head.html",
                masked=hex_colour("with_mask"),
                bare=hex_colour("without_mask"),
                title=TITLE,
                sentence=SENTENCE,
            )
        )
        with gr.Tabs():
            with gr.Tab("Picture", id="picture"):
                PictureTab(pool, sessions).build(conf)
            with gr.Tab("Webcam", id="webcam"):
                WebcamTab(pool).build(conf)
            with gr.Tab("Video", id="video"):
                VideoTab(pool, sessions).build(conf)
        gr.HTML(write_page("web/foot.html", model=model, version=detector.__version__))

        def leave(request: gr.Request) -> None:
            sessions.leave(request.session_hash)

        demo.unload(leave)
    demo.queue(max_size=QUEUE, default_concurrency_limit=4)
    check_inputs(demo, sessions.store)
    vars(demo)["sessions"] = sessions  # for whom it is served
    return demo  # type: ignore[no-any-return]
