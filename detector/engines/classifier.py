"""The two-step engine's second network: which of the two classes a face is of, or that it is no face."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from detector.detections import CLASSES
from detector.engines.crops import SIDE
from detector.engines.kinds import BACKGROUND, Kind, expect
from detector.engines.session import OnnxSession
from detector.errors import ModelError

__all__ = ["BACKGROUND", "MaskClassifier"]

MAX_CROP = 1024  # px; 64 crops of this size take 0.8 GB


class MaskClassifier:
    """A classifier of squares around faces. Many threads may share it.

    Its input is RGB in 0..1, (batch, 3, S, S), its output probabilities (batch, classes); its metadata names the
    classes, and the ``margin`` of the crops that it was trained with.

    Args:
        model: an .onnx file, or its bytes.
        device: see :class:`~detector.engines.session.OnnxSession`.
        threads: CPU threads.

    Attributes:
        side: of the crops that it wants, px.
        margin: of these crops, see :func:`detector.engines.crops.cut`.

    Raises:
        ModelError: no network, or not such a one.
        ProviderError: the device cannot be had.
    """

    def __init__(self, model: str | Path | bytes, *, device: str = "auto", threads: int | None = None) -> None:
        self.session = OnnxSession(model, device=device, threads=threads)
        expect(self.session, Kind.CLASSIFIER)
        metadata, side = self.session.metadata, self.session.input.shape[2]
        self._columns = [(*CLASSES, BACKGROUND).index(name) for name in metadata.names]
        self.margin = metadata.margin
        self.side = side if isinstance(side, int) else metadata.imgsz or SIDE
        if self.side > MAX_CROP:
            raise ModelError(
                f"{self.session.source}: wants crops of {self.side} px, more than {MAX_CROP}: not a classifier of faces"
            )

    def __call__(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """What the crops, BGR uint8 (N, side, side, 3), show.

        Returns:
            float32 (N, 3): the probabilities of with_mask, without_mask and background; the last is 0 where the
            network has no such class.
        """
        probabilities = np.zeros((len(crops), len(CLASSES) + 1), np.float32)
        if len(crops):
            blob = np.asarray(cv2.dnn.blobFromImages(list(crops), 1 / 255, swapRB=True), self.session.dtype)
            answer = self.session(blob)[0]
            self.session.expect_answer(answer, len(crops), len(self._columns))
            probabilities[:, self._columns] = answer
        return probabilities

    def close(self) -> None:
        """Free the network's memory."""
        self.session.close()
