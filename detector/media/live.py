"""Cameras and streams: always the newest picture, never the same one twice, and another try when they drop.

Webcams come through OpenCV; streams are in :mod:`detector.media.stream`.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np

from detector.errors import SourceError
from detector.media.frames import CLOSE_S, POLL_S, Change, Frame, Source
from detector.media.images import Image

__all__ = ["Camera", "Connection", "LiveSource", "open_camera"]

log = logging.getLogger(__name__)

PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0)
QUIET_ATTEMPTS = 75  # of a long absence one attempt in ten minutes is logged


class Connection(ABC):
    """One connection to a camera or stream, used by one thread.

    Attributes:
        fps: the rate that the other side announces; None where it does not.
    """

    fps: Fraction | None = None

    @abstractmethod
    def read(self) -> Callable[[], Image]:
        """Wait for the next picture; returns a function that converts it, for not every picture is wanted.

        Raises:
            SourceError: the connection broke, ended, or brought nothing for too long.
        """

    @abstractmethod
    def close(self) -> None:
        """Release the other side."""


class LiveSource(Source):
    """A camera or stream of which a thread keeps only the newest picture.

    A slow consumer skips pictures instead of falling behind. When the connection drops, the thread connects again
    after pauses of 0.5, 1, 2, 4, 8, 8 ... seconds; nothing is invented meanwhile.

    Args:
        name: what messages and frames call it.
        connect: opens a connection, or raises SourceError.
        reconnect_limit_s: raise SourceError from the iteration after so many seconds without a picture.

    Attributes:
        dropped: how many pictures were replaced by a newer one before they were taken.

    Raises:
        SourceError: the first connection fails or brings no picture.
    """

    is_live: ClassVar[bool] = True

    def __init__(self, name: str, connect: Callable[[], Connection], *, reconnect_limit_s: float) -> None:
        super().__init__(name)
        self.dropped = 0
        self._connect = connect
        self._limit_s = reconnect_limit_s
        self._changed = threading.Condition()
        self._newest: tuple[Callable[[], Image], float] | None = None
        self._error: Exception | None = None
        self._stopped = threading.Event()
        self._received = False
        self._lost_at: float | None = None
        self._attempts = 0
        self._thread = threading.Thread(target=self._run, name=f"live {name}", daemon=True)
        self._thread.start()
        try:
            self._await(lambda: self._received)
        except BaseException:
            self._stopped.set()
            raise

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        while self._await(lambda: self._newest is not None):
            with self._changed:
                newest, self._newest = self._newest, None
            if newest is not None:
                convert, arrived = newest
                yield Frame(convert(), index, arrived, self.name)
                index += 1

    def ready(self) -> bool:
        """Whether a new picture is there, or nothing more will come."""
        return self._newest is not None or self._error is not None or self._stopped.is_set()

    def close(self) -> None:
        """Stop reading; a thread that is blocked in a read ends by itself after its time-out."""
        with self._changed:
            self._stopped.set()
            self._changed.notify_all()
        self._thread.join(CLOSE_S)

    def _await(self, ready: Callable[[], bool]) -> bool:
        """Wait until ``ready``; False when the source was closed. Raises what ended the reading thread."""
        with self._changed:
            while not ready():
                if self._stopped.is_set():
                    return False
                if self._error is not None:
                    raise self._error
                self._changed.wait(POLL_S)
        return not self._stopped.is_set()

    def _run(self) -> None:
        connection: Connection | None = None
        try:
            connection = self._connect()
            self.fps = connection.fps
            while not self._stopped.is_set():
                try:
                    picture = connection.read()
                except SourceError as error:
                    if not self._received:
                        raise
                    why = str(error)
                else:
                    self._publish(picture)
                    continue
                # Only the words go on: an error that the next one refers to keeps the lost connection in memory.
                connection.close()
                connection = self._reconnect(why)
                if connection is None:
                    return
        except Exception as error:  # noqa: BLE001, RUF100 - raised by the thread that iterates
            with self._changed:
                self._error = error
                self._changed.notify_all()
            self.wake()
        finally:
            if connection is not None:
                connection.close()

    def _publish(self, picture: Callable[[], Image]) -> None:
        if self._lost_at is not None:
            log.warning("%s: back after %.1f s", self.name, time.monotonic() - self._lost_at)
            self._lost_at, self._attempts = None, 0
            self.changes.append(Change("back", time.time()))
        with self._changed:
            self.dropped += self._newest is not None
            self._newest = (picture, time.time())
            self._received = True
            self._changed.notify_all()
        self.wake()

    def _reconnect(self, why: str) -> Connection | None:
        """Connect again; None when the source was closed meanwhile. A connection counts when it brings a picture."""
        if self._lost_at is None:
            self._lost_at = time.monotonic()
            self.losses += 1
            self.changes.append(Change("lost", time.time()))
            self.wake()
        while True:
            left = self._lost_at + self._limit_s - time.monotonic()
            if left <= 0:
                raise SourceError(f"{why} (lost, and not back within {self._limit_s:g} s)")
            pause = min(PAUSES_S[min(self._attempts, len(PAUSES_S) - 1)], left)
            self._attempts += 1
            if self._attempts <= len(PAUSES_S) or self._attempts % QUIET_ATTEMPTS == 0:
                log.warning("%s; connecting again in %.1f s, attempt %d", why, pause, self._attempts)
            if self._stopped.wait(pause):
                return None
            try:
                return self._connect()
            except SourceError as refused:
                why = str(refused)


class Camera(Connection):
    """An open capture device.

    Args:
        capture: OpenCV's handle, opened.
        name: what messages call it.
    """

    def __init__(self, capture: cv2.VideoCapture, name: str) -> None:
        self._capture = capture
        self._name = name
        rate = capture.get(cv2.CAP_PROP_FPS)
        self.fps = Fraction(rate).limit_denominator(1001) if 1 <= rate <= 1000 else None

    def read(self) -> Callable[[], Image]:
        """Wait for the next picture; OpenCV gives up after about ten seconds."""
        arrived, image = self._capture.read()
        if not arrived:
            raise SourceError(f"{self._name}: brings no picture: check its cable and close other programs that use it")
        picture = image.astype(np.uint8, copy=False)
        return lambda: picture

    def close(self) -> None:
        """Release the device."""
        self._capture.release()


def open_camera(index: int, name: str) -> Camera:
    """Open the webcam with this index, which messages call ``name``.

    Raises:
        SourceError: there is none, or it belongs to another user or program.
    """
    if sys.platform == "linux":
        # Asked first, because OpenCV's own complaint is several lines on stderr and does not say why.
        device = Path(f"/dev/video{index}")
        if not device.exists():
            raise SourceError(f"{name}: not there ({_cameras_found()}): connect one or give another --source")
        if not os.access(device, os.R_OK | os.W_OK):
            raise SourceError(f"{name}: no permission for {device}: add yourself to its group (ls -l {device})")
    backend = {"linux": cv2.CAP_V4L2, "darwin": cv2.CAP_AVFOUNDATION}.get(sys.platform, cv2.CAP_ANY)
    capture = cv2.VideoCapture(index, backend)
    if not capture.isOpened():
        capture.release()
        raise SourceError(f"{name}: cannot be opened: close other programs that use it, or allow access to the camera")
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # no queue of old pictures, where the driver listens
    return Camera(capture, name)


def _cameras_found() -> str:
    found = sorted(str(path) for path in Path("/dev").glob("video*"))
    return f"found: {', '.join(found)}" if found else "no camera found"
