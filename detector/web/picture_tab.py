"""The picture tab: one look by the network for each picture and engine, any number of answers from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from detector.detections import Detections
from detector.errors import DetectorError
from detector.media.frames import Frame
from detector.media.images import Image
from detector.media.records import rows
from detector.web.answers import Panel, answer, problem, shown
from detector.web.engine_pool import EnginePool, Look, filter_detections
from detector.web.fields import Upload, read_picture
from detector.web.sessions import Visitors, owner_of

__all__ = ["BOTH", "PictureTab"]

BOTH = "Both, side by side"

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
    looks: dict[str, Look] = field(default_factory=dict)


class PictureTab:
    """Answers the picture tab's events.

    Args:
        bench: the engines.
        visitors: who keeps which picture.
    """

    def __init__(self, bench: EnginePool, visitors: Visitors) -> None:
        self.bench, self.visitors = bench, visitors

    def take(self, upload: Upload | None, engine: str, conf: float, overlap: float, request: gr.Request) -> Answer:
        """A new picture, or none any more."""
        visitor = self.visitors.meet(request.session_hash, owner_of(request))
        self.visitors.hold(visitor, "picture", upload.path if upload and not upload.ours else None)
        visitor.picture = None
        if upload is None:
            return "", None
        try:
            original, note = read_picture(upload)
            picture = _Picture(upload, note, (original.shape[1], original.shape[0]), *shown(original))
            self._look(picture, engine, original)
        except DetectorError as error:
            return problem(str(error)), {"error": str(error)}
        if not visitor.gone:
            visitor.picture = picture
        return self._answer(picture, engine, conf, overlap)

    def change(self, engine: str, conf: float, overlap: float, request: gr.Request) -> Answer:
        """Another engine or another threshold for the same picture: only an engine not asked before has work to do."""
        picture: _Picture | None = self.visitors.meet(request.session_hash, owner_of(request)).picture
        if picture is None:
            return "", None
        try:
            self._look(picture, engine)
        except DetectorError as error:
            return problem(str(error)), {"error": str(error)}
        return self._answer(picture, engine, conf, overlap)

    def _look(self, picture: _Picture, engine: str, original: Image | None = None) -> None:
        for name in self._names(engine):
            if name not in picture.looks:
                original = read_picture(picture.upload)[0] if original is None else original
                picture.looks[name] = self.bench.look(original, name)

    def _names(self, engine: str) -> tuple[str, ...]:
        return self.bench.names if engine == BOTH else (engine,) if engine in self.bench.names else self.bench.names[:1]

    def _answer(self, picture: _Picture, engine: str, conf: float, overlap: float) -> Answer:
        chosen = {name: picture.looks[name] for name in self._names(engine)}
        panels = [
            Panel(name, picture.image, picture.scale, filter_detections(look.found, conf, overlap), look.seconds)
            for name, look in chosen.items()
        ]
        name = picture.upload.name
        record = {
            "source": name,
            "width": picture.size[0],
            "height": picture.size[1],
            "conf": conf,
            "engines": {
                panel.engine: {"ms": round(1000 * panel.seconds, 1), "faces": _faces(picture, panel.found)}
                for panel in panels
            },
        }
        return answer(Path(name).stem or "picture", panels, record, picture.note), record


def _faces(picture: _Picture, found: Detections) -> list[dict[str, Any]]:
    """The faces as :class:`~detector.media.records.JsonLinesSink` writes them."""
    return [
        {"box": [row["x1"], row["y1"], row["x2"], row["y2"]], "confidence": row["confidence"], "class": row["class"]}
        for row in rows(Frame(picture.image, 0, None, picture.upload.name), found)
    ]
