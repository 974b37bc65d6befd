"""What every sink has in common: its context, one drawing shared by all, and names that overwrite nothing."""

from __future__ import annotations

import logging
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from detector.detections import Detections
from detector.errors import OutputError
from detector.media.draw import draw
from detector.media.frames import Frame
from detector.media.images import Image

__all__ = ["Annotator", "Sink", "check_free", "free_path", "make_folder", "new_folder", "refuse_existing"]

log = logging.getLogger(__name__)

AnySink = TypeVar("AnySink", bound="Sink")


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


def free_path(path: Path) -> Path:
    """``path`` if nothing is there, else the first free one of ``name-2.jpg``, ``name-3.jpg`` ..."""
    numbered = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in count(2))
    return path if not path.exists() else next(candidate for candidate in numbered if not candidate.exists())


def make_folder(folder: Path) -> None:
    """Make a folder and those above it.

    Raises:
        OutputError: a file is in the way, or the place is read-only.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise OutputError(f"{folder}: is a file, not a folder: choose another name") from error
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror}): choose another place") from error


def refuse_existing(path: Path) -> None:
    """Keep a file that is there: its name was given on purpose, so another one would only surprise.

    Raises:
        OutputError: something is at ``path``.
    """
    if path.exists():
        raise OutputError(f"{path}: exists already: remove it or choose another name")


def check_free(folder: Path, flag: str = "folder") -> None:
    """Keep what is there.

    Args:
        folder: a place for results.
        flag: what the messages say to choose another of, such as the command-line flag that named it.

    Raises:
        OutputError: something is there.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder}: is there and not empty: remove it or choose another {flag}")


@contextmanager
def new_folder(folder: Path, flag: str = "folder") -> Iterator[Path]:
    """Hand out a folder beside ``folder`` that takes its place at the end, or vanishes if the block fails.

    Args:
        folder: one that does not exist yet, or is empty.
        flag: what the messages say to choose another of, such as the command-line flag that named it.

    Raises:
        OutputError: something is there, or it cannot be written.
    """
    check_free(folder, flag)
    folder = folder.absolute()  # "." has no name to make another one of
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        part.mkdir(parents=True)
        yield part
        if folder.exists():
            folder.rmdir()
        part.replace(folder)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written ({error.strerror}): make room or choose another {flag}"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
