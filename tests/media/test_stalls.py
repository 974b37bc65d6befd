"""Streams that stall, break off and are damaged: only whole and new pictures come out, over real connections."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest
from av.video.stream import VideoStream

from detector.errors import SourceError
from detector.media.stream import OPTIONS, STALL_S, Stream
from detector.media.video import open_container
from tests.media.makers import grey, grey_index, grey_video, jpeg, serving

Script = Callable[[Callable[[bytes], None], Callable[[float], None]], None]
"""What a server sends: gets a function that sends bytes, and one that waits for seconds."""


@contextmanager
def playing(script: Script, kind: str) -> Iterator[str]:
    over = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", kind)
        handler.end_headers()

        def send(data: bytes) -> None:
            handler.wfile.write(data)
            handler.wfile.flush()

        script(send, lambda seconds: over.wait(seconds) and None)

    with serving(answer, over) as url:
        yield url


def pictures(url: str, timeout_s: float = 8) -> list[int]:
    """Numbers of all pictures that a connection hands on until it breaks."""
    seen = []
    stream = Stream(open_container(url, "stream", timeout_s, OPTIONS), "stream", timeout_s)
    try:
        while True:
            seen.append(grey_index(stream.read()()))
    except SourceError:
        return seen
    finally:
        stream.close()


MJPEG = "multipart/x-mixed-replace; boundary=picture"


def part(index: int, *, length: bool = True) -> bytes:
    picture = jpeg(grey(index, 640, 480))
    head = f"Content-Length: {len(picture)}\r\n" if length else ""
    return f"--picture\r\nContent-Type: image/jpeg\r\n{head}\r\n".encode() + picture + b"\r\n"


def some(send: Callable[[bytes], None], wait: Callable[[float], None], indices: range) -> None:
    for index in indices:
        send(part(index))
        wait(0.03)


def test_half_a_picture_at_the_end_of_a_stream_is_not_handed_on() -> None:
    def script(send: Callable[[bytes], None], wait: Callable[[float], None]) -> None:
        some(send, wait, range(6))
        send(part(6)[:2000])

    with playing(script, MJPEG) as url:
        assert pictures(url) == list(range(6))


@pytest.mark.parametrize("length", [True, False])
def test_half_a_picture_between_whole_ones_is_not_handed_on(length: bool) -> None:
    def script(send: Callable[[bytes], None], wait: Callable[[float], None]) -> None:
        some(send, wait, range(6))
        half = part(30, length=False)[:2000] + b"\r\n"
        if length:
            head, _, body = half.partition(b"\r\n\r\n")
            half = head + f"\r\nContent-Length: {len(body) - 2}\r\n\r\n".encode() + body
        send(half)
        some(send, wait, range(7, 12))

    with playing(script, MJPEG) as url:
        seen = pictures(url)
    assert 30 not in seen
    assert {*range(6), *range(7, 11)} <= set(seen)


def test_a_picture_that_is_grey_inside_but_has_both_ends_is_not_handed_on() -> None:
    def script(send: Callable[[bytes], None], wait: Callable[[float], None]) -> None:
        some(send, wait, range(6))
        picture = jpeg(grey(30, 640, 480))
        damaged = picture[:-1500] + b"\xff\xd9"
        send(f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(damaged)}\r\n\r\n".encode() + damaged)
        send(b"\r\n")
        some(send, wait, range(7, 12))

    with playing(script, MJPEG) as url:
        assert pictures(url) == [*range(6), *range(7, 12)]


def test_what_a_stall_cut_in_two_is_not_handed_on_nor_what_piled_up_behind_it() -> None:
    def script(send: Callable[[bytes], None], wait: Callable[[float], None]) -> None:
        some(send, wait, range(6))
        send(part(6)[:2000])
        wait(STALL_S + 0.7)
        send(part(6)[2000:] + part(7) + part(8) + part(9))
        wait(0.1)
        some(send, wait, range(10, 16))

    with playing(script, MJPEG) as url:
        seen = pictures(url)
    assert seen[:6] == list(range(6))
    assert not {6, 7, 8} & set(seen)
    assert seen[-3:] == [13, 14, 15]


def test_a_camera_that_is_slow_by_nature_is_not_taken_for_one_that_stalls() -> None:
    def script(send: Callable[[bytes], None], wait: Callable[[float], None]) -> None:
        some(send, wait, range(4))
        for index in range(4, 8):
            wait(STALL_S + 0.3)
            send(part(index))
        wait(1)

    with playing(script, MJPEG) as url:
        seen = pictures(url)
    assert seen == [0, 1, 2, 3, 5, 6, 7]  # the first wait might have been a stall


def transport_stream(folder: Path, keys: int = 10) -> tuple[bytes, list[bytes]]:
    """What comes before the first of 40 frames, and the packets of each; one in ``keys`` is a key frame."""
    options = {"g": str(keys), "bf": "0", "keyint_min": str(keys), "sc_threshold": "0", "tune": "zerolatency"}
    data = grey_video(folder / "clip.ts", count=40, options=options).read_bytes()
    packets = [data[at : at + 188] for at in range(0, len(data), 188)]
    # A packet of PID 0x100 with the flag for the beginning of a frame.
    starts = [index for index, packet in enumerate(packets) if packet[1:3] == b"\x41\x00"]
    assert len(starts) == 40
    ends = [*starts[1:], len(packets)]
    return b"".join(packets[: starts[0]]), [b"".join(packets[a:b]) for a, b in zip(starts, ends, strict=True)]


def test_after_a_lost_packet_nothing_is_handed_on_before_the_next_key_frame(tmp_path: Path) -> None:
    head, frames = transport_stream(tmp_path)

    def script(send: Callable[[bytes], None], _: Callable[[float], None]) -> None:
        send(head + b"".join(frames[:13] + frames[14:]))

    with playing(script, "video/mp2t") as url:
        seen = pictures(url)
    assert {*range(11), *range(20, 39)} <= set(seen)
    assert not set(seen) & set(range(13, 20))


def test_a_run_of_corrupt_packets_costs_the_pictures_up_to_the_next_key_frame_and_no_connection(tmp_path: Path) -> None:
    head, frames = transport_stream(tmp_path)
    noise = np.random.default_rng(0)
    for index in range(13, 27):
        frames[index] = noise.bytes(len(frames[index]))

    def script(send: Callable[[bytes], None], wait: Callable[[float], None]) -> None:
        send(head)
        for frame in frames:
            send(frame)
            wait(0.02)

    with playing(script, "video/mp2t") as url:
        seen = pictures(url)
    assert seen == sorted(set(seen))
    assert {*range(11), *range(31, 39)} <= set(seen)
    assert not set(seen) & set(range(13, 30))


def test_a_picture_can_be_taken_when_its_connection_is_closed_already(tmp_path: Path) -> None:
    def wide(stream: VideoStream) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(2)

    data = grey_video(tmp_path / "wide.ts", prepare=wide).read_bytes()
    with playing(lambda send, _: send(data), "video/mp2t") as url:
        stream = Stream(open_container(url, "stream", 8, OPTIONS), "stream", 8)
        picture = stream.read()
        stream.close()
    assert picture().shape == (48, 128, 3)  # whose shape the closed stream no longer knows


def test_after_a_stall_video_goes_on_with_a_key_frame(tmp_path: Path) -> None:
    head, frames = transport_stream(tmp_path)

    def script(send: Callable[[bytes], None], wait: Callable[[float], None]) -> None:
        send(head)
        for index, frame in enumerate(frames):
            send(frame)
            wait(STALL_S + 0.7 if index == 23 else 0.03)

    with playing(script, "video/mp2t") as url:
        seen = pictures(url)
    assert seen == sorted(set(seen))
    assert {*range(20), *range(31, 39)} <= set(seen)
    assert not set(seen) & set(range(24, 30))


def test_a_stalled_stream_without_a_further_key_frame_is_given_up(tmp_path: Path) -> None:
    head, frames = transport_stream(tmp_path, keys=1000)

    def script(send: Callable[[bytes], None], wait: Callable[[float], None]) -> None:
        send(head + b"".join(frames[:28]))
        wait(STALL_S + 0.5)
        for frame in frames[28:]:
            send(frame)
            wait(0.3)

    with playing(script, "video/mp2t") as url:
        stream = Stream(open_container(url, "stream", STALL_S + 1, OPTIONS), "stream", STALL_S + 1)
        with pytest.raises(SourceError, match=r"^stream: brings no whole picture any more: check the camera"):
            list(iter(stream.read, None))
        stream.close()
