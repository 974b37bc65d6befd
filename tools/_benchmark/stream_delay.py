"""How old is the frame on the screen? A local camera draws its clock into its frames, and we read it there."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np

from _benchmark.ratios import Ratio, Settings
from detector.engines import load_engine
from detector.media import images
from detector.media.images import Image
from detector.media.sources import open_source

FPS = 25
CELL = 16  # px; a clock of black and white cells survives JPEG
BITS = 32  # milliseconds, modulo 49 days


def stream_delay(settings: Settings) -> Iterator[Ratio]:
    """Delay between the camera's clock and the moment the frame, with its faces, would be on the screen."""
    picture = np.asarray(cv2.resize(images.read(settings.picture), (640, 480)), np.uint8)
    delays, inference = [], []
    with (
        camera(picture) as address,
        load_engine(weights=settings.weights, threads=settings.threads) as engine,
        open_source(address) as source,
    ):
        end = time.monotonic() + settings.seconds
        for frame in source:
            started = time.perf_counter()
            engine(frame.image)
            inference.append(time.perf_counter() - started)
            now = time.time()
            delays.append(now - read_clock(frame.image, now))
            if time.monotonic() > end:
                break
    tenth = max(len(delays) // 10, 1)
    first, last = statistics.median(delays[:tenth]), statistics.median(delays[-tenth:])
    limit, median = 2 / FPS + statistics.median(inference), statistics.median(delays)
    yield Ratio(
        f"{settings.seconds:.0f} s of a local {FPS} fps stream, {len(delays)} frames shown: "
        "median delay behind its clock",
        wanted=f"under {limit * 1e3:.0f} ms",
        met=median < limit,
        ours=f"{median * 1e3:.0f} ms",
        ratio=f"p95 {np.percentile(delays, 95) * 1e3:.0f} ms",
    )
    yield Ratio(
        "the same: first tenth against last tenth of the time",
        wanted="does not grow",
        met=last - first < 1 / FPS,
        ours=f"{last * 1e3:.0f} ms",
        theirs=f"{first * 1e3:.0f} ms",
        ratio=f"{(last - first) * 1e3:+.0f} ms",
    )


@contextmanager
def camera(picture: Image, port: int = 0, fps: int = FPS) -> Iterator[str]:
    """The address of an MJPEG camera on this machine, ``fps`` frames a second, whatever the viewer does."""
    stopped = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            due = time.monotonic()
            while not stopped.is_set():
                frame = picture.copy()
                draw_clock(frame, time.time())
                data = images.encode(frame, ".jpg")
                head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data)
                try:
                    self.wfile.write(head + data + b"\r\n")
                except OSError:  # the viewer left
                    return
                due += 1 / fps
                time.sleep(max(due - time.monotonic(), 0))

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/camera.mjpg"
        stopped.set()
        server.shutdown()


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
