"""A real RTSP server: GStreamer's, in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from _benchmark.stream_delay import read_clock
from detector.media.sources import open_source

SERVER = Path(__file__).resolve().parents[2] / "tools" / "_benchmark" / "rtsp_server.py"
PACKAGES = "gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-{base,good,ugly}"


@contextmanager
def camera(*flags: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process of an RTSP camera of 10 pictures a second, and its address."""
    command = ["/usr/bin/python3", str(SERVER), "--fps", "10", *flags]
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    except OSError as error:
        pytest.skip(f"{error}: GStreamer's RTSP server needs it")
    with process:
        address = process.stdout.readline().strip() if process.stdout else ""
        if not address:
            pytest.skip(f"GStreamer's RTSP server is missing: apt install {PACKAGES}")
        try:
            yield process, address
        finally:
            process.kill()


def test_a_stream_comes_over_tcp_and_is_the_newest() -> None:
    with camera() as (_, url), open_source(url, timeout_s=10) as source:
        assert source.is_live
        for index, frame in enumerate(source):
            assert frame.time is not None
            if index == 10:
                assert abs(frame.time - read_clock(frame.image, frame.time)) < 2
                break


def test_a_camera_that_speaks_udp_only_is_heard() -> None:
    with camera("--udp") as (_, url), open_source(url, timeout_s=10) as source:
        frame = next(iter(source))
        assert frame.image.shape == (64, 512, 3)


def test_a_picture_that_comes_in_slices_is_handed_on_once_and_whole() -> None:
    with camera("--slices", "2", "--height", "256") as (_, url), open_source(url, timeout_s=10) as source:
        clocks = []
        for frame in source:
            assert frame.time is not None
            assert np.abs(frame.image[20:].astype(int) - 130).max() < 15  # else the missing half is green
            clocks.append(read_clock(frame.image, frame.time))
            if len(clocks) == 20:
                break
    assert clocks == sorted(set(clocks))


def test_the_picture_may_change_its_size_in_the_middle_of_a_stream() -> None:
    with camera("--resize", "10") as (_, url), open_source(url, timeout_s=10) as source:
        for frame in source:
            if frame.image.shape == (128, 512, 3):
                break
            assert frame.image.shape == (64, 512, 3)
        assert np.abs(frame.image[20:].astype(int) - 128).max() < 12  # all of it is there
        assert source.losses == 0


@pytest.mark.parametrize("how", ["killed", "stalled"])
def test_after_a_loss_the_first_picture_is_newer_than_the_server_that_brings_it(how: str) -> None:
    with camera() as (process, url), open_source(url, timeout_s=2) as source:
        port = url.split(":")[2].split("/")[0]
        frames = iter(source)
        next(frames)
        if how == "killed":
            process.kill()
            process.wait()
            restarted = time.time()
            with camera("--port", port, "--height", "96"):
                frame = next(frame for frame in frames if frame.image.shape[0] == 96)
        else:
            process.send_signal(signal.SIGSTOP)
            threading.Timer(4, lambda: process.send_signal(signal.SIGCONT)).start()
            while not source.losses:
                time.sleep(0.1)
            restarted = source.changes[0].time
            next(frames)  # waited in the source since before it stalled
            frame = next(frames)
        assert frame.time is not None
        assert read_clock(frame.image, frame.time) > restarted
        assert [change.what for change in source.changes][:2] == ["lost", "back"]
