"""The default face finder: the one-class SSD that this project trains."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from detector.boxes import MAX_DETECTIONS, suppress
from detector.engines.face_finders.base import IOU, MAX_CANDIDATES, Faces, visible
from detector.engines.image_network import Image, ImageNetwork, Outputs
from detector.engines.kinds import Kind, expect
from detector.engines.letterbox import Letterbox
from detector.engines.session import DEFAULT_CONF, OnnxSession
from detector.errors import ModelError

__all__ = ["SsdFinder"]


class SsdFinder:
    """An SSD (Liu et al., https://arxiv.org/abs/1512.02325) with priors and decoding inside the ONNX file.

    Its outputs are ``boxes`` (batch, N, 4), xyxy in pixels of the network's input, and ``scores`` (batch, N), 0 to 1.

    Args:
        model: an .onnx file, or its bytes.
        conf: faces that are less sure than this are dropped, 0 to 1.
        iou: of two boxes that overlap more than this, the surer stays, 0 to 1.
        imgsz: the image's longer side in the network, px; the size of the training by default.
        device: see :class:`~detector.engines.session.OnnxSession`.
        threads: CPU threads.

    Raises:
        ModelError: no network, or not such a one.
        ProviderError: the device cannot be had.
    """

    def __init__(
        self,
        model: str | Path | bytes,
        *,
        conf: float = DEFAULT_CONF,
        iou: float = IOU,
        imgsz: int | None = None,
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        self.conf, self.iou = conf, iou
        self.session = OnnxSession(model, device=device, threads=threads)
        _check(self.session)
        self._network = ImageNetwork(self.session, imgsz)
        self._boxes, self._scores = (self.session.outputs.index(name) for name in ("boxes", "scores"))

    def __call__(self, image: Image) -> Faces:
        """The faces in one BGR uint8 (H, W, 3) image."""
        return self._decode(*self._network(image))

    def batch(self, images: Sequence[Image]) -> list[Faces]:
        """The faces in several images; those that need the same input shape go through the network together."""
        return [self._decode(*seen) for seen in self._network.batch(images)]

    def close(self) -> None:
        """Free the network's memory."""
        self.session.close()

    def _decode(self, outputs: Outputs, geometry: Letterbox) -> Faces:
        boxes, scores = (outputs[index].astype(np.float32, copy=False) for index in (self._boxes, self._scores))
        self.session.expect_answer(scores, None)
        self.session.expect_answer(boxes, len(scores), 4)
        kept = suppress(boxes, scores, self.iou, least=self.conf, most=MAX_CANDIDATES)[:MAX_DETECTIONS]
        return visible(geometry.restore(boxes[kept]), scores[kept], *geometry.source)


def _check(session: OnnxSession) -> None:
    expect(session, Kind.SSD)
    boxes, scores = (session.shapes.get(name, []) for name in ("boxes", "scores"))
    if session.metadata.names != ("face",) or len(boxes) != 3 or boxes[2] != 4 or len(scores) != 2:
        raise ModelError(
            f"{session.source}: not a face finder with one class, face, and outputs boxes (batch, N, 4) and scores "
            "(batch, N): make one with python tools/train_face_ssd.py"
        )
