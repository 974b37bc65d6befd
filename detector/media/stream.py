"""What is behind a URL: a still image, a finite video, or a stream that goes on."""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeVar

from detector.errors import SourceError
from detector.media.addresses import HOW_TO, checked_address, without_password
from detector.media.converter import bgr_converter, pixel_ratio
from detector.media.frames import POLL_S, Source, StillSource
from detector.media.image_header import HEIF, read_header
from detector.media.images import Image
from detector.media.live import Connection, LiveSource
from detector.media.video import MAX_FRAME_PIXELS, REMOTE, VideoSource, open_container, video_stream

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame

__all__ = ["Stream", "open_url"]

T = TypeVar("T")

MAX_STILL_BYTES = 256 << 20

STALL_S = 2.0  # seconds without data after which a stream has stalled; a camera that was slower before may take longer
BACKLOG_S = 0.005  # what comes sooner than this had been waiting

OPTIONS = {
    **REMOTE,
    "max_pixels": str(MAX_FRAME_PIXELS),
    # Enough to see a picture of a 4K camera, little enough to start within a second. FFmpeg's "nobuffer" is left out
    # on purpose: it throws the pictures seen while probing away, the first key frame among them, and saves nothing
    # here, where a backlog is decoded at once and only its newest picture kept.
    "probesize": "2000000",
    "analyzeduration": "1000000",
    "rtsp_flags": "prefer_tcp",  # a packet lost over UDP is a grey picture; some cameras speak only that
}


class Stream(Connection):
    """An open network stream, of which only whole and new pictures are handed on.

    What is damaged on the way spoils the pictures after it up to the next key frame. What comes out of a stall was sent
    before it or during it, so it is decoded, but nothing is handed on before the stream has been waited for again.

    Args:
        container: PyAV's container with a video stream.
        name: what messages call it.
        timeout_s: after a stall or damage, hang up when no good picture comes for so long.
        late: whether the stream stalled while it was opened.
    """

    def __init__(self, container: InputContainer, name: str, timeout_s: float, *, late: bool = False) -> None:
        self._container = container
        self._name = name
        self._timeout_s = timeout_s
        self._stream = stream = video_stream(container)
        # Threads by frame would hold one frame back for each thread; so would the decoder for reordering.
        stream.thread_type = "SLICE"
        self._decoder = stream.codec_context
        self._decoder.options = {"flags": "low_delay", "max_pixels": str(MAX_FRAME_PIXELS)}
        if self._decoder.name == "h264":
            # GStreamer repeats the stream's head between the slices of a key frame, and FFmpeg's parser cuts there: the
            # parts are one picture, which is handed out as soon as it is whole.
            self._decoder.options |= {"flags2": "+chunks"}
        if self._decoder.name == "mjpeg":  # else the missing half of a picture is grey
            self._decoder.options |= {"err_detect": "explode"}
        rate = stream.average_rate or stream.guessed_rate
        self.fps = Fraction(rate) if rate and rate <= 1000 else None
        self._packets = container.demux(stream)
        self._convert = bgr_converter(MAX_FRAME_PIXELS)
        self._spoilt = False  # until the next key frame
        self._late = late  # until a packet has to be waited for
        self._longest_s = STALL_S / 3  # that it took between two packets of late

    def read(self) -> Callable[[], Image]:
        """Wait for the next picture; every one is decoded, only those that are wanted are converted."""
        began = time.monotonic()
        while True:
            asked = time.monotonic()
            packet = self._next_packet()
            self._look_at_clock(time.monotonic() - asked)
            if (self._late or self._spoilt) and time.monotonic() - began > self._timeout_s:
                raise SourceError(f"{self._name}: brings no whole picture any more: check the camera and the network")
            frame = self._decoded(packet)
            if frame is not None and not self._late:
                ratio = pixel_ratio(self._stream)  # now: who converts it may do so after the connection is closed
                return lambda: self._convert(frame, ratio)

    def _next_packet(self) -> Packet[Any]:
        import av.error

        try:
            packet = next(self._packets, None)
        except av.error.ExitError as error:
            raise SourceError(f"{self._name}: nothing arrives any more: check the camera and the network") from error
        except av.error.FFmpegError as error:
            raise SourceError(f"{self._name}: the connection broke ({error.strerror}): check the network") from error
        if packet is None or not packet.size:
            raise SourceError(f"{self._name}: the other side ended the stream: check that it still runs")
        return packet

    def _look_at_clock(self, waited_s: float) -> None:
        """Tell a stall from the pace of a slow camera; what ends a stall was begun before it."""
        if waited_s > max(STALL_S, 3 * self._longest_s):
            self._late = self._spoilt = True
            self._decoder.flush_buffers()
        elif waited_s > BACKLOG_S:
            self._late = False
        self._longest_s = max(waited_s, 0.9 * self._longest_s)

    def _decoded(self, packet: Packet[Any]) -> VideoFrame | None:
        """The newest picture that a packet brings out, if it is whole."""
        import av.error

        whole = not packet.is_corrupt
        if whole and self._decoder.name == "mjpeg":
            whole = read_header(io.BytesIO(bytes(packet))).complete
        self._spoilt = not whole or (self._spoilt and not packet.is_keyframe)
        if self._spoilt:
            return None
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            self._spoilt = True
            return None
        self._spoilt = any(frame.is_corrupt for frame in frames)
        return frames[-1] if frames and not self._spoilt else None

    def close(self) -> None:
        """Hang up."""
        self._container.close()


def open_url(url: str, *, timeout_s: float, reconnect_limit_s: float) -> Source:
    """Connect to a URL and find out what is there.

    A single image is a still; a video of known duration or number of bytes is a file, whose end is its end; the rest is
    live.

    Raises:
        SourceError: not an address, no answer, or neither video nor image.
    """
    name, url = without_password(url), checked_address(url)

    def connect() -> InputContainer:
        return open_container(url, name, timeout_s, OPTIONS)

    def as_bytes() -> InputContainer:
        return open_container(url, name, timeout_s, OPTIONS, kind="data")

    began = time.monotonic()
    try:
        container = _interruptible(connect)
    except SourceError as error:
        if not re.search(r"://.*[/?#].*@", url):
            raise
        raise SourceError(f"{error}; {HOW_TO}") from error  # a number ended what is taken for a host and its port
    if _is_picture(container):
        container.close()
        return _interruptible(lambda: _still(as_bytes(), name))
    # Cameras that send one JPEG after the other name any number of bytes for what never ends.
    if container.duration or (container.size > 0 and container.format.name != "mpjpeg"):
        container.close()
        return _interruptible(lambda: VideoSource(url, name, timeout_s))
    # The connection that was made to find out is the first one of the live source.
    opened = [(began, container)]

    def attach() -> Stream:
        began, container = opened.pop() if opened else (time.monotonic(), connect())
        return Stream(container, name, timeout_s, late=time.monotonic() - began > STALL_S)

    return LiveSource(name, attach, reconnect_limit_s=reconnect_limit_s)


def _is_picture(container: InputContainer) -> bool:
    """Whether FFmpeg found a single image; GIF and APNG are read as images where they are files, so here too."""
    kind = container.format.name
    brand = container.metadata.get("major_brand", "").encode()
    return kind in {"image2", "gif", "apng"} or kind.endswith("_pipe") or brand in HEIF


def _still(container: InputContainer, name: str) -> StillSource:
    """A single image, fetched as the other side sends it."""
    import av.error

    data = b""
    try:
        with container:
            for packet in container.demux():
                data += bytes(packet)
                if len(data) > MAX_STILL_BYTES:
                    break
    except av.error.FFmpegError as error:
        if not data:  # else its decoder sees whether that was all
            reason = f"cannot be fetched ({error.strerror})"
            raise SourceError(f"{name}: {reason}: check the address and the network") from error
    if read_header(io.BytesIO(data)).format == "heif":
        return StillSource(name, [(name, lambda: _heif(data, name))], tolerant=False)
    return StillSource.of_bytes(name, data)


def _heif(data: bytes, name: str) -> Image:
    """The picture of an AVIF or HEIC file, if it is in one piece."""
    import av

    try:
        with av.open(io.BytesIO(data), "r", options={"codec_whitelist": "none"}) as container:
            if len(container.streams.video) == 1:
                stream = video_stream(container)
                stream.codec_context.options = {"max_pixels": str(MAX_FRAME_PIXELS)}
                return bgr_converter(MAX_FRAME_PIXELS)(next(container.decode(stream)), pixel_ratio(stream))
    except (av.error.FFmpegError, StopIteration, ValueError, AttributeError):
        pass  # its kind cannot be decoded here
    raise SourceError(f"{name}: this HEIC or AVIF cannot be read: convert it to JPEG or PNG")


def _interruptible(call: Callable[[], T]) -> T:
    """Run a call that may block for seconds inside FFmpeg so that Ctrl-C ends the wait at once."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:  # noqa: BLE001, RUF100 - raised in the calling thread
            errors.append(error)

    thread = threading.Thread(target=run, name="connect", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(POLL_S)
    if errors:
        raise errors[0]
    return results[0]
