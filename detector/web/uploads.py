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

from detector.errors import SourceError
from detector.media import images
from detector.media.image_header import read_header
from detector.media.images import Image

__all__ = ["MAX_MEGAPIXELS", "Upload", "picture_field", "read_picture", "result_video", "video_field"]

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


def _replace(field: gr.Image | gr.Video, method: str, function: Callable[..., Any]) -> None:
    """Give one field a method of ours: for a subclass Gradio would write a .pyi file beside our source."""
    setattr(field, method, function)


def _picture_upload(payload: ImageData | None) -> Upload | None:
    if payload is None:
        return None
    name = payload.orig_name or "picture"
    if payload.url and payload.url.startswith("data:"):
        try:
            return Upload(name, None, base64.b64decode(payload.url.partition(",")[2], validate=True))
        except binascii.Error:
            return Upload(name, None)
    return Upload(name, Path(payload.path)) if payload.path else None


def _video_upload(payload: FileData | None) -> Upload | None:
    return Upload(payload.orig_name or "video", Path(payload.path)) if payload and payload.path else None


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
