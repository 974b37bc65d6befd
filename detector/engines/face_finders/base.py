"""What every face finder is and shares."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from detector.boxes import MAX_DETECTIONS, suppress
from detector.defaults import DEFAULT_CONF, DEFAULT_IOU
from detector.engines.image_network import Image, Outputs
from detector.engines.session import Closing, OnnxSession

__all__ = ["MAX_CANDIDATES", "FaceFinder", "Faces", "boxes_and_scores", "use_opencv", "visible"]

log = logging.getLogger(__name__)

MAX_CANDIDATES = 4000
"""Boxes, the surest, that are compared with each other: comparing takes the square of their number."""

Floats = npt.NDArray[np.float32]


class Faces(NamedTuple):
    """Boxes, float32 (N, 4) xyxy, and scores, float32 (N,), 0 to 1."""

    boxes: Floats
    scores: Floats


class FaceFinder(Closing):
    """The first of the two steps: where faces are, whatever they wear. Many threads may share one.

    Args:
        model: the network's file, or its bytes.
        conf: the least score of a face that is returned, 0 to 1; it may be changed between calls.
        iou: of two boxes that overlap more than this, the surer stays, 0 to 1.
        imgsz: the image's longer side in the network, px, where that is not fixed; the size of the training by default.
        device: see :class:`~detector.engines.session.OnnxSession`.
        threads: CPU threads.

    Raises:
        ModelError: no network, not one of this kind, or OpenCV cannot run it.
        ProviderError: the device cannot be had.
    """

    def __init__(
        self,
        model: str | Path | bytes = b"",
        *,
        conf: float = DEFAULT_CONF,
        iou: float = DEFAULT_IOU["two-step"],
        imgsz: int | None = None,
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        self.conf, self.iou, self.imgsz = conf, iou, imgsz
        self._load(model, device, threads)

    @abstractmethod
    def _load(self, model: str | Path | bytes, device: str, threads: int | None, /) -> None:
        """Load the network."""

    @abstractmethod
    def __call__(self, image: Image) -> Faces:
        """The faces in one BGR uint8 (H, W, 3) image, in its pixels and inside it, the surest first."""

    def batch(self, images: Sequence[Image]) -> list[Faces]:
        """The faces in several images, here one by one."""
        return [self(image) for image in images]

    def one_each(self, found: Faces) -> Faces:
        """Of many boxes one for each face, the surest first."""
        kept = suppress(found.boxes, found.scores, self.iou, least=self.conf, most=MAX_CANDIDATES)[:MAX_DETECTIONS]
        return Faces(found.boxes[kept], found.scores[kept])


def boxes_and_scores(session: OnnxSession, outputs: Outputs) -> Faces:
    """The outputs of these names for one image.

    Raises:
        ModelError: they are not as many as each other.
    """
    named = dict(zip(session.shapes, outputs, strict=True))
    session.expect_answer(named["scores"], None)
    session.expect_answer(named["boxes"], len(named["scores"]), 4)
    return Faces(*(named[name].astype(np.float32, copy=False) for name in ("boxes", "scores")))


def visible(found: Faces, height: int, width: int) -> Faces:
    """Boxes clipped to their image, without those of which nothing is left."""
    clipped = np.clip(found.boxes, 0, np.array([width, height] * 2, np.float32)).astype(np.float32, copy=False)
    kept = (clipped[:, 2:] > clipped[:, :2]).all(axis=1)
    return Faces(clipped[kept], found.scores[kept])


def use_opencv(name: str, device: str, threads: int | None) -> None:
    """Settle where a finder that OpenCV runs will run: on the CPU, with no more threads than asked for.

    OpenCV has one number of threads for the whole process, so ``threads`` holds for the program's own calls too.
    """
    if device.lower() not in {"auto", "cpu"}:
        log.info("--device %s is for the classifier: OpenCV runs %s on the CPU", device, name)
    if threads:
        cv2.setNumThreads(threads)
