"""The two-step engine's first step: what every face finder is, the default one, and what ``--faces`` can name."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from detector.boxes import MAX_DETECTIONS, suppress
from detector.defaults import DEFAULT_CONF, DEFAULT_IOU
from detector.engines.image_network import Image, ImageNetwork, Outputs
from detector.engines.kinds import Kind, expect
from detector.engines.letterbox import Letterbox
from detector.engines.session import Closing, OnnxSession
from detector.engines.weights import FACE_WEIGHTS, default_weights, existing
from detector.errors import ModelError

__all__ = ["MAX_CANDIDATES", "FaceFinder", "Faces", "Floats", "SsdFinder", "boxes_and_scores", "load_finder", "visible"]

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
        return visible(Faces(geometry.restore(found.boxes), found.scores), *geometry.source_shape)


def load_finder(spec: str = "ssd", *, imgsz: int | None = None, **options: Any) -> FaceFinder:
    """A face finder as ``--faces`` names it: ``ssd``, ``ssd=FILE``, ``res10=FILE`` or ``haar``.

    Args:
        spec: its name.
        imgsz: the image's longer side in the network, px; for ``ssd``.
        options: conf, iou, device and threads of :class:`FaceFinder`.

    Raises:
        ModelError: the finder is unknown, its file is missing or of another kind, OpenCV cannot run it, or ``imgsz``
            does not apply to it.
        ProviderError: the device cannot be had.
    """
    from detector.engines import classic_finders as classic  # here: it builds on this module

    kind, given, file = spec.partition("=")
    if kind in {"res10", "haar"} and imgsz:
        raise ModelError(f"--imgsz {imgsz}: the face finder {kind} has its own size: leave it out, or use --faces ssd")
    if kind == "ssd" and (file or not given):
        remedy = "make it with mask-detector train --engine two-step --finder, or name another face finder"
        return SsdFinder(existing(file or default_weights(FACE_WEIGHTS), remedy), imgsz=imgsz, **options)
    if kind == "res10" and file:
        path = existing(file, "name OpenCV's res10 network, as .onnx or .caffemodel, with --faces res10=FILE")
        return (classic.CaffeRes10Finder if path.suffix.lower() == ".caffemodel" else classic.Res10Finder)(
            path, **options
        )
    if kind == "haar" and not given:
        return classic.HaarFinder(**options)
    raise ModelError(f"--faces {spec} is not known: use ssd, ssd=FILE, res10=FILE (its .onnx or .caffemodel) or haar")


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
