"""Annotated video as H.264 that browsers play, encoded while the next frame is worked on."""

from __future__ import annotations

import math
from contextlib import suppress
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from detector.detections import Detections
from detector.errors import OutputError
from detector.media.backlog import Backlog
from detector.media.frames import Frame
from detector.media.growing import GrowingFile, Pieces
from detector.media.images import Image
from detector.media.sinks import Sink, annotated
from detector.media.sound import SoundTrack
from detector.media.timeline import Timeline

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.error import FFmpegError

__all__ = ["VIDEO_SUFFIXES", "VideoSink"]

VIDEO_SUFFIXES = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""FFmpeg's container for each suffix that a video can be written with."""

ENCODER_THREADS = 2  # the cores are the network's
TICKS = 90_000  # per second, at least: the usual clock of video
SNAP_S = 0.0015  # Matroska rounds time stamps to milliseconds; this close to its beat, a frame is put back on it
BT709, LIMITED_RANGE = 1, 1  # FFmpeg's numbers of the colours that players take for granted
X264 = {
    "preset": "superfast",
    # Each frame is in the file before the next one comes, at whatever pace that is: no look-ahead, no B-frames. What
    # that costs, 23 gives back: the quality of "veryfast" at 20 with look-ahead, in a sixth to a quarter more bytes.
    "tune": "zerolatency",
    "crf": "23",
}
PIECE_S = 0.2  # of video, written at once: what a kill can cost
PIECE_BYTES = 2**20  # a piece up to this size is written with one call
HYBRID = {  # MP4 in pieces while it grows, and an ordinary one at the end, since FFmpeg 7.1
    "movflags": "hybrid_fragmented+empty_moov+default_base_moof",
    "frag_duration": str(round(PIECE_S * 1e6)),
}
OPTIONS = {
    "mp4": HYBRID,
    "mov": HYBRID,
    "matroska": {"cluster_time_limit": str(round(PIECE_S * 1e3))},
}


class VideoSink(Sink):
    """Writes annotated frames to an H.264 video, each at its own time.

    Frames of a constant rate come out at exactly that rate (30000/1001 stays 30000/1001); variable rates and live
    sources keep their real times; still images follow each other at ``fps``. All frames get the size of the first,
    with black bars where the shape differs; an odd width or height is padded by one pixel, as H.264 demands.

    The video has its name from the start, and can be played while it grows: whatever ends the process, and also when
    the disk is full, all but the last moments are there. If no frame was written, there is no file.

    Args:
        path: the video to make; .mp4, .m4v, .mov or .mkv; must not exist yet.
        fps: frames per second of the source; None where it is unknown.
        sound: of the source, to be copied as far as there are pictures.
        free: where something has this name, take ``name-2``, ``name-3`` ... instead of refusing.

    Attributes:
        path: the name that it got.

    Raises:
        OutputError: the file exists, cannot be made, or has another suffix.
    """

    def __init__(
        self, path: Path, fps: Fraction | None = None, *, sound: SoundTrack | None = None, free: bool = False
    ) -> None:
        if path.suffix.lower() not in VIDEO_SUFFIXES:
            raise OutputError(f"{path}: not a video's name: end it in {', '.join(VIDEO_SUFFIXES)}")
        self._file = GrowingFile(path, free=free)
        self.path = self._file.path
        self._clock = _Clock(fps)
        self._sound = sound
        self._pieces = Pieces(self._file)
        self._header = math.inf  # bytes before the first piece
        self._container: OutputContainer | None = None
        self._failed = self._ended = False
        self._encoder = Backlog(f"encode {path.name}")

    def write(self, frame: Frame, detections: Detections) -> None:
        """Draw a frame and hand it to the encoder; waits while the encoder is far behind."""
        if self._ended:
            raise ValueError(f"{self.path} is closed")
        self._encoder.add(partial(self._encode, self._clock.ticks(frame)), annotated(frame, detections))

    def close(self) -> None:
        """Encode what is waiting and finish the file."""
        if self._ended:
            return
        self._ended = True
        self._encoder.finish(self._finish)

    def _encode(self, ticks: int, image: Image) -> None:
        import av

        if self._failed:
            return
        try:
            container = self._container or self._begin(*(side + side % 2 for side in image.shape[1::-1]))
            # Of the picture's own memory: a copy into new memory takes as long as all the rest but the encoding.
            raw = av.VideoFrame.from_numpy_buffer(_fitted(image, self._stream.width, self._stream.height), "bgr24")
            frame = self._to_yuv.reformat(raw, format="yuv420p", dst_colorspace=BT709, dst_color_range=LIMITED_RANGE)
            frame.pts, frame.time_base = ticks, self._clock.time_base
            container.mux(self._stream.encode(frame))
            self._copy_sound(container, float(ticks * self._clock.time_base))
        except (av.error.FFmpegError, OSError) as failure:
            raise self._failure(failure) from failure

    def _copy_sound(self, container: OutputContainer, seconds: float) -> None:
        self._until = seconds
        for packet in self._sound.until(seconds) if self._sound else ():
            container.mux(packet)

    def _begin(self, width: int, height: int) -> OutputContainer:
        import av
        from av.video.reformatter import VideoReformatter

        kind = VIDEO_SUFFIXES[self.path.suffix.lower()]
        # Where the sound is missing for a while, the pictures do not wait for it.
        options = {**OPTIONS[kind], "flush_packets": "1", "max_interleave_delta": str(round(PIECE_S * 1e6))}
        self._container = av.open(self._pieces, mode="w", format=kind, options=options, buffer_size=PIECE_BYTES)
        self._stream = stream = self._container.add_stream("libx264", rate=self._clock.fps, options=X264)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = self._clock.time_base
        stream.thread_count = ENCODER_THREADS
        stream.color_range = LIMITED_RANGE
        stream.colorspace = stream.color_primaries = stream.color_trc = BT709
        self._to_yuv = VideoReformatter()
        if self._sound:
            self._sound.join(self._container, kind)
        self._container.start_encoding()
        self._header = self._file.size
        return self._container

    def _failure(self, failure: FFmpegError | OSError) -> OutputError:
        self._failed = True
        error = self._pieces.error or failure  # FFmpeg only knows that something failed
        kept = "; what was recorded until then plays" if self._file.size > self._header else ""
        return OutputError(
            f"{self.path}: cannot be written ({error.strerror}): make room, or choose another place{kept}"
        )

    def _finish(self) -> None:
        import av.error

        try:
            try:
                if self._container and not self._failed:
                    self._container.mux(self._stream.encode(None))
                    self._copy_sound(self._container, self._until + float(1 / self._clock.fps))
            finally:
                self._pieces.hold()
                if self._container:
                    with suppress(av.error.FFmpegError):  # it complains once more of what has failed before
                        self._container.close()
            if not self._failed:
                self._pieces.let_go()
        except (av.error.FFmpegError, OSError) as failure:
            raise self._failure(failure) from failure
        finally:
            if self._sound:
                self._sound.close()
            with suppress(OSError):  # the last of it is written already, if not yet on the disk
                self._file.close()
            if self._file.size <= self._header:  # no frame
                self.path.unlink(missing_ok=True)


class _Clock:
    """Gives frames their places on a time line that holds both an exact rate and real times.

    Args:
        fps: the source's rate; None where it is unknown.
    """

    def __init__(self, fps: Fraction | None) -> None:
        self.fps = fps or Fraction(25)
        # A multiple of the rate's numerator, so that every beat of 30000/1001 Hz falls on a whole tick.
        numerator = self.fps.numerator
        self.time_base = Fraction(1, numerator * math.ceil(TICKS / numerator) if numerator <= 10 * TICKS else TICKS)
        self._times = Timeline(float(1 / self.fps))
        self._count = 0
        self._last = -1

    def ticks(self, frame: Frame) -> int:
        """When to show a frame, in units of ``time_base`` from the first; always later than the one before."""
        if frame.time is None:
            seconds = Fraction(self._count) / self.fps
        else:
            elapsed = self._times.place(frame.time)
            beat = round(elapsed * self.fps) / self.fps
            seconds = beat if abs(elapsed - beat) <= SNAP_S else Fraction(elapsed)
        self._count += 1
        self._last = max(round(seconds / self.time_base), self._last + 1)
        return self._last


def _fitted(image: Image, width: int, height: int) -> Image:
    """The image in this size: padded by a pixel, or scaled between black bars."""
    high, wide = image.shape[:2]
    if (high + high % 2, wide + wide % 2) == (height, width):
        padded = cv2.copyMakeBorder(image, 0, height - high, 0, width - wide, cv2.BORDER_REPLICATE)
        return padded.astype(np.uint8, copy=False)
    scale = min(width / wide, height / high)
    size = (max(1, round(wide * scale)), max(1, round(high * scale)))
    canvas = np.zeros((height, width, 3), np.uint8)
    x, y = (width - size[0]) // 2, (height - size[1]) // 2
    canvas[y : y + size[1], x : x + size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return canvas
