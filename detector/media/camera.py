"""Webcams through OpenCV."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from detector.errors import SourceError
from detector.media.images import Image
from detector.media.live import Connection

__all__ = ["Camera", "camera_name", "open_camera"]


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


def camera_name(index: int) -> str:
    """What messages and frames call a camera."""
    return f"camera {index}"


def open_camera(index: int) -> Camera:
    """Open the webcam with this index.

    Raises:
        SourceError: there is none, or it belongs to another user or program.
    """
    name = camera_name(index)
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
