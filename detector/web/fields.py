"""Gradio's fields without its own decoding: every file is read by this package's readers, which say what is wrong.

Gradio would open a picture with Pillow before our code sees it, and answer a damaged one with "Error".
"""

from __future__ import annotations

import base64
import binascii
import io
import threading
from collections.abc import Callable
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
from detector.web.uploads import Store

__all__ = ["MAX_MEGAPIXELS", "Upload", "check_inputs", "picture_field", "read_picture", "result_video", "video_field"]

MAX_MEGAPIXELS = 50
"""Larger pictures are refused: many visitors share the memory. The largest phones make 50 megapixels unasked."""

SMALLEST_SIDE = 10

DECODING = threading.Lock()
"""Decoding takes up to four times what a picture takes: one visitor after the other."""


@dataclass(frozen=True)
class Upload:
    """A file that a visitor sent.

    Args:
        name: what they call it.
        path: where Gradio put it; None if it came without a file, as ``data``.
        data: the bytes, of a picture that a program sent in its request.
        ours: it is an example, which stays.
    """

    name: str
    path: Path | None
    data: bytes = b""
    ours: bool = False

    def read(self) -> bytes:
        """The whole file.

        Raises:
            SourceError: it is gone.
        """
        if self.path is None:
            return self.data
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise SourceError(f"{self.name}: is no longer here ({error.strerror}): choose it again") from error


def check_inputs(demo: gr.Blocks, store: Store) -> None:
    """Refuse every request that names a file which is no upload, before Gradio or a field of ours looks at it.

    Gradio checks the paths of files that are marked as such, and takes those of others as they come. What it keeps of
    the values, for links that this page does not have, is emptied: it would be in memory long after the page is closed.
    """
    before, after = demo.preprocess_data, demo.postprocess_data

    async def preprocess(function: Any, inputs: list[Any], state: Any, *others: Any, **more: Any) -> Any:
        _check(inputs, store)
        try:
            return await before(function, inputs, state, *others, **more)
        except ValidationError as error:
            raise gr.Error("A file must be described as gradio_client does", print_exception=False) from error
        except gr.Error as error:
            error.print_exception = False
            raise
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise gr.Error("The values do not fit: see /gradio_api/info", print_exception=False) from error
        finally:
            _empty(state, function.inputs)

    async def postprocess(function: Any, outputs: Any, state: Any, *others: Any, **more: Any) -> Any:
        try:
            return await after(function, outputs, state, *others, **more)
        finally:
            _empty(state, function.outputs)

    _replace(demo, "preprocess_data", preprocess)
    _replace(demo, "postprocess_data", postprocess)


def _check(inputs: list[Any], store: Store) -> None:
    pending: list[Any] = [inputs]
    while pending:  # no recursion: a request may be nested as deep as it likes
        value = pending.pop()
        if isinstance(value, dict):
            if value.get("path") is not None and store.key(value["path"]) is None:
                raise gr.Error(f"{_named(value, 'The file')}: is not here: send it again", print_exception=False)
            pending += value.values()
        elif isinstance(value, list):
            pending += value


def _named(payload: dict[str, Any], otherwise: str) -> str:
    """What a visitor calls their file: one short line of it, and no path."""
    name = str(payload.get("orig_name") or "").replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in name if letter.isprintable())[:100] or otherwise


def _empty(state: Any, fields: list[Any]) -> None:
    for field in fields:
        kept = getattr(state, "config_values", {}).get(field._id, {})
        kept.get("props", {}).pop("value", None)


def picture_field(**settings: Any) -> gr.Image:
    """An image field, set up as ``gr.Image``, that hands over an :class:`Upload` or None."""
    field = gr.Image(**settings)
    _replace(field, "preprocess", _picture_upload)
    return field


def video_field(**settings: Any) -> gr.Video:
    """A video field, set up as ``gr.Video``, that hands over an :class:`Upload` or None."""
    field = gr.Video(**settings)
    _replace(field, "preprocess", _video_upload)
    return field


def result_video(**settings: Any) -> gr.Video:
    """Plays a video that this package has written: it needs no conversion, and no ffmpeg to find that out."""
    field = gr.Video(**settings)
    _replace(field, "postprocess", _written_video)
    return field


def _replace(field: gr.Image | gr.Video | gr.Blocks, method: str, function: Callable[..., Any]) -> None:
    """Give one object a method of ours: for a subclass Gradio would write a .pyi file beside our source."""
    setattr(field, method, function)


def _picture_upload(payload: ImageData | None) -> Upload | None:
    if payload is None:
        return None
    name = _named(payload.model_dump(), "picture")
    if payload.url and payload.url.startswith("data:"):
        try:
            return Upload(name, None, base64.b64decode(payload.url.partition(",")[2], validate=True))
        except binascii.Error:
            return Upload(name, None)
    return Upload(name, Path(payload.path)) if payload.path else None


def _video_upload(payload: FileData | None) -> Upload | None:
    return Upload(_named(payload.model_dump(), "video"), Path(payload.path)) if payload and payload.path else None


def _written_video(value: str | None) -> FileData | None:
    return FileData(path=value, orig_name=Path(value).name) if value else None


def read_picture(upload: Upload) -> tuple[Image, str]:
    """Decode an upload: BGR uint8 (H, W, 3), upright, and a note on what was left out of it, often empty.

    Raises:
        SourceError: it is no picture, damaged, too large or too small.
    """
    with DECODING:
        data = upload.read()
        header = read_header(io.BytesIO(data))
        if header.upright_size:
            _check_size(upload.name, *header.upright_size)
        image = images.decode(data, upload.name, max_pixels=MAX_MEGAPIXELS * 1_000_000)
    _check_size(upload.name, image.shape[1], image.shape[0])
    note = "This is an animation: only its first picture was looked at." if header.animated else ""
    return image, note


def _check_size(name: str, width: int, height: int) -> None:
    if width * height > MAX_MEGAPIXELS * 1e6:
        raise SourceError(
            f"{name}: {width} x {height} pixels are too many for this page (at most {MAX_MEGAPIXELS} megapixels): "
            "send a smaller copy, or use python -m detector.run"
        )
    if min(width, height) < SMALLEST_SIDE:
        raise SourceError(f"{name}: {width} x {height} pixels are too few to show a face: send a larger picture")
