"""The sound of a video file, copied beside the pictures that are written anew."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet

__all__ = ["SoundTrack"]

log = logging.getLogger(__name__)

QUICKTIME = frozenset({"aac", "mp3", "mp3float", "alac"})
KEPT = {
    "mov": QUICKTIME,
    "mp4": QUICKTIME | {"opus", "flac"},
    "matroska": QUICKTIME | {"opus", "flac", "vorbis", "ac3", "eac3"},
}
"""Codecs that each container can hold, as FFmpeg's decoders call them, and that players play from there."""
BARE = frozenset({"mp3", "mp3float", "ac3", "eac3"})  # the others need a head, which transport streams do not have
GAP_S = 10.0  # a longer silence between two packets is a clock that was set


class SoundTrack:
    """The first sound of a video file, packet by packet as it stands there.

    Args:
        location: what FFmpeg opens.
        name: what messages call it.
        options: FFmpeg's options for that.

    Attributes:
        start: when the first picture is shown, in seconds of the file; sound before it is left out.
    """

    def __init__(self, location: str, name: str, options: dict[str, str]) -> None:
        self._location, self._name, self._options = location, name, options
        self.start = 0.0
        self._container: InputContainer | None = None
        self._packets: Iterator[tuple[float, Packet[Any]]] = iter(())
        self._waiting: tuple[float, Packet[Any]] | None = None

    def join(self, output: OutputContainer, kind: str) -> None:
        """Give a container of this kind, to which nothing was written yet, a stream; or say why it stays silent."""
        import av.error

        try:
            container = av.open(self._location, "r", options=self._options, metadata_errors="replace")
            self._container = container
            stream = container.streams.audio[0]
            codec = stream.codec_context
            name = codec.name if codec else "of an unknown kind"
            if codec and name in KEPT[kind] and (codec.extradata or name in BARE):
                self._packets = self._read(container, stream, output.add_stream_from_template(stream))
                return
            reason = f"its sound ({name}) cannot be copied as it is into {kind}"
        except (av.error.FFmpegError, IndexError, ValueError) as error:
            reason = f"its sound cannot be read ({getattr(error, 'strerror', None) or error})"
        log.warning("%s: %s: the saved video is silent", self._name, reason)

    def until(self, seconds: float) -> Iterator[Packet[Any]]:
        """The packets that are heard before so many seconds of the saved video, and were not handed out yet."""
        self._waiting = self._waiting or next(self._packets, None)
        while self._waiting and self._waiting[0] < seconds:
            yield self._waiting[1]
            self._waiting = next(self._packets, None)

    def close(self) -> None:
        """Let the file go."""
        if self._container:
            self._container.close()

    def _read(
        self, container: InputContainer, stream: AudioStream, out: AudioStream
    ) -> Iterator[tuple[float, Packet[Any]]]:
        import av.error

        last: float | None = None
        try:
            for packet in container.demux(stream):
                if packet.dts is None or packet.pts is None or not packet.time_base:
                    continue
                time = float(packet.dts * packet.time_base) - self.start
                if last is not None and not 0 < time - last < GAP_S:
                    log.warning("%s: its sound is copied up to %.1f s: there its times start anew", self._name, last)
                    return
                last = time
                if time >= 0:
                    ticks = round(self.start / packet.time_base)
                    packet.dts, packet.pts = packet.dts - ticks, packet.pts - ticks
                    packet.stream = out
                    yield time, packet
        except av.error.FFmpegError as error:
            log.warning("%s: its sound is copied up to %.1f s (%s)", self._name, last or 0.0, error.strerror)
