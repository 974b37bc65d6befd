"""Where results go: what every sink has in common, one drawing shared by all, annotated images, and a window.

Videos are in :mod:`detector.media.encode`, JSON Lines and CSV in :mod:`detector.media.records`.
"""

from __future__ import annotations

import ctypes
import logging
import sys
import time
from abc import ABC, abstractmethod
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import cv2

from detector.detections import Detections
from detector.errors import OutputError
from detector.files import make_folder, write_file
from detector.media import images
from detector.media.draw import draw, draw_status
from detector.media.frames import Frame

__all__ = ["ImageSink", "Sink", "WindowSink", "annotated"]

log = logging.getLogger(__name__)

WRITABLE = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff"})

KEYS = (ord("q"), ord("Q"), 27)  # 27: Esc
LARGEST = (1280, 720)  # a window for a larger picture opens scaled down
SMOOTHING = 0.9  # of the rate shown: the weight of what was shown before
INSTEAD = "save the results to files instead"

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


class ImageSink(Sink):
    """Writes annotated images into a folder, each under the name of the file it comes from.

    A still image keeps its name and format (PNG where its format cannot be written well); a frame of a video or stream
    is ``<name>_<index>.jpg``. A name that is taken, by another input or by an older file, gets ``-2``, ``-3`` ...

    Args:
        folder: made if it is missing.

    Raises:
        OutputError: the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self._folder = folder

    def write(self, frame: Frame, detections: Detections) -> None:
        """Write one image; it appears whole or not at all."""
        name = self._folder / _image_name(frame)
        write_file(name, images.encode(annotated(frame, detections), name.suffix), free=True)

    def close(self) -> None:
        """Do nothing: every image is complete when it is written."""


def _image_name(frame: Frame) -> str:
    """Of a URL the last part, without what a file name must not hold."""
    source = Path(frame.name.split("?")[0] if "://" in frame.name else frame.name)
    stem = "".join("_" if letter in '<>:"/\\|?*' or letter < " " else letter for letter in source.stem) or "frame"
    if frame.time is not None:
        return f"{stem}_{frame.index:06d}.jpg"
    return stem + (source.suffix if source.suffix.lower() in WRITABLE else ".png")


class WindowSink(Sink):
    """Shows the annotated frames; q, Esc or the window's close button ends the show.

    Args:
        title: in the title bar.

    Attributes:
        closed: whether the user has ended the show; what is written afterwards is not shown.

    Raises:
        OutputError: there is no screen, or this OpenCV was built without windows.
    """

    def __init__(self, title: str = "mask detector") -> None:
        self._title = title
        self._shown = False
        self._open = True
        self._before: float | None = None
        self._period = 0.0
        self.closed = False
        _require_screen()
        try:
            cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        except cv2.error as error:
            raise OutputError(f"no window can be opened ({str(error.err).strip()}): {INSTEAD}") from error

    def write(self, frame: Frame, detections: Detections) -> None:
        """Show a frame with a line of what is in it and how fast frames come."""
        if self.closed:
            return
        if not self._shown:
            height, width = frame.image.shape[:2]
            scale = min(1.0, LARGEST[0] / width, LARGEST[1] / height)
            cv2.resizeWindow(self._title, max(1, round(width * scale)), max(1, round(height * scale)))
        cv2.imshow(self._title, draw_status(annotated(frame, detections), self._status(detections)))
        self._shown = True
        self._look(1)

    def wait(self) -> None:
        """Leave the last frame on the screen until the user ends the show."""
        while self._shown and not self.closed:
            self._look(50)

    def close(self) -> None:
        """Take the window away."""
        if not self._open:
            return
        self._open, self.closed = False, True
        try:
            cv2.destroyWindow(self._title)
            cv2.pollKey()  # lets the window system take it away
        except cv2.error:
            pass  # the user has closed it

    def _look(self, milliseconds: int) -> None:
        """Let the window system work, and see whether the user wants to end."""
        key = cv2.waitKey(milliseconds)
        try:
            visible = cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1
        except cv2.error:
            visible = False
        self.closed = not visible or (key >= 0 and key & 0xFF in KEYS)

    def _status(self, detections: Detections) -> str:
        now = time.monotonic()
        if self._before is not None:
            period = now - self._before
            self._period = SMOOTHING * self._period + (1 - SMOOTHING) * period if self._period else period
        self._before = now
        counts = f"{detections.count('with_mask')} mask   {detections.count('without_mask')} no mask"
        return f"{1 / self._period:.1f} fps   {counts}" if self._period else counts


def _require_screen() -> None:
    """Ask whether a window is possible before Qt does: without a screen it ends the whole process.

    Raises:
        OutputError: OpenCV has no windows, or its Qt would not reach an X server.
    """
    try:
        framework = cv2.currentUIFramework()
    except cv2.error:
        framework = ""
    if not framework:
        raise OutputError(f"this OpenCV has no windows (opencv-python has, opencv-python-headless has not): {INSTEAD}")
    if sys.platform == "linux" and framework.startswith("QT") and not _x_server_answers():
        raise OutputError(f"no screen (the display of $DISPLAY cannot be reached): {INSTEAD}")


def _x_server_answers() -> bool:
    """Connect as Qt would, with the authority file and all; opencv-python's Qt speaks X only, also under Wayland."""
    try:
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError:
        return False  # not part of opencv-python; its Qt cannot start without it
    xcb.xcb_connect.restype = ctypes.c_void_p
    xcb.xcb_connect.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    xcb.xcb_connection_has_error.argtypes = xcb.xcb_disconnect.argtypes = [ctypes.c_void_p]
    connection = xcb.xcb_connect(None, None)
    try:
        return bool(xcb.xcb_connection_has_error(connection) == 0)
    finally:
        xcb.xcb_disconnect(connection)
