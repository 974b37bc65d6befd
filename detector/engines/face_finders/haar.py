"""The oldest face finder in use: the boosted cascade of Haar features that came with OpenCV up to version 4."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from detector.engines.face_finders.base import FaceFinder, Faces, Floats, use_opencv, visible
from detector.engines.image_network import Image, image_shape
from detector.errors import ModelError

__all__ = ["HaarFinder", "confidence"]

CASCADE = "haarcascade_frontalface_default.xml"
SCALE_STEP = 1.1
MIN_NEIGHBOURS = 3


class HaarFinder(FaceFinder):
    """OpenCV's frontal cascade (Viola and Jones, https://doi.org/10.1109/CVPR.2001.990517), as OpenCV sets it up.

    It knows upright faces from 24 px that look into the camera and are mostly bare.
    """

    def _load(self, _: str | Path | bytes, device: str, threads: int | None, /) -> None:
        self._cascade = _load()
        self._lock = threading.Lock()  # a cascade keeps the image it works on
        use_opencv("the cascade", device, threads)

    def __call__(self, image: Image) -> Faces:
        """The faces in one BGR uint8 (H, W, 3) image."""
        height, width = image_shape(image)
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        with self._lock:
            if self._cascade is None:
                raise ModelError("the cascade of --faces haar was closed: load it again")
            found = self._cascade.detectMultiScale3(
                grey, scaleFactor=SCALE_STEP, minNeighbors=MIN_NEIGHBOURS, outputRejectLevels=True
            )
        boxes = np.array(found[0], np.float32).reshape(-1, 4)  # left, top, width, height; empty tuples for no face
        boxes[:, 2:] += boxes[:, :2]
        scores = confidence(np.array(found[2], np.float32).reshape(-1))
        return visible(self.one_each(Faces(boxes, scores)), height, width)

    def close(self) -> None:
        """Free the cascade's memory."""
        with self._lock:
            self._cascade = None


def confidence(weight: Floats) -> Floats:
    """What the cascade's last stage says of a face, as a number from 0 to 1.

    A logistic curve, so the order stays. Its two figures are such that it is about the share of such boxes that were
    faces, on 120 photographs of crowds and from the web: 0.56 at weight 1.5, 0.78 at 3.5, 0.9 at 5.5.
    """
    return np.asarray(1 / (1 + np.exp((1 - weight) / 2)), np.float32)


def _load() -> Any:  # cv2.CascadeClassifier, which is not in every OpenCV
    make = getattr(cv2, "CascadeClassifier", None)
    file = Path(getattr(getattr(cv2, "data", None), "haarcascades", "")) / CASCADE
    # Asked of the module, not of its version: builds differ in what they leave out.
    cascade = make(str(file)) if make and file.is_file() else None
    if cascade is None or cascade.empty():
        raise ModelError(
            "--faces haar: this OpenCV has no cascades: use --faces ssd or res10=FILE, or pip install 'opencv-python<5'"
        )
    return cascade
