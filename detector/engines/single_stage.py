"""The single-stage engine: one network, one pass, every face with its class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from detector.boxes import MAX_DETECTIONS, suppress
from detector.defaults import DEFAULT_IOU
from detector.detections import CLASSES, Detections
from detector.engines.image_network import Engine, Image, ImageNetwork
from detector.engines.kinds import Kind, expect
from detector.engines.letterbox import Letterbox
from detector.engines.session import OnnxSession
from detector.errors import ModelError

if TYPE_CHECKING:
    import onnxruntime as ort

__all__ = ["SingleStage"]

MAX_COORDINATE = 1e6  # px; a box of a network that works lies in or near its input, of 8,192 px at most


class SingleStage(Engine):
    """A YOLO-style network exported by ``mask-detector export`` (or by ultralytics, with the same class names).

    Double boxes on one face are dropped whatever their class, since a face has one class. Both head layouts are
    known: raw (B, 4 + classes, anchors) with centre, width, height and scores, and end-to-end (B, 300, 6) with
    corners, score and class. Scores are what boxes and words are chosen by; where the file has a calibration, it makes
    confidences of them afterwards, and ``conf`` is one of these.

    Args:
        model: an .onnx file, its bytes, or an onnxruntime session.
        conf, imgsz, device, threads: see :func:`detector.engines.load_engine`.
        iou: of two boxes that overlap more than this, the surer stays (raw heads), 0 to 1.
        one_class: a face has one class, the surer one (what people want to see). False keeps what a raw head thinks of
            both classes, each with a suppression of its own: what average precision is defined on.

    Raises:
        ModelError: no network, other classes, or a head that is not known.
        ProviderError: the device cannot be had.
    """

    def __init__(
        self,
        model: str | Path | bytes | ort.InferenceSession,
        *,
        conf: float | None = None,
        iou: float = DEFAULT_IOU["single-stage"],
        imgsz: int | None = None,
        device: str = "auto",
        threads: int | None = None,
        one_class: bool = True,
    ) -> None:
        self.iou, self.one_class = iou, one_class
        self.session = OnnxSession(model, device=device, threads=threads)
        expect(self.session, Kind.SINGLE_STAGE)
        self._class_id = np.array([CLASSES.index(name) for name in self.session.metadata.names], np.int64)
        self.conf = self.session.metadata.conf if conf is None else conf
        self._network = ImageNetwork(self.session, imgsz)
        self.imgsz = self._network.imgsz

    def __call__(self, image: Image) -> Detections:
        """Find the faces in one BGR uint8 (H, W, 3) image, the surest first."""
        (output,), geometry = self._network(image)
        return self._decode(output, geometry)

    def batch(self, images: Sequence[Image]) -> list[Detections]:
        """Find the faces in several images; those that need the same input shape go through the network together."""
        return [self._decode(output, geometry) for (output,), geometry in self._network.batch(images)]

    def close(self) -> None:
        """Free the network's memory."""
        self.session.close()

    def _decode(self, output: npt.NDArray[Any], geometry: Letterbox) -> Detections:
        conf, calibration = self.conf, self.session.metadata.calibration
        least = calibration.least_score(conf) if calibration else conf
        if self.session.metadata.end2end:
            self.session.expect_answer(output, None, 6)
            xyxy, confidence, channel = self._checked(*_end_to_end_candidates(output, least))
        else:
            self.session.expect_answer(output, 4 + len(CLASSES), None)
            found = _raw_candidates(output, least, one_class=self.one_class)
            xyxy, confidence, channel = self._checked(*found)
            kept = suppress(xyxy, confidence, self.iou, class_id=None if self.one_class else channel)
            xyxy, confidence, channel = xyxy[kept], confidence[kept], channel[kept]
        if calibration:
            confidence = calibration(confidence, channel)
        kept = np.argsort(-confidence, kind="stable")
        kept = kept[confidence[kept] > conf][:MAX_DETECTIONS]
        return Detections(geometry.restore(xyxy[kept]), confidence[kept], self._class_id[channel[kept]])

    def _checked(self, boxes: npt.NDArray[Any], confidence: npt.NDArray[Any], channel: npt.NDArray[Any]) -> Decoded:
        """The candidates with their types; a network may answer anything, also what is no number.

        Raises:
            ModelError: they are no faces.
        """
        with np.errstate(over="ignore"):  # of half precision's infinity
            boxes, confidence = boxes.astype(np.float32), confidence.astype(np.float32)
        # Not a number is in no comparison true.
        known = (channel == 0) | (channel == 1)
        if not ((abs(boxes) < MAX_COORDINATE).all() and (confidence <= 1).all() and known.all()):
            raise ModelError(f"{self.session.source}: answers numbers that are no faces: export or train it again")
        return boxes, confidence, channel.astype(np.int64)


Decoded = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.int64]]
Candidates = tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]


def _end_to_end_candidates(output: npt.NDArray[Any], least: float) -> Candidates:
    """Rows (300, 6) of corners, score, class: the head itself has left one box per face."""
    kept = output[output[:, 4].astype(np.float32) > least][:MAX_DETECTIONS]  # in half precision it might be rounded up
    return kept[:, :4], kept[:, 4], kept[:, 5]


def _raw_candidates(output: npt.NDArray[Any], least: float, *, one_class: bool) -> Candidates:
    """Of columns (4 + classes, anchors) of centre, size and scores, the boxes above the threshold."""
    scores = output[4:].astype(np.float32, copy=False)
    if one_class:
        candidates = np.flatnonzero(scores.max(axis=0, initial=0) > least)
        channel = scores[:, candidates].argmax(axis=0)
    else:
        channel, candidates = np.nonzero(scores > least)
    confidence = scores[channel, candidates]
    centre, size = np.split(output[:4, candidates].astype(np.float32), 2)
    with np.errstate(over="ignore", invalid="ignore"):  # the next step refuses them
        corner = centre - size / 2
        return np.concatenate([corner, corner + size]).T, confidence, channel
