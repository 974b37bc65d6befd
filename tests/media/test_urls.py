"""What is behind http, and ends: videos without a duration, pictures of every kind, web pages."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detector.errors import SourceError
from detector.media.frames import StillSource
from detector.media.sources import open_source
from tests.media.makers import grey_index, grey_video, quarters, serving

KINDS = ("GIF", "PNG", "WEBP", "BMP", "TIFF", "PPM")


@contextmanager
def served(data: bytes, *, length: bool = True) -> Iterator[tuple[str, list[str]]]:
    """The address of these bytes, and a list that grows with every request."""
    requests: list[str] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        requests.append(handler.path)
        handler.send_response(200)
        if length:
            handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    with serving(answer) as url:
        yield f"{url}/it", requests


@pytest.mark.parametrize("name", ["clip.mkv", "clip.ts", "clip.flv"])
def test_a_video_without_a_duration_is_read_once(tmp_path: Path, name: str) -> None:
    # As a browser records: nobody goes back to write the duration into the head.
    live = {"live": "1"} if name.endswith("mkv") else {"flvflags": "no_duration_filesize"}
    data = grey_video(tmp_path / name, container=live if not name.endswith("ts") else None).read_bytes()
    with served(data) as (url, requests), open_source(url, timeout_s=5) as source:
        assert not source.is_live
        assert [grey_index(frame.image) for frame in source] == list(range(20))
        assert len(requests) <= 2


def picture(kind: str, **options: object) -> bytes:
    data = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(quarters()[..., ::-1])).save(data, kind, **options)
    return data.getvalue()


@pytest.mark.parametrize(
    ("kind", "length"),
    # FFmpeg looks for the index of an AVIF at its end.
    [(kind, True) for kind in (*KINDS, "AVIF")] + [(kind, False) for kind in KINDS],
)
def test_a_picture_is_a_picture(kind: str, length: bool) -> None:
    with served(picture(kind), length=length) as (url, requests), open_source(url, timeout_s=5) as source:
        assert isinstance(source, StillSource)
        (frame,) = source
        assert (frame.time, frame.image.shape) == (None, (40, 60, 3))
        assert len(requests) <= 2


def test_of_an_animation_the_first_picture_is_taken() -> None:
    more = [Image.new("RGB", (60, 40), "white")]
    data = picture("GIF", save_all=True, append_images=more)
    with served(data) as (url, _), open_source(url, timeout_s=5) as source:
        (frame,) = source
        assert np.abs(frame.image.astype(int) - quarters()).max() < 20


@pytest.mark.parametrize("length", [True, False])
def test_a_web_page_is_refused_in_one_line(length: bool) -> None:
    data = b"<!DOCTYPE html><html><body>" + b"<video src=clip.mp4></video>" * 50 + b"</body></html>"
    with served(data, length=length) as (url, _), pytest.raises(SourceError, match="web page") as caught:
        open_source(url, timeout_s=5)
    assert "\n" not in str(caught.value)
