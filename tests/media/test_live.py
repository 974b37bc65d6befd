from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from itertools import islice, pairwise
from pathlib import Path
from weakref import WeakSet

import cv2
import numpy as np
import pytest

from detector.errors import SourceError
from detector.media import images
from detector.media.images import Image
from detector.media.live import Camera as CaptureDevice
from detector.media.live import Connection, LiveSource
from detector.media.sources import open_source
from tests.media.makers import Camera, encoded, grey, grey_index, grey_video, jpeg, quarters, serving


def answering(data: bytes, kind: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def test_a_slow_consumer_gets_the_newest_picture_and_none_twice() -> None:
    camera = Camera([(400, "silent")], interval_s=0.02)
    seen = []
    with serving(camera.play, camera.over) as url, open_source(url, timeout_s=5) as source:
        assert source.is_live
        assert source.length is None
        for frame in source:
            seen.append(grey_index(frame.image))
            assert frame.time is not None
            behind = (len(camera.sent) - 1 - seen[-1]) % 40
            assert behind <= 5 or len(seen) <= 2  # the first come from what was sent while the stream was probed
            if len(seen) == 12:
                break
            time.sleep(0.1)
        assert source.dropped > 12  # type: ignore[attr-defined]
    assert all(before != after for before, after in pairwise(seen))
    assert [frame_number for frame_number in np.diff(seen) % 40 if frame_number > 15] == []  # never backwards


def test_a_stream_that_drops_comes_back_and_nothing_is_invented(caplog: pytest.LogCaptureFixture) -> None:
    camera = Camera([(8, "hang up"), (100, "silent")])
    seen, indices = [], []
    with (
        caplog.at_level(logging.WARNING),
        serving(camera.play, camera.over) as url,
        open_source(url, timeout_s=5) as source,
    ):
        for frame in source:
            seen.append(grey_index(frame.image))
            indices.append(frame.index)
            if seen[-1] >= 12:
                break
    assert seen == sorted(set(seen))
    assert max(seen) < len(camera.sent)
    assert indices == list(range(len(seen)))
    assert any("connecting again in 0.5 s, attempt 1" in message for message in caplog.messages)
    assert any("back after" in message for message in caplog.messages)


def test_a_stream_that_goes_silent_is_connected_again() -> None:
    camera = Camera([(5, "silent"), (100, "silent")])
    with serving(camera.play, camera.over) as url, open_source(url, timeout_s=0.5) as source:
        for frame in source:
            if grey_index(frame.image) >= 8:
                break
    assert not camera.acts


def test_a_stream_that_stays_away_ends_in_an_error(caplog: pytest.LogCaptureFixture) -> None:
    camera = Camera([(5, "hang up")])
    started = time.monotonic()
    with (
        caplog.at_level(logging.WARNING),
        serving(camera.play, camera.over) as url,
        open_source(url, timeout_s=2, reconnect_limit_s=0.8) as source,
        pytest.raises(SourceError, match=r"http://127.*\(lost, and not back within 0\.8 s\)$"),
    ):
        list(source)
    assert 0.8 <= time.monotonic() - started < 5
    assert any("attempt 1" in message for message in caplog.messages)


def test_closing_does_not_wait_for_a_silent_stream() -> None:
    camera = Camera([(3, "silent")])
    with serving(camera.play, camera.over) as url:
        source = open_source(url, timeout_s=20)
        next(iter(source))
        started = time.monotonic()
        source.close()
        assert time.monotonic() - started < 4
        assert list(source) == []


def test_nobody_there_is_an_error_at_once() -> None:
    for url in ("http://127.0.0.1:9/video", "rtsp://user:secret@127.0.0.1:9/video"):
        with pytest.raises(
            SourceError, match=r"//127\.0\.0\.1:9/video: cannot be opened \(Connection refused\)"
        ) as caught:
            open_source(url)
        assert "secret" not in str(caught.value)


def test_an_address_that_never_answers_ends_in_time() -> None:
    over = threading.Event()

    def keep_waiting(_: BaseHTTPRequestHandler) -> None:
        over.wait()

    with (
        serving(keep_waiting, over) as url,
        pytest.raises(SourceError, match=r"no answer within 0\.3 s"),
    ):
        open_source(url, timeout_s=0.3)


def test_a_page_of_text_is_no_picture() -> None:
    with (
        serving(answering(b"<html>not here</html>" * 50, "text/html")) as url,
        pytest.raises(SourceError, match="neither an image nor a video"),
    ):
        open_source(url, timeout_s=5)


STILLS = {
    "photo": jpeg(quarters(), 6),
    "photo.jpg": jpeg(quarters(), 6),  # by this name, FFmpeg takes it for the first of several
    "photo.png": encoded(".png", quarters()),
    "photo.tif": encoded(".tiff", np.random.default_rng(0).integers(0, 255, (200, 300, 3), dtype=np.uint8)),
}


@pytest.mark.parametrize("name", STILLS)
def test_a_still_image_behind_a_url_is_a_still_image(name: str) -> None:
    data = STILLS[name]
    with serving(answering(data, "image")) as url, open_source(f"{url}/{name}", timeout_s=5) as source:
        (frame,) = source
    assert not source.is_live
    assert frame.time is None
    np.testing.assert_array_equal(frame.image, images.decode(data, "the file"))


def test_a_finite_video_behind_a_url_ends_where_it_ends(tmp_path: Path) -> None:
    data = grey_video(tmp_path / "clip.mp4", container={"movflags": "faststart"}).read_bytes()
    with serving(answering(data, "video/mp4")) as url, open_source(f"{url}/clip.mp4", timeout_s=5) as source:
        assert (source.is_live, source.length, source.fps) == (False, 20, 25)
        assert [grey_index(frame.image) for frame in source] == list(range(20))


class Numbers(Connection):
    """A connection that breaks after as many pictures as it is told."""

    def __init__(self, pictures: int) -> None:
        self.left = pictures
        self.closed = False

    def read(self) -> Callable[[], Image]:
        if not self.left:
            raise SourceError("numbers: broken")
        self.left -= 1
        return lambda: grey(self.left)

    def close(self) -> None:
        self.closed = True


def test_a_connection_that_opens_but_brings_nothing_does_not_reset_the_limit() -> None:
    made = [Numbers(1)]

    def connect() -> Connection:
        made.append(Numbers(0))
        return made[0] if len(made) == 2 else made[-1]

    with (
        LiveSource("numbers", connect, reconnect_limit_s=0.6) as source,
        pytest.raises(SourceError, match=r"not back within 0\.6 s"),
    ):
        list(source)
    assert len(made) <= 5
    assert made[0].closed
    assert all(connection.closed for connection in made[2:])


def test_a_lost_connection_is_freed_at_once_also_when_the_next_one_is_refused() -> None:
    alive: WeakSet[Connection] = WeakSet()
    answers = [Numbers(1), None, Numbers(1), None, Numbers(1)]

    def connect() -> Connection:
        connection = answers.pop(0) if answers else None
        if connection is None:
            raise SourceError("numbers: refused")
        alive.add(connection)
        return connection

    gc.disable()  # it would find them in the end: after hours, for a connection's few objects do not call it
    try:
        with LiveSource("numbers", connect, reconnect_limit_s=30) as source:
            while source.losses < 3:
                time.sleep(0.05)
            assert len(alive) <= 1
    finally:
        gc.enable()


@pytest.mark.parametrize("leap_s", [86400.0, -86400.0])
def test_a_clock_that_is_set_neither_ends_nor_holds_up_a_stream_that_drops(
    leap_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Numbers] = []

    def connect() -> Connection:
        made.append(Numbers(1))
        if len(made) > 1:  # set while the stream is away
            monkeypatch.setattr(time, "time", lambda: 1e9 + leap_s * len(made))
        return made[-1]

    with LiveSource("numbers", connect, reconnect_limit_s=5) as source:
        started = time.monotonic()
        assert [frame.time is not None for frame in islice(source, 3)] == [True] * 3
        assert 0.9 < time.monotonic() - started < 4  # two pauses of half a second
        assert source.losses >= 2


def test_a_first_connection_without_a_picture_is_an_error_at_once() -> None:
    started = time.monotonic()
    with pytest.raises(SourceError, match=r"^numbers: broken$"):
        LiveSource("numbers", lambda: Numbers(0), reconnect_limit_s=60)
    assert time.monotonic() - started < 2


def test_a_capture_device_that_ends_says_so(tmp_path: Path) -> None:
    path = grey_video(tmp_path / "clip.mp4", count=2)
    device = CaptureDevice(cv2.VideoCapture(str(path)), "camera 0")
    assert device.fps == 25
    assert [grey_index(device.read()()) for _ in range(2)] == [0, 1]
    with pytest.raises(SourceError, match=r"^camera 0: brings no picture: check its cable"):
        device.read()
    device.close()
