"""Pictures and videos whose every pixel is known, and a server that misbehaves on request."""

from __future__ import annotations

import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]

GREY_STEP = 6  # between the greys of neighbouring frames: more than any codec blurs


def quarters() -> Image:
    """40 high, 60 wide; blue, green / red, black: every turn and mirror of it looks different."""
    image = np.zeros((40, 60, 3), np.uint8)
    image[:20, :30] = (255, 0, 0)
    image[:20, 30:] = (0, 255, 0)
    image[20:, :30] = (0, 0, 255)
    return image


def turned(image: Image, orientation: int) -> Image:
    """What the EXIF orientation says that a viewer shall show, by numpy alone."""
    turns: dict[int, Callable[[Image], Image]] = {
        1: lambda x: x,
        2: np.fliplr,
        3: lambda x: np.rot90(x, 2),
        4: np.flipud,
        5: lambda x: np.swapaxes(x, 0, 1),
        6: lambda x: np.rot90(x, -1),
        7: lambda x: np.rot90(np.swapaxes(x, 0, 1), 2),
        8: lambda x: np.rot90(x, 1),
    }
    return turns[orientation](image)


def exif(orientation: int, order: str = "<") -> bytes:
    """A TIFF header with one directory that holds only the orientation."""
    start = b"II*\0" if order == "<" else b"MM\0*"
    return start + struct.pack(order + "IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def encoded(suffix: str, image: npt.NDArray[Any], *parameters: int) -> bytes:
    done, data = cv2.imencode(suffix, image, parameters)
    assert done
    return data.tobytes()


def jpeg(image: Image, orientation: int | None = None, order: str = "<", thumbnail: bytes = b"") -> bytes:
    """A JPEG file, with an EXIF segment if an orientation is given."""
    data = encoded(".jpg", image, cv2.IMWRITE_JPEG_QUALITY, 95)
    if orientation is None:
        return data
    payload = b"Exif\0\0" + exif(orientation, order) + thumbnail
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + data[2:]


def png(image: npt.NDArray[Any], orientation: int | None = None) -> bytes:
    """A PNG file, with an eXIf chunk before the pixels if an orientation is given."""
    data = encoded(".png", image)
    return data if orientation is None else data[:33] + png_chunk(b"eXIf", exif(orientation)) + data[33:]


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def webp(image: npt.NDArray[Any], orientation: int) -> bytes:
    """A lossless WebP file in the extended format, with an EXIF chunk."""
    chunk = encoded(".webp", image, cv2.IMWRITE_WEBP_QUALITY, 101)[12:]
    if chunk.startswith(b"VP8X"):
        chunk = chunk[18:]
    height, width = image.shape[:2]
    flags = 0x08 | (0x10 if image.shape[2] == 4 else 0)
    extended = bytes([flags, 0, 0, 0]) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    data = exif(orientation)
    body = b"WEBPVP8X" + struct.pack("<I", 10) + extended + chunk + b"EXIF" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def grey(index: int, width: int = 64, height: int = 48) -> Image:
    return np.full((height, width, 3), index * GREY_STEP, np.uint8)


def grey_index(image: Image) -> int:
    """Which frame of a grey video or of the MJPEG server a picture is; green is what a codec changes least."""
    return round(float(image[..., 1].mean()) / GREY_STEP)


def grey_video(
    path: Path,
    count: int = 20,
    fps: Fraction = Fraction(25),
    ticks: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    prepare: Callable[[Any], None] = lambda _: None,
) -> Path:
    """A video whose frame n is grey n * GREY_STEP; ``ticks`` are the frames' times in 1/90000 s."""
    clock = Fraction(1, 90000)
    with av.open(str(path), "w", options=container or {}) as output:
        stream = output.add_stream("libx264", rate=fps, options={"crf": "10", **(options or {})})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        if ticks is not None:
            stream.time_base = stream.codec_context.time_base = clock
        prepare(stream)
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(grey(index), format="bgr24")
            if ticks is not None:
                frame.pts, frame.time_base = ticks[index], clock
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


class Camera:
    """What an MJPEG server does: numbered grey pictures, at its own pace, in as many acts as it gets connections.

    Args:
        acts: for each connection in turn, how many pictures to send and whether to go silent or hang up afterwards.
            After the last act nobody is let in any more.
        interval_s: between two pictures.
    """

    def __init__(self, acts: Sequence[tuple[int, str]], interval_s: float = 0.02) -> None:
        self.acts = list(acts)
        self.interval_s = interval_s
        self.sent: list[float] = []  # when each picture left
        self.over = threading.Event()

    def play(self, handler: BaseHTTPRequestHandler) -> None:
        if not self.acts:
            handler.send_error(503)
            return
        count, then = self.acts.pop(0)
        handler.send_response(200)
        handler.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
        handler.end_headers()
        for _ in range(count):
            picture = jpeg(grey(len(self.sent) % 40))
            head = f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            self.sent.append(time.time())
            handler.wfile.write(head.encode() + picture + b"\r\n")
            handler.wfile.flush()
            if self.over.wait(self.interval_s):
                return
        if then == "silent":
            self.over.wait()


@contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler], None], over: threading.Event | None = None) -> Iterator[str]:
    """Serve ``answer`` on a free port of this machine; yields the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                answer(self)
            except OSError:
                self.close_connection = True  # the client has gone

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        if over is not None:
            over.set()
        server.shutdown()
        thread.join()
        server.server_close()
