"""What every sink has in common: its context, one drawing shared by all, and files that grow."""

from __future__ import annotations

import logging
import os
import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from detector.detections import Detections
from detector.errors import OutputError
from detector.files import already_there, make_folder
from detector.media.draw import draw
from detector.media.frames import Frame
from detector.media.images import Image
from detector.workshop import numbered

__all__ = ["Annotator", "GrowingFile", "Sink"]

log = logging.getLogger(__name__)

AnySink = TypeVar("AnySink", bound="Sink")

SYNC_S = 1.0
"""A power cut costs at most so many seconds of a file that grows."""


class Sink(ABC):
    """Somewhere that results go: a context manager with one ``write``.

    However the ``with`` is left, also by Ctrl-C, what was written until then is closed and complete.
    """

    @abstractmethod
    def write(self, frame: Frame, detections: Detections) -> None:
        """Take one frame as it came from the source, and the faces found in it.

        Raises:
            OutputError: it cannot be written.
        """

    @abstractmethod
    def close(self) -> None:
        """Finish what was written; a second call does nothing.

        Raises:
            OutputError: it cannot be finished.
        """

    def __enter__(self: AnySink) -> AnySink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except OutputError as failure:
            if error is None:
                raise
            log.error("%s", failure)  # what ended the run is the news; this must not hide it


class Annotator:
    """Draws a frame once for all the sinks that share it, and not at all where none asks.

    Args:
        labels: False draws boxes only.
    """

    def __init__(self, *, labels: bool = True) -> None:
        self._labels = labels
        self._last: tuple[Frame, Detections, Image] | None = None

    def __call__(self, frame: Frame, detections: Detections) -> Image:
        """The annotated picture, BGR uint8 (H, W, 3); shared, so not to be changed."""
        if self._last is None or self._last[0] is not frame or self._last[1] is not detections:
            self._last = (frame, detections, draw(frame.image, detections, labels=self._labels))
        return self._last[2]


class GrowingFile:
    """A new file that is written bit by bit, and keeps what it has when the process is killed, or the disk is full.

    It has its own name from the start, and nobody else can take it; once a second it is put onto the disk.

    Args:
        path: its place.
        free: where something has this name, take ``name-2``, ``name-3`` ... instead of refusing.

    Attributes:
        path: the name that it got.
        size: in bytes.

    Raises:
        OutputError: something has this name, or the file cannot be made.
    """

    def __init__(self, path: Path, *, free: bool = False) -> None:
        make_folder(path.parent)
        for self.path in numbered(path):
            try:
                self._file = self.path.open("xb", buffering=0)
            except FileExistsError as error:
                if not free:
                    raise already_there(path) from error
                continue
            except OSError as error:
                raise OutputError(f"{path}: cannot be written ({error.strerror}): choose another place") from error
            break
        self.size = 0
        self._closed = threading.Event()
        self._syncing = threading.Thread(target=self._sync, name=f"sync {path.name}", daemon=True)
        self._syncing.start()

    def write(self, data: bytes, at: int | None = None) -> None:
        """Write all of it, by default at the end, or leave the file as long as it was.

        Raises:
            OSError: the disk is full.
        """
        try:
            self._file.seek(self.size if at is None else at)
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            self.cut(self.size)
            raise
        self.size = max(self.size, self._file.tell())

    def cut(self, size: int) -> None:
        """Take away what is behind so many bytes."""
        with suppress(OSError):
            self._file.truncate(size)
            self.size = size

    def close(self) -> None:
        """Put all of it onto the disk and let it go; a second call does nothing.

        Raises:
            OSError: the disk is full, or gone.
        """
        if self._closed.is_set():
            return
        self._closed.set()
        self._syncing.join()
        with self._file:
            os.fsync(self._file.fileno())

    def _sync(self) -> None:
        while not self._closed.wait(SYNC_S):
            with suppress(OSError):  # the write that failed says it
                os.fsync(self._file.fileno())
