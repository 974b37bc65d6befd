"""How old is the frame on the screen? A local camera draws its clock into its frames, and we read it there."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from _benchmark.timing import Ratio
from detector.detections import Detections
from detector.engines import load_engine
from detector.media import images
from detector.media.frames import Frame
from detector.media.sinks import Sink
from detector.media.sources import open_source
from detector.run import run

__all__ = ["stream_delay"]

FPS = 25
CELL = 16  # px; a clock of black and white cells survives JPEG
BITS = 32  # milliseconds, modulo 49 days
Image = npt.NDArray[np.uint8]


def stream_delay(weights: Path, picture: Path, seconds: float, threads: int) -> Iterable[Ratio]:
    """Delay between the camera's clock and the moment the frame, with its faces, would be on the screen."""
    camera = _Camera(np.asarray(cv2.resize(images.read(picture), (640, 480)), np.uint8))
    shown = _Shown(seconds)
    with camera, load_engine(weights=weights, threads=threads) as engine, open_source(camera.url) as source:
        inference: list[float] = []

        def timed(image: Image) -> Detections:
            started = time.perf_counter()
            found = engine(image)
            inference.append(time.perf_counter() - started)
            return found

        run(shown.until_done(source), timed, [shown])
    delays = [delay for _, delay in shown.delays]
    tenth = max(len(delays) // 10, 1)
    first, last = statistics.median(delays[:tenth]), statistics.median(delays[-tenth:])
    limit = 2 / FPS + statistics.median(inference)
    median = statistics.median(delays)
    yield Ratio(
        f"{seconds:.0f} s of a local {FPS} fps stream, {len(delays)} frames shown: median delay behind its clock",
        f"{median * 1e3:.0f} ms", "–", f"p95 {np.percentile(delays, 95) * 1e3:.0f} ms",
        f"under {limit * 1e3:.0f} ms", median < limit,
    )  # fmt: skip
    yield Ratio(
        "the same: first tenth against last tenth of the time", f"{last * 1e3:.0f} ms", f"{first * 1e3:.0f} ms",
        f"{(last - first) * 1e3:+.0f} ms", "does not grow", last - first < 1 / FPS,
    )  # fmt: skip


class _Shown(Sink):
    """Stands where the window stands: reads the clock of each frame when it would be on the screen."""

    def __init__(self, seconds: float) -> None:
        self.delays: list[tuple[float, float]] = []
        self._end = time.monotonic() + seconds

    def until_done(self, frames: Iterable[Frame]) -> Iterable[Frame]:
        for frame in frames:
            if time.monotonic() > self._end:
                return
            yield frame

    def write(self, frame: Frame, detections: Detections) -> None:  # noqa: ARG002 - a sink's signature
        now = time.time()
        self.delays.append((now, now - read_clock(frame.image, now)))

    def close(self) -> None:
        """Nothing to finish."""


class _Camera:
    """An MJPEG camera on this machine, ``FPS`` frames a second, whatever the viewer does."""

    def __init__(self, picture: Image) -> None:
        camera = self
        self.picture = picture
        self.stopped = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                camera.serve(self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/camera.mjpg"

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        request.end_headers()
        due = time.monotonic()
        while not self.stopped.is_set():
            frame = self.picture.copy()
            draw_clock(frame, time.time())
            data = images.encode(frame, ".jpg")
            try:
                request.wfile.write(
                    b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(data), data)
                )
            except OSError:  # the viewer left
                return
            due += 1 / FPS
            time.sleep(max(due - time.monotonic(), 0))

    def __enter__(self) -> _Camera:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()


def draw_clock(image: Image, seconds: float) -> None:
    """Write the clock's milliseconds into the top row of a frame as black and white cells."""
    value = int(seconds * 1000) % 2**BITS
    for bit in range(BITS):
        image[:CELL, bit * CELL : (bit + 1) * CELL] = 255 if value >> bit & 1 else 0


def read_clock(image: Image, now: float) -> float:
    """The clock in a frame, in seconds; ``now`` says which 49 days."""
    bits = image[CELL // 2, CELL // 2 : BITS * CELL : CELL].mean(axis=1) > 127
    value = sum(1 << index for index, bit in enumerate(bits) if bit)
    turns = round((now * 1000 - value) / 2**BITS)
    return float(value + turns * 2**BITS) / 1000
