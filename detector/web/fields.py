"""Gradio's fields without its own decoding: every file is read by this package's readers, which say what is wrong.

Gradio would open a picture with Pillow before our code sees it, and answer a damaged one with "Error".
"""

from __future__ import annotations

import base64
import binascii
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData, ImageData
from pydantic import ValidationError

from detector.errors import SourceError
from detector.media import images
from detector.media.image_header import read_header
from detector.media.images import Image
from detector.web.answers import percent
from detector.web.engine_pool import FLOOR
from detector.web.uploads import Store

__all__ = [
    "HIGHEST",
    "MAX_MEGAPIXELS",
    "Upload",
    "api_fields",
    "check_inputs",
    "control_content",
    "named_upload",
    "number",
    "read_picture",
    "script",
    "undecoded",
]

MAX_MEGAPIXELS = 50
"""Larger pictures are refused: many visitors share the memory. The largest phones make 50 megapixels unasked."""

SMALLEST_SIDE = 10

DECODING = threading.Lock()
"""Decoding takes up to four times what a picture takes: one visitor after the other."""

HIGHEST, OVERLAP = 0.99, 0.6
"""The ends of the sliders for confidence and overlap."""


@dataclass(frozen=True)
class Upload:
    """A file that a visitor sent.

    Args:
        name: what they call it.
        path: where Gradio put it; None if it came without a file, as ``data``.
        data: the bytes, of a picture that a program sent in its request.
    """

    name: str
    path: Path | None
    data: bytes = b""

    def read(self) -> bytes:
        """The whole file.

        Raises:
            SourceError: it is gone.
        """
        try:
            return self.path.read_bytes() if self.path else self.data
        except OSError as error:
            raise SourceError(f"{self.name}: is no longer here ({error.strerror}): choose it again") from error


def undecoded(field: gr.Image | gr.Video | gr.File, otherwise: str) -> Any:
    """Make a field hand over an :class:`Upload` or None, and show a path as it is.

    The field's methods are replaced: for a subclass Gradio would write a .pyi file beside our source.

    Args:
        field: Gradio's.
        otherwise: what a file is called that has no name.
    """

    def preprocess(payload: FileData | ImageData | None) -> Upload | None:
        if payload is None:
            return None
        name = _name(payload.model_dump(), otherwise)
        if payload.url and payload.url.startswith("data:"):
            try:
                return Upload(name, None, base64.b64decode(payload.url.partition(",")[2], validate=True))
            except binascii.Error:
                return Upload(name, None)
        return Upload(name, Path(payload.path)) if payload.path else None

    def postprocess(value: str | None) -> FileData | None:
        return FileData(path=value, orig_name=Path(value).name) if value else None

    vars(field).update(preprocess=preprocess, postprocess=postprocess)
    return field


def check_inputs(demo: gr.Blocks, store: Store) -> None:
    """Refuse every request that names a file which is no upload, before Gradio or a field of ours looks at it.

    Gradio checks the paths of files that are marked as such, and takes those of others as they come. What it keeps of
    the values, for links that this page does not have, is emptied: it would be in memory long after the page is closed.
    """
    before, after = demo.preprocess_data, demo.postprocess_data

    async def preprocess(function: Any, inputs: list[Any], state: Any, *others: Any, **more: Any) -> Any:
        with _emptied(state, function.inputs):
            _check_paths(inputs, store)
            try:
                return await before(function, inputs, state, *others, **more)
            except ValidationError as error:
                raise gr.Error("A file must be described as gradio_client does", print_exception=False) from error
            except gr.Error as error:
                error.print_exception = False
                raise
            except (AttributeError, LookupError, TypeError, ValueError) as error:
                raise gr.Error("The values do not fit: see /gradio_api/info", print_exception=False) from error

    async def postprocess(function: Any, outputs: Any, state: Any, *others: Any, **more: Any) -> Any:
        with _emptied(state, function.outputs):
            return await after(function, outputs, state, *others, **more)

    vars(demo).update(preprocess_data=preprocess, postprocess_data=postprocess)


@contextmanager
def _emptied(state: Any, fields: list[Any]) -> Iterator[None]:
    try:
        yield
    finally:
        for field in fields:
            kept = getattr(state, "config_values", {}).get(field._id, {})
            kept.get("props", {}).pop("value", None)


def _check_paths(inputs: list[Any], store: Store) -> None:
    pending: list[Any] = [inputs]
    while pending:  # no recursion: a request may be nested as deep as it likes
        value = pending.pop()
        if isinstance(value, dict):
            if value.get("path") is not None and store.key(value["path"]) is None:
                raise gr.Error(f"{_name(value, 'The file')}: is not here: send it again", print_exception=False)
            pending += value.values()
        elif isinstance(value, list):
            pending += value


def _name(payload: dict[str, Any], otherwise: str) -> str:
    """What a visitor calls their file: one short line of it, and no path."""
    name = str(payload.get("orig_name") or "").replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in name if letter.isprintable())[:100] or otherwise


def named_upload(asked: dict[str, Any], store: Store, otherwise: str) -> Upload | None:
    """The upload that a message of the page names by ``path`` and ``name``; None if it is not here."""
    path, name = asked.get("path"), _name({"orig_name": asked.get("name")}, otherwise)
    return Upload(name, Path(path)) if isinstance(path, str) and store.key(path) is not None else None


def number(value: object) -> float:
    """A share, 0 to 1, that a message of the page names; anything else is 0."""
    return min(1.0, max(0.0, float(value))) if isinstance(value, int | float) else 0.0


def script(*names: str) -> str:
    """The script of a tab, in parts, after what all share."""
    folder = Path(__file__).parent
    return "".join((folder / f"{each}.js").read_text(encoding="utf-8") for each in ("common", *names))


def control_content(engines: list[str], conf: float) -> dict[str, Any]:
    """What ``controls.html`` needs: the engines to choose from, and where the sliders end and stand."""
    ends = {"lowest": FLOOR, "highest": HIGHEST, "overlap": OVERLAP}
    return {"engines": engines, "conf": conf, "percent": percent, **ends}


def api_fields(engines: list[str], conf: float) -> list[Any]:
    """The fields for engine, confidence and overlap, in this order, by which programs say the same."""
    return [
        gr.Radio(engines, value=engines[0], label="Engine"),
        gr.Slider(FLOOR, HIGHEST, conf, step=0.01, label="Show faces from"),
        gr.Slider(0.1, OVERLAP, OVERLAP, step=0.05, label="Overlap"),
    ]


def read_picture(upload: Upload) -> tuple[Image, str]:
    """Decode an upload: BGR uint8 (H, W, 3), upright, and a note on what was left out of it, often empty.

    Raises:
        SourceError: it is no picture, damaged, too large or too small.
    """
    with DECODING:
        data = upload.read()
        header = read_header(io.BytesIO(data))
        if header.upright_size:  # else decoding refuses it
            width, height = header.upright_size
            said = f"{upload.name}: {width} x {height} pixels are too"
            if width * height > MAX_MEGAPIXELS * 1_000_000:
                limit = f"many for this page (at most {MAX_MEGAPIXELS} megapixels)"
                raise SourceError(f"{said} {limit}: send a smaller copy, or use mask-detector run")
            if min(width, height) < SMALLEST_SIDE:
                raise SourceError(f"{said} few to show a face: send a larger picture")
        image = images.decode(data, upload.name, max_pixels=MAX_MEGAPIXELS * 1_000_000)
    return image, "This is an animation: only its first picture was looked at." if header.animated else ""
