"""Where results go: images, a video, a window, JSON Lines, CSV. Each is a context manager with one ``write``."""

from __future__ import annotations

from pathlib import Path

from detector.detections import Detections
from detector.files import make_folder, write_file
from detector.media import images
from detector.media.encode import VIDEO_SUFFIXES, VideoSink
from detector.media.frames import Frame
from detector.media.outputs import Annotator, Sink
from detector.media.records import CsvSink, JsonLinesSink, Row, rows
from detector.media.window import WindowSink

__all__ = [
    "VIDEO_SUFFIXES",
    "Annotator",
    "CsvSink",
    "ImageSink",
    "JsonLinesSink",
    "Row",
    "Sink",
    "VideoSink",
    "WindowSink",
    "rows",
]

WRITABLE = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff"})


class ImageSink(Sink):
    """Writes annotated images into a folder, each under the name of the file it comes from.

    A still image keeps its name and format (PNG where its format cannot be written well); a frame of a video or stream
    is ``<name>_<index>.jpg``. A name that is taken, by another input or by an older file, gets ``-2``, ``-3`` ...

    Args:
        folder: made if it is missing.
        annotate: shared with other sinks, so that each frame is drawn once.

    Raises:
        OutputError: the folder cannot be made.
    """

    def __init__(self, folder: Path, annotate: Annotator | None = None) -> None:
        make_folder(folder)
        self._folder = folder
        self._annotate = annotate or Annotator()

    def write(self, frame: Frame, detections: Detections) -> None:
        """Write one image; it appears whole or not at all."""
        name = self._folder / _image_name(frame)
        write_file(name, images.encode(self._annotate(frame, detections), name.suffix), free=True)

    def close(self) -> None:
        """Do nothing: every image is complete when it is written."""


def _image_name(frame: Frame) -> str:
    # Of a URL the last part, without what a file name must not hold.
    source = Path(frame.name.split("?")[0] if "://" in frame.name else frame.name)
    stem = "".join("_" if letter in '<>:"/\\|?*' or letter < " " else letter for letter in source.stem) or "frame"
    if frame.time is not None:
        return f"{stem}_{frame.index:06d}.jpg"
    return stem + (source.suffix if source.suffix.lower() in WRITABLE else ".png")
