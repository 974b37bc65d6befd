"""The picture tab: one look by the network for each picture and engine, any number of answers from it.

Pictures travel inside the answers' HTML, so that nothing of a result is ever written to the server's disk.
"""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from detector.detections import Detections
from detector.errors import DetectorError
from detector.evaluation.pages import write_page
from detector.media import images
from detector.media.draw import draw
from detector.media.frames import Frame
from detector.media.images import Image
from detector.media.records import rows
from detector.web.answers import VERDICTS, problem, sentence, shrink
from detector.web.engine_pool import EnginePool, Timed, filter_detections
from detector.web.fields import Upload, controls, read_picture, undecoded
from detector.web.sessions import Sessions

__all__ = ["PictureTab"]

BOTH = "Both, side by side"
NO_PICTURE = "There is no picture here, or no longer: choose one"

SHOWN_SIDE = 1600
"""Longest side of a picture on the page, px; larger ones are found in as they are and shown scaled down."""

ROWS = 50
"""Faces in the table; the JSON has all."""

EXAMPLES = Path(__file__).resolve().parents[2] / "data" / "images"
EXAMPLE_NAMES = {
    "video_call_six.jpg": "six people in a video call",
    "pair_one_mask.jpg": "two people, one with a mask",
    "collins_surgical_mask.jpg": "an astronaut with a surgical mask",
    "hopper_mask_under_nose.jpg": "an officer with a mask under her nose",
    "hopper_ffp2_mask.jpg": "an officer with an FFP2 mask",
    "cameraman_bare_grey.jpg": "a man behind a camera, in grey",
}

Answer = tuple[str, dict[str, Any] | None]
"""HTML and what the JSON file says."""


@dataclass
class _Picture:
    """A visitor's picture: as shown, and what each engine has found in it so far.

    The original is not kept: it may be twenty times as large, and an engine that is asked later reads the upload again.
    """

    upload: Upload
    note: str
    size: tuple[int, int]
    image: Image
    scale: float
    results: dict[str, Timed] = field(default_factory=dict)


class PictureTab:
    """The tab's fields, and the answers to its events.

    Args:
        pool: the engines.
        sessions: who keeps which picture.
    """

    def __init__(self, pool: EnginePool, sessions: Sessions) -> None:
        self.pool, self.sessions = pool, sessions
        self._examples = [EXAMPLES / name for name in EXAMPLE_NAMES if (EXAMPLES / name).is_file()]

    def build(self, conf: float) -> None:
        """Put the fields here; the slider stands at ``conf``."""
        with gr.Row():
            with gr.Column(scale=2, min_width=300):
                picture = gr.Image(
                    label="Picture",
                    sources=["upload", "clipboard", "webcam"],
                    buttons=[],
                    height=300,
                    placeholder="Drop a picture here, paste one, or click to choose",
                    elem_id="picture-in",
                )
                both = [BOTH] if len(self.pool.names) > 1 else []
                chosen = controls([*self.pool.names, *both], "picture", conf)
                examples = gr.HTML(
                    self._thumbnails(),
                    js_on_load=Path(__file__).with_name("examples.js").read_text(encoding="utf-8"),
                    elem_id="examples",
                    visible=bool(self._examples),
                )
            with gr.Column(scale=3, min_width=300):
                waiting = '<p class="note">The answer will stand here.</p>'
                answer = gr.HTML(waiting, elem_id="picture-out", elem_classes="answer")
                with gr.Accordion("As JSON", open=False):
                    record = gr.JSON(show_label=False, elem_id="picture-json")
        fields, outputs = [undecoded(picture, "picture"), *chosen], [answer, record]
        seen: dict[str, Any] = {"show_progress": "minimal", "show_progress_on": [answer]}
        # By default a picture that comes while another is looked at would be dropped.
        last: dict[str, Any] = {"trigger_mode": "always_last", "concurrency_limit": 2}
        picture.input(self.take, fields, outputs, api_name="look", **seen, **last)  # not change: an example empties it
        examples.choose(self.example, chosen, [picture, *outputs], api_visibility="private", **seen, **last)
        engine, *sliders = chosen
        for slider in sliders:
            hidden: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
            slider.change(self.change, chosen, outputs, trigger_mode="always_last", **hidden)
        engine.change(self.change, chosen, outputs, api_name="change", **seen)

    def take(self, upload: Upload | None, engine: str, conf: float, overlap: float, request: gr.Request) -> Answer:
        """A new picture, or none any more."""
        session = self.sessions.of(request)
        self.sessions.hold(session, "picture", upload.path if upload else None)
        session.picture = None
        if upload is None:
            return "", None
        try:
            original, note = read_picture(upload)
            picture = _Picture(upload, note, (original.shape[1], original.shape[0]), *shrink(original, SHOWN_SIDE))
            answer = self._answer(picture, engine, conf, overlap, original)
        except DetectorError as error:
            return problem(str(error)), {"error": str(error)}
        if not session.gone:
            session.picture = picture
        return answer

    def change(self, engine: str, conf: float, overlap: float, request: gr.Request) -> Answer:
        """Another engine or another threshold for the same picture: only an engine not asked before has work to do."""
        picture = self.sessions.of(request).picture
        if picture is None:
            return f'<p class="note" role="status">{NO_PICTURE}</p>', {"error": NO_PICTURE}
        try:
            return self._answer(picture, engine, conf, overlap)
        except DetectorError as error:
            return problem(str(error)), {"error": str(error)}

    def example(
        self, engine: str, conf: float, overlap: float, chosen: gr.EventData, request: gr.Request
    ) -> tuple[None, str, dict[str, Any] | None]:
        """The example that was clicked; what a program makes up is refused."""
        path = None
        with suppress(AttributeError, KeyError, TypeError):  # its event may say anything
            path = dict(enumerate(self._examples))[chosen.index]
        if path is None:
            raise gr.Error("There is no such example", print_exception=False)
        return None, *self.take(Upload(path.name, path), engine, conf, overlap, request)

    def _answer(
        self, picture: _Picture, engine: str, conf: float, overlap: float, original: Image | None = None
    ) -> Answer:
        known = engine if engine in self.pool.names else self.pool.names[0]
        names = self.pool.names if engine == BOTH else (known,)
        for name in names:
            if name not in picture.results:
                original = read_picture(picture.upload)[0] if original is None else original
                picture.results[name] = self.pool.detect(original, name)
        panels, engines = [], {}
        for name in names:
            seconds = picture.results[name].seconds
            found = filter_detections(picture.results[name].found, conf, overlap)
            scaled = Detections(found.xyxy * np.float32(picture.scale), found.confidence, found.class_id)
            jpeg = images.encode(draw(picture.image, scaled), ".jpg", 88)
            panels.append({"engine": name, "words": sentence(found), "seconds": seconds, "found": found, "jpeg": jpeg})
            engines[name] = {"ms": round(1000 * seconds, 1), "faces": _faces(picture, found)}
        width, height = picture.size
        source = picture.upload.name
        record = {"source": source, "width": width, "height": height, "conf": conf, "engines": engines}
        content = {
            "panels": panels,
            "name": Path(source).stem or "picture",
            "note": picture.note,
            "json": base64.b64encode(json.dumps(record, indent=1).encode()).decode(),
            "verdicts": VERDICTS,
            "rows": ROWS,
        }
        return write_page("web/answer.html", **content), record

    def _thumbnails(self) -> str:
        """Buttons with small pictures; an installed package has no sample, so none."""
        examples = []
        for path in self._examples:
            image = images.read(path)
            longest = round(88 * max(image.shape[:2]) / min(image.shape[:2]))
            examples.append((EXAMPLE_NAMES[path.name], images.encode(shrink(image, longest)[0], ".jpg", 80)))
        return write_page("web/examples.html", examples=examples)


def _faces(picture: _Picture, found: Detections) -> list[dict[str, Any]]:
    """The faces as :class:`~detector.media.records.JsonLinesSink` writes them."""
    return [
        {"box": [row["x1"], row["y1"], row["x2"], row["y2"]], "confidence": row["confidence"], "class": row["class"]}
        for row in rows(Frame(picture.image, 0, None, picture.upload.name), found)
    ]
