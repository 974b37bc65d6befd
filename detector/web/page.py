"""The page itself: fields, what they are called, and what happens when they change."""

from __future__ import annotations

import json
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import Any

import cv2
import gradio as gr
from gradio.utils import get_upload_folder

import detector
from detector.engines import Engine
from detector.media import images
from detector.media.draw import INK, WORDS
from detector.web.answers import data_url
from detector.web.engine_pool import FLOOR, EnginePool
from detector.web.fields import Upload, check_inputs, picture_field, result_video, video_field
from detector.web.picture_tab import BOTH, PictureTab
from detector.web.sessions import OWNER, Visitors
from detector.web.style import STYLE, hex_colour
from detector.web.uploads import MEGABYTE, Store
from detector.web.video_tab import MAX_BYTES, MAX_SECONDS, VideoTab
from detector.web.webcam_tab import WebcamTab

__all__ = ["QUEUE", "build_demo"]

HIGHEST, OVERLAP = 0.95, 0.6
"""The ends of the sliders for confidence and overlap."""

QUEUE = 64
"""Requests that may wait; a further one is told that the page is busy."""

CLEAN_EVERY_S, KEPT_S = 300, 3600
"""Where the folder is not the page's own, whatever is left in spite of all, such as an upload that was broken off, goes
after an hour."""

EXAMPLES = Path(__file__).resolve().parents[2] / "data" / "images"
EXAMPLE_NAMES = {
    "video_call_six.jpg": "six people in a video call",
    "pair_one_mask.jpg": "two people, one with a mask",
    "collins_surgical_mask.jpg": "an astronaut with a surgical mask",
    "hopper_mask_under_nose.jpg": "an officer with a mask under her nose",
    "hopper_ffp2_mask.jpg": "an officer with an FFP2 mask",
    "cameraman_bare_grey.jpg": "a man behind a camera, in grey",
}

CHOOSE = """element.querySelectorAll("button").forEach((button, index) =>
  button.addEventListener("click", () => trigger("choose", { index })));"""

WELCOME = '<p class="note">The answer will stand here.</p>'


HEAD = """<div class="head"><h1>Mask detector</h1>
<p>Finds the faces in a picture, in a video or before your camera, and says who wears a mask over nose and mouth.</p>
</div>"""


def build_demo(engine: Engine, other: Engine | None = None, *, conf: float | None = None, model: str = "") -> gr.Blocks:
    """The demo as Gradio blocks, to be launched or mounted in another application.

    Args:
        engine: what answers first. The demo sets its ``conf``; it stays the caller's to close.
        other: a second engine, for the switch between them and the comparison.
        conf: where the sliders stand at first, 0 to 1; the engine's own by default.
        model: what the footer calls the network.
    """
    conf = min(max(engine.conf if conf is None else conf, FLOOR), HIGHEST)  # before EnginePool lowers the engine's own
    bench, visitors = EnginePool(engine, other), Visitors(Store(Path(get_upload_folder())))
    cleaning = None if visitors.store.own else (CLEAN_EVERY_S, KEPT_S)
    with gr.Blocks(title="Mask detector", analytics_enabled=False, delete_cache=cleaning) as demo:
        gr.HTML(STYLE + HEAD)
        with gr.Tabs():
            with gr.Tab("Picture", id="picture"):
                _picture_tab(PictureTab(bench, visitors), conf)
            with gr.Tab("Webcam", id="webcam"):
                _webcam_tab(WebcamTab(bench), conf)
            with gr.Tab("Video", id="video"):
                _video_tab(VideoTab(bench, visitors), conf)
        gr.HTML(_foot(model))

        def leave(request: gr.Request) -> None:
            visitors.leave(request.session_hash)

        demo.unload(leave)
    demo.queue(max_size=QUEUE, default_concurrency_limit=4)
    check_inputs(demo, visitors.store)
    vars(demo)["visitors"] = visitors  # for whom it is served
    return demo  # type: ignore[no-any-return]


def _picture_tab(desk: PictureTab, at_first: float) -> None:
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            field = picture_field(
                label="Picture", sources=["upload", "clipboard", "webcam"], buttons=[], height=300,
                placeholder="Drop a picture here, paste one, or click to choose", elem_id="picture-in",
            )  # fmt: skip
            engine, conf, overlap = _controls(desk.bench, "picture", at_first, both=True)
            paths = [EXAMPLES / name for name in EXAMPLE_NAMES if (EXAMPLES / name).is_file()]
            examples = gr.HTML(_thumbnails(paths), js_on_load=CHOOSE, elem_id="examples", visible=bool(paths))
        with gr.Column(scale=3, min_width=300):
            answer = gr.HTML(WELCOME, elem_id="picture-out", elem_classes="answer")
            with gr.Accordion("As JSON", open=False):
                record = gr.JSON(show_label=False, elem_id="picture-json")
    outputs = [answer, record]
    field.input(  # not change: an example empties the field
        desk.take, [field, engine, conf, overlap], outputs, api_name="look", concurrency_limit=2,
        show_progress="minimal", show_progress_on=[answer],
        trigger_mode="always_last",  # by default a picture that comes while another is looked at would be dropped
    )  # fmt: skip

    def example(
        engine: str, conf: float, overlap: float, chosen: gr.EventData, request: gr.Request
    ) -> tuple[None, str, dict[str, Any] | None]:
        path = _chosen(paths, chosen)
        return None, *desk.take(Upload(path.name, path, ours=True), engine, conf, overlap, request)

    examples.choose(
        example, [engine, conf, overlap], [field, *outputs], api_visibility="private", concurrency_limit=2,
        show_progress="minimal", show_progress_on=[answer], trigger_mode="always_last",
    )  # fmt: skip
    for slider in (conf, overlap):
        slider.change(
            desk.change, [engine, conf, overlap], outputs, api_visibility="private", trigger_mode="always_last",
            show_progress="hidden",
        )  # fmt: skip
    engine.change(
        desk.change, [engine, conf, overlap], outputs, api_name="change", show_progress="minimal",
        show_progress_on=[answer],
    )  # fmt: skip


def _chosen(paths: list[Path], chosen: gr.EventData) -> Path:
    """The example that was clicked; what a program makes up is refused."""
    with suppress(AttributeError, KeyError, TypeError):  # its event may say anything
        return dict(enumerate(paths))[chosen.index]
    raise gr.Error("There is no such example", print_exception=False)


def _webcam_tab(desk: WebcamTab, at_first: float) -> None:
    def live(message: Any, request: gr.Request) -> dict[str, Any]:
        return desk.live(message, request.client.host if request.client else "", str(request.scope.get(OWNER, "")))

    classes = [{"colour": hex_colour(name), "ink": _css(INK[name]), "word": word} for name, word in WORDS.items()]
    settings = escape(json.dumps({"classes": classes}), quote=True)
    options = "".join(f"<option>{escape(name)}</option>" for name in desk.bench.names)
    hidden = " hidden" if len(desk.bench.names) == 1 else ""
    gr.HTML(
        f"""<div class="live" data-settings="{settings}">
<p class="sentence" role="status" aria-live="polite"></p>
<div class="idle">Press Start and allow the camera. Pictures go to this server, are looked at, and are not kept.</div>
<canvas hidden role="img" aria-label="Your camera's picture with the faces marked"></canvas>
<div class="bar"><button type="button">Start</button>
<label{hidden}>Engine <select>{options}</select></label>
<label>Show faces from <input type="range" min="{FLOOR}" max="{HIGHEST}" step="0.05" value="{at_first}">
<output>{at_first:.0%}</output></label></div>
<p class="status" role="status"></p></div>""",
        js_on_load=(Path(__file__).with_name("live.js")).read_text(encoding="utf-8"),
        server_functions=[live],
        elem_id="live",
    )


def _video_tab(desk: VideoTab, at_first: float) -> None:
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            field = video_field(
                label=f"Video, at most {MAX_SECONDS} seconds and {MAX_BYTES // MEGABYTE} MB", sources=["upload"],
                buttons=[], height=300, elem_id="video-in",
            )  # fmt: skip
            engine, conf, overlap = _controls(desk.bench, "video", at_first, both=False)
            with gr.Row():
                start = gr.Button("Look for faces", variant="primary", elem_id="video-start")
                cancel = gr.Button("Stop", elem_id="video-stop")
        with gr.Column(scale=3, min_width=300):
            words = gr.HTML(elem_id="video-words", elem_classes="answer", min_height=40)
            film = result_video(label="Result", interactive=False, buttons=["download"], elem_id="video-out")
            chart = gr.HTML(elem_id="video-chart")
            table = gr.DownloadButton("Save CSV, one row for each face", interactive=False, elem_id="video-csv")
    outputs = [words, film, chart, table]
    field.change(desk.take, [field], outputs, api_visibility="private", show_progress="hidden")
    start.click(
        desk.watch, [field, engine, conf, overlap], outputs, api_name="watch", concurrency_limit=2,
        show_progress_on=[film],
    )  # fmt: skip
    cancel.click(desk.cancel, None, None, api_visibility="private", show_progress="hidden")


def _thumbnails(paths: list[Path]) -> str:
    """Buttons with small pictures; an installed package has no sample, so none."""
    buttons = []
    for path in paths:
        image = images.read(path)
        scale = 88 / min(image.shape[:2])
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype("uint8", copy=False)
        source = data_url(images.encode(small, ".jpg", 80), "image/jpeg")
        what = escape(f"Example: {EXAMPLE_NAMES[path.name]}")
        buttons.append(f'<button type="button" title="{what}"><img src="{source}" alt="{what}"></button>')
    return f'<div class="examples"><p>Or an example:</p>{"".join(buttons)}</div>'


def _controls(bench: EnginePool, name: str, at_first: float, *, both: bool) -> tuple[gr.Radio, gr.Slider, gr.Slider]:
    choices = [*bench.names, *([BOTH] if both and len(bench.names) > 1 else [])]
    engine = gr.Radio(
        choices, value=choices[0], label="Engine", visible=len(choices) > 1, elem_id=f"{name}-engine",
        info="One network for all, or one that finds faces and one that looks at each.",
    )  # fmt: skip
    conf = gr.Slider(
        FLOOR, HIGHEST, at_first, step=0.01, label="Show faces from", info="How sure the network must be, 0 to 1.",
        elem_id=f"{name}-conf", buttons=[],
    )  # fmt: skip
    overlap = gr.Slider(
        0.1, OVERLAP, OVERLAP, step=0.05, label="Overlap", elem_id=f"{name}-overlap", buttons=[],
        info="Two boxes that share more than this are one face.",
    )  # fmt: skip
    return engine, conf, overlap


def _foot(model: str) -> str:
    named = f"{escape(model)}, " if model else ""
    return f"""<div class="foot"><p>A closed blue box is a face with a mask; four orange corners are a face without.
A mask that leaves nose or mouth bare counts as none. The network errs: do not decide about people by it.</p>
<p>Pictures and videos are deleted from this server when you close the page; nobody looks at them.</p>
<p>{named}mask-detector {detector.__version__}, AGPL-3.0-or-later</p></div>"""


def _css(bgr: tuple[int, int, int]) -> str:
    return "rgb({2} {1} {0})".format(*bgr)
