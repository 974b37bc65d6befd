"""The picture tab: each engine looks once at a picture; the browser shows what it found for any threshold.

The page asks by server functions alone, not by Gradio's events: after one that fails because the network is away,
Gradio reloads the page, and the picture with it. Programs have events, ``look`` and ``change``.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gradio as gr
import numpy as np

from detector.defaults import sample_folder
from detector.detections import Detections
from detector.errors import DetectorError
from detector.evaluation.pages import write_page
from detector.media import images
from detector.media.draw import WORDS, draw
from detector.media.frames import Frame
from detector.media.images import Image
from detector.media.records import rows
from detector.web.answers import VERDICTS, sentence, shrink
from detector.web.engine_pool import BusyError, EnginePool, filter_detections
from detector.web.fields import (
    Upload,
    api_fields,
    control_content,
    named_upload,
    number,
    read_picture,
    script,
    undecoded,
)
from detector.web.sessions import Session, Sessions
from detector.web.uploads import MAX_BYTES

__all__ = ["PictureTab"]

BOTH = "Both, side by side"
NO_PICTURE = "There is no picture here, or no longer: choose one"

SHOWN_SIDE = 1600
"""Longest side, px, of a picture that the browser cannot open itself and gets from here."""

ROWS = 50
"""Faces in the table; the JSON has all."""

AT_ONCE, WAITING = 2, 6
"""Pictures that are in memory at the same time, and that may wait for that; a further one is asked for again."""

EXAMPLES = sample_folder() / "images"
EXAMPLE_NAMES = {
    "video_call_six.jpg": "six people in a video call",
    "pair_one_mask.jpg": "two people, one with a mask",
    "collins_surgical_mask.jpg": "an astronaut with a surgical mask",
    "hopper_mask_under_nose.jpg": "an officer with a mask under her nose",
    "hopper_ffp2_mask.jpg": "an officer with an FFP2 mask",
    "cameraman_bare_grey.jpg": "a man behind a camera, in grey",
}

Answer = tuple[str, dict[str, Any] | None]
"""To a program: one line in words, and the faces."""


class PictureTab:
    """The tab's view, and the answers to its questions and to those of programs.

    Args:
        pool: the engines.
        sessions: who keeps which picture.
    """

    def __init__(self, pool: EnginePool, sessions: Sessions) -> None:
        self.pool, self.sessions = pool, sessions
        self._examples = [EXAMPLES / name for name in EXAMPLE_NAMES if (EXAMPLES / name).is_file()]
        self._turn = threading.BoundedSemaphore(AT_ONCE)
        self._room = threading.BoundedSemaphore(AT_ONCE + WAITING)

    def build(self, conf: float) -> None:
        """Put the view here; its slider stands at ``conf``."""

        def look(message: Any, request: gr.Request) -> dict[str, Any]:
            return self.look(message, self.sessions.asking(request, message))

        def drawn(message: Any, request: gr.Request) -> dict[str, Any]:
            return self.drawn(message, self.sessions.asking(request, message))

        engines = [*self.pool.names, *([BOTH] if len(self.pool.names) > 1 else [])]
        settings = {
            "engines": self.pool.names,
            "both": BOTH,
            "examples": [path.name for path in self._examples],
            "words": WORDS,
            "verdicts": VERDICTS,
            "rows": ROWS,
            "most": MAX_BYTES,
        }
        content = {"settings": json.dumps(settings), "examples": self._thumbnails(), **control_content(engines, conf)}
        view = write_page("web/picture.html", **content)
        code, ask = script("picture"), [look, drawn]
        gr.HTML(view, js_on_load=code, server_functions=ask, apply_default_css=False, elem_id="picture")
        with gr.Row(visible=False):  # for programs
            picture, chosen = gr.Image(), api_fields(engines, conf)
            words, record, again = gr.HTML(), gr.JSON(), gr.Button()
        outputs = [words, record]
        picture.input(
            self.take, [undecoded(picture, "picture"), *chosen], outputs, api_name="look", concurrency_limit=AT_ONCE
        )
        again.click(self.change, chosen, outputs, api_name="change")

    def look(self, message: object, session: Session) -> dict[str, Any]:
        """What an engine found, for the page.

        Args:
            message: ``path`` of an upload and its ``name``, or the index of an ``example``; ``engine``; ``jpeg``,
                whether the picture is wanted too. Without both of the first, the last picture goes.
            session: who asks.

        Returns:
            ``faces`` as :meth:`change` names them, all above the lowest threshold, ``ms``, ``width``, ``height``,
            ``note`` and, where it is wanted or is one of several in its file, ``jpeg`` in base64; or ``gone``: send the
            file again; ``wait`` or ``error`` with the reason.
        """

        def answer(asked: dict[str, Any], upload: Upload) -> dict[str, Any]:
            original, note = read_picture(upload)
            timed = self.pool.detect(original, str(asked.get("engine", "")))
            jpeg = _jpeg(shrink(original, SHOWN_SIDE)[0], 88) if note or asked.get("jpeg") else None
            height, width = original.shape[:2]
            faces = _faces(Frame(original, 0, None, upload.name), timed.found)
            size = {"width": width, "height": height}
            return {"faces": faces, "ms": round(1000 * timed.seconds, 1), **size, "note": note, "jpeg": jpeg}

        return self._admit(message, session, answer)

    def drawn(self, message: object, session: Session) -> dict[str, Any]:
        """The picture in its own size with its faces marked, numbered from left to right: ``jpeg`` in base64.

        Args:
            message: as for :meth:`look`, with ``conf`` and ``overlap``.
            session: who asks.
        """

        def answer(asked: dict[str, Any], upload: Upload) -> dict[str, Any]:
            original, _ = read_picture(upload)
            found = self.pool.detect(original, str(asked.get("engine", ""))).found
            shown = filter_detections(found, number(asked.get("conf")), number(asked.get("overlap")))
            return {"jpeg": _jpeg(draw(original, _numbered(shown)), 92)}

        return self._admit(message, session, answer)

    def take(self, upload: Upload | None, engine: str, conf: float, overlap: float, request: gr.Request) -> Answer:
        """A program's picture, or none any more."""
        session = self.sessions.of(request)
        self.sessions.hold(session, "picture", upload.path if upload else None)
        session.picture = None
        if upload is None:
            return "", None
        words, record = self._answer(upload, engine, conf, overlap)
        if "error" not in record and not session.gone:
            session.picture = upload
        return words, record

    def change(self, engine: str, conf: float, overlap: float, request: gr.Request) -> Answer:
        """Another engine or another threshold for the same picture."""
        upload = self.sessions.of(request).picture
        return self._answer(upload, engine, conf, overlap) if upload else (NO_PICTURE, {"error": NO_PICTURE})

    def _answer(self, upload: Upload, engine: str, conf: float, overlap: float) -> tuple[str, dict[str, Any]]:
        known = engine if engine in self.pool.names else self.pool.names[0]
        words, engines = [], {}
        try:
            original, note = read_picture(upload)
            for name in self.pool.names if engine == BOTH else (known,):
                timed = self.pool.detect(original, name)
                found = filter_detections(timed.found, conf, overlap)
                words.append(sentence(found))
                faces = _faces(Frame(original, 0, None, upload.name), found)
                engines[name] = {"ms": round(1000 * timed.seconds, 1), "faces": faces}
        except DetectorError as error:
            return str(error), {"error": str(error)}
        height, width = original.shape[:2]
        record = {"source": upload.name, "width": width, "height": height, "conf": conf, "engines": engines}
        return ". ".join([*words, *([note] if note else [])]), record

    def _upload(self, asked: dict[str, Any], session: Session) -> Upload | None:
        """The picture that a message names, held as long as its page is open; None if it is not here."""
        example = asked.get("example")
        if isinstance(example, int) and 0 <= example < len(self._examples):
            return Upload(self._examples[example].name, self._examples[example])
        upload = named_upload(asked, self.sessions.store, "picture")
        if session.open:
            self.sessions.hold(session, "picture", upload.path if upload else None)
        return upload

    def _admit(
        self, message: object, session: Session, answer: Callable[[dict[str, Any], Upload], dict[str, Any]]
    ) -> dict[str, Any]:
        """Answer a message about a picture, in its turn; or say why not."""
        if not self._room.acquire(blocking=False):
            return {"wait": "Too many people use this page right now: waiting"}
        try:
            with self._turn:
                asked = message if isinstance(message, dict) else {}
                upload = self._upload(asked, session)
                return answer(asked, upload) if upload else {"gone": True}
        except BusyError as error:
            return {"wait": str(error)}
        except DetectorError as error:
            return {"error": str(error)}
        finally:
            self._room.release()

    def _thumbnails(self) -> list[tuple[str, bytes]]:
        """What examples show, and small pictures of them; an installed package has no sample, so none."""
        examples = []
        for path in self._examples:
            image = images.read(path)
            longest = round(88 * max(image.shape[:2]) / min(image.shape[:2]))
            examples.append((EXAMPLE_NAMES[path.name], images.encode(shrink(image, longest)[0], ".jpg", 80)))
        return examples


def _jpeg(image: Image, quality: int) -> str:
    return base64.b64encode(images.encode(image, ".jpg", quality)).decode()


def _numbered(found: Detections) -> Detections:
    """The faces from left to right, numbered from 1."""
    ordered = found[np.argsort(found.xyxy[:, 0] + found.xyxy[:, 2], kind="stable")]
    return replace(ordered, track_id=np.arange(1, len(ordered) + 1))


def _faces(frame: Frame, found: Detections) -> list[dict[str, Any]]:
    """The faces as :class:`~detector.media.records.JsonLinesSink` writes them."""
    return [
        {"box": [row["x1"], row["y1"], row["x2"], row["y2"]], "confidence": row["confidence"], "class": row["class"]}
        for row in rows(frame, found)
    ]
