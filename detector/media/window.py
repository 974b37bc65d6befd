"""A window on the results."""

from __future__ import annotations

import ctypes
import sys
import time

import cv2

from detector.detections import Detections
from detector.errors import OutputError
from detector.media.draw import draw_status
from detector.media.frames import Frame
from detector.media.images import Image
from detector.media.sinks import Sink, annotated

__all__ = ["LARGEST", "Rate", "WindowSink", "status"]

KEYS = (ord("q"), ord("Q"), 27)  # 27: Esc
LARGEST = (1280, 720)
"""A window for a larger picture opens scaled down."""

STALE_S = 2.0  # without a new picture the old one says so
SMOOTHING = 0.9  # of the rate shown: the weight of what was shown before
INSTEAD = "save the results to files instead"


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
        self._picture: Image | None = None
        self._rate = Rate()
        self.closed = False
        _require_screen()
        try:
            cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        except cv2.error as error:
            raise OutputError(f"no window can be opened ({str(error.err).strip()}): {INSTEAD}") from error

    def write(self, frame: Frame, detections: Detections) -> None:
        """Show a frame with a line of what is in it and how fast frames come."""
        self._rate.tick()
        self._picture = annotated(frame, detections)
        self.show(draw_status(self._picture, status(self._rate.fps, detections)))

    def show(self, image: Image) -> None:
        """Show a picture, BGR uint8 (H, W, 3), as it is."""
        if self.closed:
            return
        if not self._shown:
            height, width = image.shape[:2]
            scale = min(1.0, LARGEST[0] / width, LARGEST[1] / height)
            cv2.resizeWindow(self._title, max(1, round(width * scale)), max(1, round(height * scale)))
        cv2.imshow(self._title, image)
        self._shown = True
        self._look(1)

    def idle(self) -> None:
        """Let the viewer end the show also while nothing comes, and say for how long nothing has."""
        stale = self._rate.stale()
        if self._picture is not None and stale:
            self.show(draw_status(self._picture, stale))
        elif self._shown and not self.closed:
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


class Rate:
    """How often frames come, smoothed."""

    def __init__(self) -> None:
        self._before: float | None = None
        self._period = 0.0

    def tick(self) -> None:
        """A frame came."""
        now = time.monotonic()
        if self._before is not None:
            period = now - self._before
            self._period = SMOOTHING * self._period + (1 - SMOOTHING) * period if self._period else period
        self._before = now

    @property
    def fps(self) -> float:
        """Frames per second; 0 where only one came."""
        return 1 / self._period if self._period else 0.0

    def stale(self) -> str:
        """Since when none has come, in words, if that is long."""
        age = 0.0 if self._before is None else time.monotonic() - self._before
        return f"no picture for {age:.0f} s" if age > STALE_S else ""


def status(fps: float, detections: Detections) -> str:
    """How fast frames come, and what is in this one."""
    counts = f"{detections.count('with_mask')} mask   {detections.count('without_mask')} no mask"
    return f"{fps:.1f} fps   {counts}" if fps else counts


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
