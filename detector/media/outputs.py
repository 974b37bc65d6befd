"""What every sink has in common: its context, and one drawing shared by all."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from types import TracebackType
from typing import TypeVar

from detector.detections import Detections
from detector.errors import OutputError
from detector.media.draw import draw
from detector.media.frames import Frame
from detector.media.images import Image

__all__ = ["Annotator", "Sink"]

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
