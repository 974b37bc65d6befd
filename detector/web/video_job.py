"""One video of a visitor: the faces of every frame, the people among them, and a copy with them marked or hidden."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from detector.detections import Detections
from detector.errors import DetectorError, MissingExtraError, OutputError, SourceError
from detector.media.blur import BlurSink, pixelate
from detector.media.draw import draw
from detector.media.encode import VideoSink
from detector.media.frames import Frame
from detector.media.images import Image
from detector.media.records import CsvSink
from detector.media.sinks import Sink
from detector.media.video import VideoSource
from detector.tracking import Tracker
from detector.web.answers import percent, shrink
from detector.web.engine_pool import EnginePool, filter_detections
from detector.web.fields import Upload

__all__ = ["MAX_SECONDS", "Moment", "VideoJob", "Wish"]

log = logging.getLogger(__name__)

MAX_SECONDS = 120
MAX_SIDE = 4096
"""Limits of a video: longer or larger ones would keep the others waiting."""

COPY_SIDE = 1920
"""Longest side of the annotated copy, px: an encoder takes 1.2 GB for 4K. Larger videos are looked at as they are."""

MAX_FRAME_PIXELS = MAX_SIDE * 2304  # 4K of every usual shape; a decoder holds a dozen frames

MAX_HEAD = 10_000_000
"""Bytes that a video may need to say what is in it: FFmpeg makes up to forty times as many of them."""

PREVIEW_SIDE = 640

Boxes = npt.NDArray[np.float32]
Shown = tuple[Frame, Detections, Boxes]
"""A frame, its faces, and whatever may be a face there."""

OWN_COMPUTER = "cut it, or run it on your own computer: mask-detector run --source VIDEO --save out"


@dataclass(frozen=True)
class Wish:
    """How a visitor wants their video looked at.

    Args:
        engine: its name.
        conf: the least confidence, 0 to 1.
        overlap: the most overlap of two faces, 0 to 1.
        hide: make faces unrecognisable in the copy.
    """

    engine: str
    conf: float
    overlap: float
    hide: bool = False


@dataclass(frozen=True)
class Moment:
    """How many faces one frame shows.

    Args:
        seconds: since the video's beginning.
        masked: faces with a mask.
        bare: faces without.
    """

    seconds: float
    masked: int
    bare: int


class VideoJob:
    """One video, worked through by one thread; others may ask how far it is.

    Args:
        pool: the engines.
        upload: the video.
        wish: how to look at it.

    Attributes:
        stop: set it to end after the frame that is worked on.
        moments: what was seen so far, frame by frame.
        total: frames of the video; None where it does not say.
        began: when its turn came, by :func:`time.monotonic`; None while it waits.
        over: whether it has ended.
        problem: why it failed, or "".
        words, note: what was found, and what else there is to say.
        film, table: the copy and the CSV file, when it is over.
    """

    def __init__(self, pool: EnginePool, upload: Upload, wish: Wish) -> None:
        self.pool, self.upload, self.wish = pool, upload, wish
        self.stop = threading.Event()
        self.moments: list[Moment] = []
        self.total: int | None = None
        self.began: float | None = None
        self.over = False
        self.problem = self.words = self.note = ""
        self.film: Path | None = None
        self.table: Path | None = None
        self._shown: Shown | None = None
        self._bare_s = 0.0
        try:
            self._tracker: Tracker | None = Tracker()
        except MissingExtraError:
            self._tracker = None  # then frames are counted, not people

    def run(self, folder: Path) -> None:
        """Work through it; the copy and the table are written into ``folder``. Raises nothing that a video causes."""
        self.began = time.monotonic()
        try:
            self._run(folder)
        except (OSError, OutputError):  # whose messages have paths of this computer
            log.exception("a result cannot be written")
            self.problem = f"{self.upload.name}: there is no room for its result here: try again later"
        except DetectorError as error:
            self.problem = str(error)
        finally:
            self._shown, self.over = None, True

    def left_s(self) -> float | None:
        """Seconds until it is done, as far as that can be told."""
        done = len(self.moments)
        if self.began is None or not self.total or done < 5:
            return None
        return max(0.0, (self.total / done - 1) * (time.monotonic() - self.began))

    def preview(self) -> Image | None:
        """The newest frame with its faces marked, small; None before the first."""
        shown = self._shown
        if shown is None:
            return None
        frame, found, boxes = _shrunk(*shown, PREVIEW_SIDE)
        return draw(pixelate(frame.image, boxes) if self.wish.hide else frame.image, found)

    def _run(self, folder: Path) -> None:
        name, path = self.upload.name, _checked(self.upload)
        source = VideoSource(f"file:{path}", name, max_pixels=MAX_FRAME_PIXELS, max_head=MAX_HEAD)
        with source:
            seconds = float(source.length / source.fps) if source.length and source.fps else 0.0
            if seconds > MAX_SECONDS + 1:
                raise _refusal(name, f"{seconds:.0f} seconds are too long for this page (at most {MAX_SECONDS})")
            self.total = source.length
            stem = Path(name).stem.encode()[:80].decode(errors="ignore") or "video"
            film, table = folder / f"{stem}-masks.mp4", folder / f"{stem}-masks.csv"
            with ExitStack() as stack:
                rows = stack.enter_context(CsvSink(table))
                video: Sink = stack.enter_context(VideoSink(film, source.fps, sound=source.sound))
                if self.wish.hide:
                    video = stack.enter_context(BlurSink([video]))
                for frame in source:
                    if self.stop.is_set() or (frame.time or 0.0) > MAX_SECONDS + 1:
                        break
                    height, width = frame.image.shape[:2]
                    if max(height, width) > MAX_SIDE:
                        raise _refusal(name, f"{width} x {height} pixels are too large for this page")
                    self._look(frame, video, rows)
            self._describe(source)
        if self.moments:
            self.film, self.table = film, table

    def _look(self, frame: Frame, video: Sink, rows: CsvSink) -> None:
        every = self.pool.detect(frame.image, self.wish.engine, patient=True).found
        found = filter_detections(every, self.wish.conf, self.wish.overlap)
        boxes = every.xyxy
        if self._tracker:
            found = self._tracker.update(found, frame.time)
            boxes = np.concatenate([boxes, self._tracker.coasting.xyxy])
        self._shown = copy, marked, hidden = _shrunk(frame, found, boxes, COPY_SIDE)
        if isinstance(video, BlurSink):
            video.note(copy, hidden)
        video.write(copy, marked)
        rows.write(frame, found)
        now = Moment(frame.time or 0.0, found.count("with_mask"), found.count("without_mask"))
        if self.moments and ((found.track_id > 0) & (found.class_id == 1)).any():
            self._bare_s += max(0.0, now.seconds - self.moments[-1].seconds)
        self.moments.append(now)

    def _describe(self, source: VideoSource) -> None:
        moments, seen = self.moments, len(self.moments)
        if not seen:
            self.words = "Stopped before the first picture."
            return
        most = max(each.masked + each.bare for each in moments)
        share = sum(each.bare > 0 for each in moments) / seen
        people = self._tracker.counts if self._tracker else {}
        if sum(people.values()):
            self.words = _people(people["with_mask"], people["without_mask"], self._bare_s)
        elif most:
            faces = _count(most, "face")
            self.words = f"{_count(seen, 'frame')}, at most {faces} at once: without a mask in {percent(share)} of all"
        else:
            self.words = f"{_count(seen, 'frame')}: no face found"
        took = time.monotonic() - (self.began or 0.0)
        self.note = f"{_count(seen, 'frame')}, {seen / took:.0f} a second."
        if self.stop.is_set():
            self.note = f"Stopped at {_clock(moments[-1].seconds)}: this is what was done until then. {self.note}"
        elif moments[-1].seconds > MAX_SECONDS:
            self.note = f"Only the first {MAX_SECONDS} seconds were looked at: {OWN_COMPUTER}. {self.note}"
        elif source.damaged or (source.length and seen < 0.98 * source.length):
            whole = f" of {source.length}" if source.length else ""
            self.note = f"The video is damaged or cut short: {seen}{whole} frames could be read. {self.note}"


def _people(masked: int, bare: int, bare_s: float) -> str:
    """The people of a video in words: ``13 people, 6 of them without a mask, in view for 4 s in all``."""
    people = "1 person" if masked + bare == 1 else f"{masked + bare} people"
    if not bare:
        return f"{people}, with a mask" if masked == 1 else f"{people}, all with a mask"
    who = "" if masked + bare == 1 else "all of them " if not masked else f"{bare} of them "
    return f"{people}, {who}without a mask, in view for {bare_s:.0f} s in all"


def _refusal(name: str, reason: str) -> SourceError:
    return SourceError(f"{name}: {reason}: {OWN_COMPUTER}")


def _checked(upload: Upload) -> Path:
    """The file of an upload, which is there and not empty."""
    path = upload.path or Path()
    try:
        size = path.stat().st_size
    except OSError as error:
        raise SourceError(f"{upload.name}: is no longer here: choose it again") from error
    if not size:
        raise SourceError(f"{upload.name}: the file is empty: choose another one")
    return path


def _shrunk(frame: Frame, found: Detections, boxes: Boxes, side: int) -> Shown:
    """A frame, its faces and further boxes in it, its longest side at most so many px."""
    image, scale = shrink(frame.image, side)
    if scale == 1.0:
        return frame, found, boxes
    size = np.float32(scale)
    return replace(frame, image=image), replace(found, xyxy=found.xyxy * size), boxes * size


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
