"""The two-step engine's second network: which of the two classes a face is of, or that it is no face."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from detector.detections import CLASSES
from detector.engines.crops import MARGIN, SIDE
from detector.engines.kinds import Kind, expect
from detector.engines.session import OnnxSession
from detector.errors import ModelError

__all__ = ["BACKGROUND", "MaskClassifier"]

BACKGROUND = "background"
"""A third class that a classifier may have: the face finder was wrong."""

MAX_CROP = 1024  # px; 64 crops of this size take 0.8 GB
MAX_MARGIN = 4.0  # a crop nine times as wide as the face, which is the whole picture


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
        self._channels = _channels(self.session)
        self.side = _side(self.session)
        self.margin = _margin(self.session)

    def __call__(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """What the crops, BGR uint8 (N, side, side, 3), show.

        Returns:
            float32 (N, 3): the probabilities of with_mask, without_mask and background; the last is 0 where the
            network has no such class.
        """
        probabilities = np.zeros((len(crops), len(CLASSES) + 1), np.float32)
        if len(crops):
            blob: npt.NDArray[Any] = cv2.dnn.blobFromImages(list(crops), 1 / 255, swapRB=True)
            answer = self.session(blob.astype(self.session.dtype, copy=False))[0]
            self.session.expect_answer(answer, len(crops), len(self._channels))
            probabilities[:, self._channels] = answer
        return probabilities

    def close(self) -> None:
        """Free the network's memory."""
        self.session.close()


def _channels(session: OnnxSession) -> list[int]:
    """For each channel of the output its column in the result, after checking that layout and names agree."""
    expect(session, Kind.CLASSIFIER)
    columns = (*CLASSES, BACKGROUND)
    names = session.metadata.names
    if sorted(names) not in (sorted(CLASSES), sorted(columns)):
        found = ", ".join(names) if names else "none"
        raise ModelError(
            f"{session.source}: its classes are {found}, not {' and '.join(CLASSES)} (and perhaps {BACKGROUND}): "
            "use a network made by python -m detector.train --engine two-step"
        )
    shape = session.shapes[session.outputs[0]]
    if len(session.outputs) != 1 or len(shape) != 2 or shape[1] not in (len(names), None) or isinstance(shape[0], int):
        raise ModelError(
            f"{session.source}: its output {shape} is not (batch, {len(names)}) with a free batch: export it again "
            "with python -m detector.train --engine two-step"
        )
    return [columns.index(name) for name in names]


def _side(session: OnnxSession) -> int:
    shape = session.input.shape
    if len(shape) != 4 or shape[1] != 3 or shape[2] != shape[3]:
        raise ModelError(f"{session.source}: its input is {shape}, not (batch, 3, side, side): not a classifier")
    side = shape[2] if isinstance(shape[2], int) else session.metadata.imgsz or SIDE
    if side > MAX_CROP:
        raise ModelError(f"{session.source}: wants crops of {side} px, more than {MAX_CROP}: not a classifier of faces")
    return side


def _margin(session: OnnxSession) -> float:
    text = session.metadata.raw.get("margin", str(MARGIN))
    try:
        margin = float(text)
    except ValueError:
        margin = math.nan
    if not 0 <= margin <= MAX_MARGIN:
        raise ModelError(f"{session.source}: its metadata is damaged (margin {text}): export it again")
    return margin
