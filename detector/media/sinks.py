"""Where results go: what every sink has in common, one drawing shared by all, and annotated images.

Windows are in :mod:`detector.media.window`, videos in :mod:`detector.media.encode`, JSON Lines and CSV in
:mod:`detector.media.records`.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from detector.detections import Detections
from detector.errors import OutputError
from detector.files import make_folder, write_file
from detector.media import images
from detector.media.backlog import Backlog
from detector.media.draw import draw
from detector.media.frames import Change, Frame

__all__ = ["CropSink", "ImageSink", "Sink", "annotated", "cut_out"]

log = logging.getLogger(__name__)

WRITABLE = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff"})

CROP_MARGIN = 0.25  # of the face's sides, shown around it

AnySink = TypeVar("AnySink", bound="Sink")


class Sink(ABC):
    """Somewhere that results go: a context manager with one ``write``.

    However the ``with`` is left, also by Ctrl-C, what was written until then is closed and complete.

    Attributes:
        closed: whether a viewer has ended the show, so that the run should end too.
    """

    closed = False

    @abstractmethod
    def write(self, frame: Frame, detections: Detections) -> None:
        """Take one frame as it came from the source, and the faces found in it.

        Raises:
            OutputError: it cannot be written.
        """

    def idle(self) -> None:  # noqa: B027 - few have anything to do
        """Called a few times a second while no frame comes."""

    def source_changed(self, source: str, change: Change) -> None:  # noqa: B027
        """Called when the source of this name was lost, or is back."""

    @abstractmethod
    def close(self) -> None:
        """Finish what was written; a second call does nothing.

        Raises:
            OutputError: it cannot be finished.
        """

    def __enter__(self: AnySink) -> AnySink:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self.close()
        except OutputError as failure:
            if kind is None:
                raise
            log.error("%s", failure)  # what ended the run is the news; this must not hide it
        finally:
            annotated.cache_clear()  # a picture is not kept longer than it is worked on


@lru_cache(maxsize=1)
def annotated(frame: Frame, detections: Detections) -> images.Image:
    """A frame with its faces drawn, BGR uint8 (H, W, 3): once for all sinks, so not to be changed."""
    return draw(frame.image, detections)


class _FolderSink(Sink):
    """Writes images into a folder, and says at the end how many.

    A name that is taken, by another input or by an older file, gets ``-2``, ``-3`` ...

    Args:
        folder: made if it is missing.

    Raises:
        OutputError: the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self._folder, self._written = folder, 0
        self._encoder: Backlog | None = None

    def close(self) -> None:
        """Write what is waiting, and say how much there is."""
        if self._encoder:
            encoder, self._encoder = self._encoder, None
            encoder.finish()
            log.info("wrote %d image%s into %s", self._written, "s" * (self._written > 1), self._folder)

    def _write(self, name: Path, image: images.Image) -> None:
        """Write one image, behind the caller; it appears whole or not at all."""
        self._encoder = self._encoder or Backlog(f"encode to {self._folder}")
        self._encoder.add(partial(_save, self._folder / name), image)
        self._written += 1


class ImageSink(_FolderSink):
    """Writes annotated images into a folder, each under the name of the file it comes from.

    A still image keeps its name and format (PNG where its format cannot be written well); a frame of a video or stream
    is ``<name>_<index>.jpg``.

    Args:
        folder: made if it is missing.
        empty: whether images without a face are written too.

    Raises:
        OutputError: the folder cannot be made.
    """

    def __init__(self, folder: Path, *, empty: bool = True) -> None:
        super().__init__(folder)
        self._empty = empty

    def write(self, frame: Frame, detections: Detections) -> None:
        """Write one image, if it is to be."""
        if self._empty or len(detections):
            self._write(Path(_image_name(frame)), annotated(frame, detections))


class CropSink(_FolderSink):
    """Writes each face, with a little of what is around it, as ``<class>/<name>_<number>.<suffix>`` into a folder."""

    def write(self, frame: Frame, detections: Detections) -> None:
        """Write the faces of one frame, counted from 1 as they come."""
        whole = Path(_image_name(frame))
        for number, (box, name) in enumerate(zip(detections.xyxy, detections.names, strict=True), 1):
            crop = cut_out(frame.image, box, CROP_MARGIN)
            self._write(Path(name, f"{whole.stem}_{number}{whole.suffix}"), crop)


def _save(path: Path, image: images.Image) -> None:
    make_folder(path.parent)
    write_file(path, images.encode(image, path.suffix), free=True)


def cut_out(image: images.Image, box: npt.NDArray[np.float32], margin: float) -> images.Image:
    """A copy of what is in a box (4,), grown by a share of its sides, as far as it lies in the image."""
    height, width = image.shape[:2]
    grown = (box[2:] - box[:2]) * margin
    left, top = np.floor(np.clip(box[:2] - grown, 0, [width - 1, height - 1])).astype(int).tolist()
    right, bottom = np.ceil(np.clip(box[2:] + grown, [left + 1, top + 1], [width, height])).astype(int).tolist()
    return image[top:bottom, left:right].copy()


def _image_name(frame: Frame) -> str:
    """Of a URL the last part, without what a file name must not hold."""
    source = Path(frame.name.split("?")[0] if "://" in frame.name else frame.name)
    stem = "".join("_" if letter in '<>:"/\\|?*' or letter < " " else letter for letter in source.stem) or "frame"
    if frame.time is not None:
        return f"{stem}_{frame.index:06d}.jpg"
    return stem + (source.suffix if source.suffix.lower() in WRITABLE else ".png")
