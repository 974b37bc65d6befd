"""Video files through PyAV: every frame exactly once, upright, with its own presentation time.

OpenCV's reader would do none of the three: it cuts 29.97 frames per second to a float or an integer, forgets the time
stamps of variable rates, and hides damage.
"""

from __future__ import annotations

import errno
import logging
import math
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from detector.errors import SourceError
from detector.media.converter import bgr_converter, pixel_ratio
from detector.media.frames import Frame, ReadAhead, Source
from detector.media.images import Image
from detector.media.mp4_index import Head, check_claims
from detector.media.sound import SoundTrack
from detector.media.timeline import GAP_S, Timeline

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.error import FFmpegError
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

__all__ = ["MAX_FRAME_PIXELS", "REMOTE", "VideoSource", "open_container", "video_stream"]

log = logging.getLogger(__name__)

MAX_FRAME_PIXELS = 2**26
"""Videos with larger frames, more than twice 8K, are refused: a decoder holds a dozen of them and more."""

AHEAD = 4  # frames decoded before they are asked for
DECODER_THREADS = 4  # more gain little, each holds a frame, and the network needs the cores
LARGE = 2**22  # pixels; of larger frames two threads have to do
TS_DISCONT = 0x0200  # FFmpeg's flag of such formats as the next line is about
TS_GAP_S = 10.0  # formats whose times may start anew at any place: FFmpeg's own limit of a pause there

# Nothing is decoded before the limits are set: in search of a rate, FFmpeg would decode the first megabytes.
LOOK_ONLY = {"codec_whitelist": "none", "max_streams": "200"}
FILE = {
    "protocol_whitelist": "file",
    # No playlists, manifests or image sequences, which open further files and addresses. The last few have no pictures:
    # they are let in to be refused as what they are.
    "format_whitelist": "mov,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h261,h263,h264,hevc,vvc,av1,obu,ivf,vc1,"
    "vc1test,cavsvideo,dirac,dnxhd,flv,live_flv,asf,asf_o,wtv,ogg,mxf,gxf,nut,nsv,nuv,rm,dv,mjpeg,mpjpeg,mjpeg_2000,"
    "yuv4mpegpipe,gif,apng,webp,swf,amv,dhav,lvf,pva,ty,film_cpk,4xm,roq,smk,bink,flic,"
    "tty,wav,w64,mp3,flac,aac,ac3,aiff,au,amr,caf",
}
REMOTE = {"protocol_whitelist": "http,https,httpproxy,tls,tcp,udp,rtp,rtsp,rtsps,rtmp,rtmps,srt,crypto,data"}
"""What FFmpeg may open for an address: whatever a playlist there says, no file of this computer."""


def open_container(
    location: str | Head, name: str, timeout_s: float | None, options: dict[str, str], kind: str | None = None
) -> InputContainer:
    """Open a file or URL with PyAV.

    Args:
        location: what FFmpeg understands, ``file:`` and a path or a URL; or an open file.
        name: what messages call it.
        timeout_s: give up when connecting, or later a single read, takes longer; None for files.
        options: FFmpeg's options of the demuxer and the protocol.
        kind: FFmpeg's name of the format, where it is not to be found out; "data" are the bytes as they come.

    Raises:
        SourceError: FFmpeg cannot open it, or there is no video in it that can be decoded.
    """
    import av
    import av.error

    try:
        container = av.open(
            location, mode="r", format=kind, options=options, timeout=timeout_s, metadata_errors="replace"
        )
    except av.error.FFmpegError as error:
        raise SourceError(f"{name}: {_why_not_opened(error, timeout_s, options)}") from error
    if kind == "data":
        return container
    # FFmpeg also "plays" text files, as the screen of an old terminal.
    if not container.streams.video or container.format.name == "tty":
        container.close()
        raise SourceError(f"{name}: there is no video in it: name an image or a video file")
    if video_stream(container).codec_context is None:
        container.close()
        raise SourceError(f"{name}: there is no decoder here for its kind of video: convert it to MP4 with H.264")
    return container


def _why_not_opened(error: FFmpegError, timeout_s: float | None, options: dict[str, str]) -> str:
    import av.error

    if isinstance(error, av.error.ExitError):
        return f"no answer within {timeout_s:g} s: check the address and the network"
    if timeout_s is not None and isinstance(error, av.error.InvalidDataError):
        return "neither an image nor a video: give its own address, not the one of a web page that shows it"
    if timeout_s is not None and error.errno == errno.EIO:  # FFmpeg says so of a short page too
        return f"no image and no video comes from there ({error.strerror}): check the address; a web page is none"
    if isinstance(error, av.error.InvalidDataError):
        return "not a video, or one that is cut short: copy it again or convert it"
    if isinstance(error, av.error.ArgumentError) and "format_whitelist" in options:
        return (
            "not a kind of video that is opened here, or a list of other files: name the video itself, or convert it "
            "to MP4"
        )
    # Not str(error): it repeats the whole address, password included.
    return f"cannot be opened ({error.strerror}): check the name and the address"


def video_stream(container: InputContainer) -> VideoStream:
    """The main video stream of a container that has one."""
    best = container.streams.best("video")
    return next(stream for stream in container.streams.video if best is None or stream.index == best.index)


class VideoSource(Source):
    """A video file, or a finite video behind a URL.

    Args:
        location: what FFmpeg understands; ``file:`` and a path, or a URL.
        name: what messages and frames call it.
        timeout_s: longest wait for the other side of a URL; None for files.
        max_pixels: width times height of the largest frame that is decoded.
        max_head: bytes of a file that may be read until its streams are known; None for any number.

    Attributes:
        sound: what a saved copy may take along; None for a silent file and for what is behind a URL.
        damaged: how many packets could not be decoded, or hold too large a frame, and were passed over.

    Raises:
        SourceError: it cannot be opened, holds no video or too large a one.
    """

    def __init__(
        self,
        location: str,
        name: str,
        timeout_s: float | None = None,
        *,
        max_pixels: int = MAX_FRAME_PIXELS,
        max_head: int | None = None,
    ) -> None:
        import av

        path = Path(location.removeprefix("file:"))
        if timeout_s is None:
            check_claims(path, name)
        with ExitStack() as stack:
            head = stack.enter_context(closing(Head(path, name, max_head))) if max_head else None
            options = LOOK_ONLY | (FILE if timeout_s is None else REMOTE)
            self._container = stack.enter_context(open_container(head or location, name, timeout_s, options))
            if head:
                head.left = math.inf
            self._stream = video_stream(self._container)
            context = self._stream.codec_context
            pixels = context.width * context.height
            if pixels > max_pixels:
                size = f"{context.width}x{context.height}"
                raise SourceError(
                    f"{name}: {size} pixels are too many for a video (at most {max_pixels}): scale it down"
                )
            self._opened = stack.pop_all()
        self._max_bytes = 3 * max_pixels
        self._stream.thread_type = "AUTO"
        context.thread_count = DECODER_THREADS if pixels <= LARGE else 2
        context.options = {"max_pixels": str(max_pixels)}
        if context.name == "h264":  # how many frames come out of order is not guessed, but taken from the standard
            context.options |= {"strict": "strict"}
        rate = self._stream.average_rate or self._stream.guessed_rate
        super().__init__(name, Fraction(rate) if rate else None)
        duration = self._container.duration
        estimate = round(Fraction(duration, av.time_base) * self.fps) if duration and self.fps else None
        # Where times may start anew, the last one says nothing of the length.
        self._restarts = bool(self._container.format.flags & TS_DISCONT)
        self.length = self._stream.frames or (None if self._restarts else estimate)
        self.damaged = 0
        here = timeout_s is None and self._container.streams.audio
        self.sound = SoundTrack(location, name, LOOK_ONLY | FILE) if here else None
        self._frames = ReadAhead(self._decode(), AHEAD, lambda frame: frame.image.nbytes, lambda: self.wake())

    def __iter__(self) -> Iterator[Frame]:
        return iter(self._frames)

    def ready(self) -> bool:
        """Whether the next frame is decoded, or there is none."""
        return self._frames.ready()

    def look_ahead(self, begin: Callable[[Frame], object], depth: int) -> None:
        """Have each frame begun as soon as it is decoded."""
        self._frames.look_ahead(begin, depth)

    def close(self) -> None:
        """Stop decoding and close the file."""
        if self._frames.close():
            self._opened.close()

    def _decode(self) -> Generator[Frame, None, None]:
        convert = bgr_converter(self._max_bytes // 3)
        times = Timeline(float(1 / (self.fps or 25)), TS_GAP_S if self._restarts else GAP_S)
        index = 0
        for index, raw in enumerate(self._raw_frames(), 1):
            time = times.place(None if raw.pts is None else raw.time)  # some old formats have no time stamps at all
            if self.sound and index == 1:
                self.sound.start = times.first or 0.0
            yield Frame(self._image(convert, raw), index - 1, time, self.name)
        if times.breaks:
            log.warning(
                "%s: its time stamps start anew or leap %d times: they were put in a row", self.name, times.breaks
            )
        if self.damaged:
            log.warning("%s: %d damaged packets were passed over", self.name, self.damaged)
        if not index:
            raise SourceError(f"{self.name}: not one picture of it can be decoded: copy it again or convert it")

    def _image(self, convert: Callable[[VideoFrame, Fraction], Image], raw: VideoFrame) -> Image:
        try:
            if sum(plane.buffer_size for plane in raw.planes) <= self._max_bytes:
                return convert(raw, pixel_ratio(self._stream))
            reason = "are too many bytes for one frame"
        except (ValueError, OSError) as error:  # among them what FFmpeg says
            reason = f"cannot be converted ({getattr(error, 'strerror', None) or error})"
        kind = f"{raw.width}x{raw.height} pixels of {raw.format.name}"
        raise SourceError(f"{self.name}: {kind} {reason}: convert it to MP4 with H.264, or scale it down")

    def _raw_frames(self) -> Iterator[VideoFrame]:
        import av.error

        read = 0
        try:
            for packet in self._container.demux(self._stream):
                read += packet.size > 0  # the last packet is empty: it brings out the frames that the decoder held back
                yield from self._decoded(packet.decode)
        except av.error.FFmpegError as error:
            log.warning("%s: reading ended early (%s)", self.name, error.strerror)
        if read < self._stream.frames:
            log.warning("%s: cut short, %d of %d frames are there", self.name, read, self._stream.frames)
            yield from self._decoded(self._stream.codec_context.decode)

    def _decoded(self, decode: Callable[[], list[VideoFrame]]) -> list[VideoFrame]:
        import av.error

        try:
            return decode()
        except av.error.EOFError:
            return []  # already brought out
        except av.error.FFmpegError as error:
            if not self.damaged:
                log.warning("%s: a damaged packet is passed over (%s)", self.name, error.strerror)
            self.damaged += 1
            return []
