"""What every face finder is and shares."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from detector.engines.image_network import Image

__all__ = ["IOU", "MAX_CANDIDATES", "FaceFinder", "Faces", "use_opencv", "visible"]

log = logging.getLogger(__name__)

IOU = 0.45
"""Overlap from which two boxes are one face, by default: the SSD paper's, and what is built into res10."""

MAX_CANDIDATES = 4000
"""Boxes, the surest, that are compared with each other: comparing takes the square of their number."""

Floats = npt.NDArray[np.float32]
Faces = tuple[Floats, Floats]
"""Boxes, float32 (N, 4) xyxy in pixels of the image and inside it, and scores, float32 (N,), 0 to 1; surest first."""


class FaceFinder(Protocol):
    """The first of the two steps: where faces are, whatever they wear. Many threads may share one.

    ``conf`` is the least score of a face that is returned, 0 to 1; it may be changed between calls.
    """

    conf: float

    def __call__(self, image: Image) -> Faces:
        """The faces in one BGR uint8 (H, W, 3) image."""

    def batch(self, images: Sequence[Image]) -> list[Faces]:
        """The faces in several images."""

    def close(self) -> None:
        """Free the finder's memory."""


def visible(xyxy: Floats, scores: Floats, height: int, width: int) -> Faces:
    """Boxes clipped to their image, without those of which nothing is left."""
    clipped = np.clip(xyxy, 0, np.array([width, height] * 2, np.float32)).astype(np.float32, copy=False)
    kept = (clipped[:, 2:] > clipped[:, :2]).all(axis=1)
    return clipped[kept], scores[kept]


def use_opencv(name: str, device: str, threads: int | None) -> None:
    """Settle where a finder that OpenCV runs will run: on the CPU, with no more threads than asked for.

    OpenCV has one number of threads for the whole process, so ``threads`` holds for the program's own calls too.
    """
    if device.lower() not in {"auto", "cpu"}:
        log.info("--device %s is for the classifier: OpenCV runs %s on the CPU", device, name)
    if threads:
        cv2.setNumThreads(threads)
