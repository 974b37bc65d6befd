"""What is behind a URL: a still image, a finite video, or a stream that goes on."""

from __future__ import annotations

import base64
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

from detector.errors import SourceError
from detector.media.frames import POLL_S, Source
from detector.media.images import Image
from detector.media.live import Connection, LiveSource
from detector.media.stills import StillSource
from detector.media.video import VideoSource, bgr_converter, open_container, video_stream

if TYPE_CHECKING:
    from av.container import InputContainer

__all__ = ["Stream", "open_url", "without_password"]

T = TypeVar("T")

MAX_STILL_BYTES = 256 << 20

OPTIONS = {
    # Enough to see a picture of a 4K camera, little enough to start within a second. FFmpeg's "nobuffer" is left out
    # on purpose: it throws the pictures seen while probing away, the first key frame among them, and saves nothing
    # here, where a backlog is decoded at once and only its newest picture kept.
    "probesize": "2000000",
    "analyzeduration": "1000000",
    "rtsp_transport": "tcp",  # a packet lost over UDP is a grey picture
}


class Stream(Connection):
    """An open network stream.

    Args:
        container: PyAV's container with a video stream.
        name: what messages call it.
    """

    def __init__(self, container: InputContainer, name: str) -> None:
        self._container = container
        self._name = name
        stream = video_stream(container)
        # Threads by frame would hold one frame back for each thread; so would the decoder for reordering.
        stream.thread_type = "SLICE"
        stream.codec_context.options = {"flags": "low_delay"}
        rate = stream.average_rate or stream.guessed_rate
        self.fps = Fraction(rate) if rate and rate <= 1000 else None
        self._packets = container.demux(stream)
        self._convert = bgr_converter()

    def read(self) -> Callable[[], Image]:
        """Wait for the next picture; every one is decoded, only those that are wanted are converted."""
        import av.error

        while True:
            try:
                packet = next(self._packets, None)
            except av.error.ExitError as error:
                raise SourceError(
                    f"{self._name}: nothing arrives any more: check the camera and the network"
                ) from error
            except av.error.FFmpegError as error:
                raise SourceError(
                    f"{self._name}: the connection broke ({error.strerror}): check the network"
                ) from error
            if packet is None or not packet.size:
                raise SourceError(f"{self._name}: the other side ended the stream: check that it still runs")
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                continue  # damaged on the way; the next key frame mends it
            if frames:
                newest = frames[-1]
                return lambda: self._convert(newest)

    def close(self) -> None:
        """Hang up."""
        self._container.close()


def open_url(url: str, *, timeout_s: float, reconnect_limit_s: float) -> Source:
    """Connect to a URL and find out what is there.

    A single image is a still; a video of known duration is a file, whose end is its end; the rest is live.

    Raises:
        SourceError: no answer, or neither video nor image.
    """
    try:
        name = without_password(url)
    except ValueError as error:
        raise SourceError(f"{url}: not an address ({error}): check it") from error

    def connect() -> InputContainer:
        return open_container(url, name, timeout_s, OPTIONS)

    container = _interruptible(connect)
    if container.format.name.endswith("_pipe"):  # FFmpeg's name for a single image
        container.close()
        return StillSource.of_bytes(name, _interruptible(lambda: _download(url, name, timeout_s)))
    if container.duration:
        container.close()
        return _interruptible(lambda: VideoSource(url, name, timeout_s))
    opened = [container]
    # The connection that was made to find out is the first one of the live source.
    return LiveSource(
        name,
        lambda: Stream(opened.pop() if opened else connect(), name),
        reconnect_limit_s=reconnect_limit_s,
    )


def without_password(url: str) -> str:
    """The URL as it may be shown: user name and password left out."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _download(url: str, name: str, timeout_s: float) -> bytes:
    parts = urlsplit(url)
    request = urllib.request.Request(urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])))  # noqa: S310 - http(s) by FFmpeg's account
    if parts.username is not None:
        account = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        request.add_header("Authorization", "Basic " + base64.b64encode(account.encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310 - as above
            data: bytes = answer.read(MAX_STILL_BYTES)
            return data
    except OSError as error:
        reason = getattr(error, "reason", None) or error
        raise SourceError(f"{name}: cannot be fetched ({reason}): check the address and the network") from error


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
