"""Streams whose servers are killed again and again, and several cameras at once."""

from __future__ import annotations

import multiprocessing
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import psutil

from _benchmark.ratios import Ratio, Settings
from _benchmark.stream_delay import camera, read_clock
from detector._heap import return_memory
from detector.detections import Detections
from detector.engines import load_engine
from detector.media import images
from detector.media.encode import VideoSink
from detector.media.frames import Frame
from detector.media.images import Image
from detector.media.records import JsonLinesSink
from detector.media.sinks import Sink
from detector.media.sources import open_source
from detector.run import Channel, run_channels

FPS = 5
LIFE_S, DEATH_S = 20.0, 2.0  # of a server
SETTLED_S = 120.0  # after which memory is not to grow
SOURCES = 4
RTSP_SERVER = Path(__file__).parent / "rtsp_server.py"


@dataclass
class Server:
    """A camera in a process of its own, which is killed and started anew.

    Args:
        name: in the table.
        start: makes the process.
        address: where it serves.
    """

    name: str
    start: Callable[[], subprocess.Popen[bytes] | multiprocessing.process.BaseProcess]
    address: str
    starts: list[float] = field(default_factory=list)
    listens: list[float] = field(default_factory=list)

    def live(self, over: threading.Event) -> None:
        """Live and die until it is ``over``."""
        while not over.is_set():
            self.starts.append(time.time())
            process = self.start()
            while not self._answers() and not over.wait(0.1):
                pass
            self.listens.append(time.time())
            over.wait(LIFE_S)
            process.kill()
            over.wait(DEATH_S)

    def _answers(self) -> bool:
        host, port = self.address.split("/")[2].split(":")
        with suppress(OSError), socket.create_connection((host, int(port)), 1):
            return True
        return False


class ClockSink(Sink):
    """Reads the clock in each picture, and so which life of the server it is from."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.first: dict[int, float] = {}
        self.stale = 0

    def write(self, frame: Frame, _: Detections) -> None:
        """Keep when the first picture of each life came, and count those of a life before it."""
        drawn = read_clock(frame.image, frame.time or 0.0)
        life = sum(start <= drawn for start in self.server.starts)
        self.stale += life < max(self.first, default=0)
        self.first.setdefault(life, frame.time or 0.0)

    def close(self) -> None:
        """Nothing is open."""


class Until(Sink):
    """Ends a run after some seconds."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def closed(self) -> bool:  # type: ignore[override]
        """Whether they are over."""
        return time.monotonic() > self._end

    def write(self, frame: Frame, detections: Detections) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        """Nothing is open."""


class Usage:
    """What this process uses, every second: (seconds, resident bytes, file descriptors, threads)."""

    def __init__(self) -> None:
        self.rows: list[tuple[float, int, int, int]] = []

    def watch(self, over: threading.Event) -> None:
        """Look until it is ``over``."""
        me, began = psutil.Process(), time.monotonic()
        while not over.wait(1.0):
            self.rows.append((time.monotonic() - began, me.memory_info().rss, me.num_fds(), me.num_threads()))

    def around(self, second: float) -> list[int]:
        """The least of each in two lives and deaths of the servers that end there: a lost stream has no threads."""
        near = [row[1:] for row in self.rows if second - 2 * (LIFE_S + DEATH_S) <= row[0] <= second]
        return [min(column) for column in zip(*near, strict=True)]


def stream_soak(settings: Settings) -> Iterator[Ratio]:
    """An HTTP and an RTSP stream at once, with everything that ``mask-detector run`` does, their servers killed."""
    servers = [_http(settings.picture), *_rtsp()]
    over, usage = threading.Event(), Usage()
    clocks = [ClockSink(server) for server in servers]
    threads = [threading.Thread(target=server.live, args=(over,)) for server in servers]
    for thread in threads:
        thread.start()
    while not all(server.listens for server in servers):
        time.sleep(0.1)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        stack.callback(over.set)
        engine = stack.enter_context(load_engine(weights=settings.weights, threads=1))
        table = stack.enter_context(JsonLinesSink(Path(folder, "faces.jsonl")))
        channels, until = [], Until(settings.seconds)
        for server, clock in zip(servers, clocks, strict=True):
            source = stack.enter_context(open_source(server.address))
            video = stack.enter_context(VideoSink(Path(folder, f"{server.name}.mp4"), source.fps))
            channels.append(Channel(source, lambda frame: engine(frame.image), [clock, table, video, until]))
        return_memory()  # as ``mask-detector run`` does for a live source
        threads.append(threading.Thread(target=usage.watch, args=(over,)))
        threads[-1].start()
        began = time.monotonic()
        run_channels(channels)
        seconds = time.monotonic() - began
    for thread in threads:
        thread.join()
    for server, clock in zip(servers, clocks, strict=True):
        yield _returns(server, clock, seconds)
    yield from _levels(usage)


def _returns(server: Server, clock: ClockSink, seconds: float) -> Ratio:
    lives = [life for life, listens in enumerate(server.listens, 1) if listens < time.time() - LIFE_S]
    missed = [life for life in lives if life not in clock.first]
    waits = [clock.first[life] - server.listens[life - 1] for life in lives[1:] if life in clock.first]
    return Ratio(
        f"{server.name}, {seconds / 60:.0f} min, server killed {len(lives) - 1} times: back; pictures older than the "
        "server that runs",
        wanted="each time; 0",
        met=not missed and not clock.stale,
        ours=f"{len(waits)} times; {clock.stale}",
        ratio=f"seconds after it listens: {statistics.median(waits):.1f}, at most {max(waits):.1f}" if waits else "–",
    )


def _levels(usage: Usage) -> Iterator[Ratio]:
    last = usage.rows[-1][0]
    early, late = usage.around(min(SETTLED_S, last / 2)), usage.around(last)
    for name, unit, scale, limit, before, after in (
        ("memory", "MB", 1e6, 1.05, early[0], late[0]),
        ("file descriptors", "", 1.0, 1.0, early[1], late[1]),
        ("threads", "", 1.0, 1.0, early[2], late[2]),
    ):
        yield Ratio(
            f"{name} after {min(SETTLED_S, last / 2):.0f} s and after {last:.0f} s",
            wanted=f"at most {limit - 1:.0%} more",
            met=after <= limit * before,
            ours=f"{after / scale:.0f} {unit}".strip(),
            theirs=f"{before / scale:.0f} {unit}".strip(),
            ratio=f"{after / before - 1:+.1%}",
        )


def _small(path: Path) -> Image:
    return np.asarray(cv2.resize(images.read(path), (512, 384)), np.uint8)


def _serve(picture: Path, port: int) -> None:
    with camera(_small(picture), port, FPS):
        threading.Event().wait()


def _http(picture: Path) -> Server:
    with camera(_small(picture)) as address:  # a port that is free
        port = int(address.split(":")[2].split("/")[0])
    spawn = multiprocessing.get_context("spawn")

    def start() -> multiprocessing.process.BaseProcess:
        process = spawn.Process(target=_serve, args=(picture, port), daemon=True)
        process.start()
        return process

    return Server("http", start, address)


def _rtsp() -> Iterator[Server]:
    """Nothing where GStreamer is missing."""
    command = ["/usr/bin/python3", str(RTSP_SERVER), "--fps", str(FPS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as first:  # noqa: S603 - our own script
        address = first.stdout.readline().strip() if first.stdout else ""
        first.kill()
    if not address:
        print("| rtsp: not measured, for GStreamer is missing: see tools/_benchmark/rtsp_server.py | | | | | |")
        return
    again = [*command, "--port", address.split(":")[2].split("/")[0]]
    yield Server("rtsp", lambda: subprocess.Popen(again, stdout=subprocess.DEVNULL), address)  # noqa: S603


def several(settings: Settings) -> Iterator[Ratio]:
    """Four cameras of two sizes share one engine that is too slow for all of their pictures."""
    picture = images.read(settings.picture)
    sizes = [(640, 480), (1280, 720)] * (SOURCES // 2)
    with ExitStack() as stack:
        engine = stack.enter_context(load_engine(weights=settings.weights, threads=settings.threads))
        channels, until = [], Until(min(settings.seconds, 60))
        for size in sizes:
            address = stack.enter_context(camera(np.asarray(cv2.resize(picture, size), np.uint8)))
            source = stack.enter_context(open_source(address))
            channels.append(Channel(source, lambda frame: engine(frame.image), [until]))
        run_channels(channels)
    counts = [channel.summary.frames for channel in channels]
    yield Ratio(
        f"{SOURCES} cameras of 25 fps at once: frames of the one that got most and of the one that got least",
        wanted="within 10 %",
        met=max(counts) <= 1.1 * min(counts),
        ours=str(min(counts)),
        theirs=str(max(counts)),
        ratio=f"{max(counts) / min(counts):.2f}, together {sum(channel.summary.fps for channel in channels):.0f} fps",
    )
