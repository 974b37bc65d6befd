"""The default face finder: the one-class SSD that this project trains."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from detector.engines.face_finders.base import FaceFinder, Faces, boxes_and_scores, visible
from detector.engines.image_network import Image, ImageNetwork, Outputs
from detector.engines.kinds import Kind, expect
from detector.engines.letterbox import Letterbox
from detector.engines.session import OnnxSession

__all__ = ["SsdFinder"]


class SsdFinder(FaceFinder):
    """An SSD (Liu et al., https://arxiv.org/abs/1512.02325) with priors and decoding inside the ONNX file.

    Its outputs are ``boxes`` (batch, N, 4), xyxy in pixels of the network's input, and ``scores`` (batch, N), 0 to 1.
    """

    def _load(self, model: str | Path | bytes, device: str, threads: int | None, /) -> None:
        self.session = OnnxSession(model, device=device, threads=threads)
        expect(self.session, Kind.SSD)
        self._network = ImageNetwork(self.session, self.imgsz)

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
        found = self.one_each(boxes_and_scores(self.session, outputs))
        return visible(Faces(geometry.restore(found.boxes), found.scores), *geometry.source)
