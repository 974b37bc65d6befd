"""OpenCV's classic face finder, ``res10_300x300_ssd_iter_140000``, which most tutorials start from."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from detector.boxes import MAX_DETECTIONS, suppress
from detector.engines.face_finders.base import IOU, MAX_CANDIDATES, Faces, Floats, use_opencv, visible
from detector.engines.image_network import Image, image_size
from detector.engines.kinds import Kind, expect, kind_of
from detector.engines.session import DEFAULT_CONF, OnnxSession
from detector.engines.weights import existing
from detector.errors import ModelError

__all__ = ["Res10Finder"]

INPUT_SIZE = (300, 300)
MEAN = (104, 177, 123)
"""Subtracted from blue, green and red, as OpenCV's samples/dnn/models.yml says."""


class _Network(Protocol):
    def __call__(self, blob: Floats) -> Faces:
        """Boxes (N, 4), corners as shares of the image, and scores (N,), of a (1, 3, 300, 300) blob."""

    def close(self) -> None: ...


class Res10Finder:
    """The network as ONNX, or as Caffe wrote it where the installed OpenCV can read that (OpenCV 5 cannot).

    The image is squeezed to 300 x 300 px whatever its shape, as this network is used everywhere: that is why it
    misses small faces.

    Args:
        model: an .onnx file with input ``data`` and outputs ``boxes`` and ``scores``; or a .caffemodel, with the
            .prototxt of the same name, or deploy.prototxt, beside it.
        conf: faces that are less sure than this are dropped, 0 to 1.
        iou: of two boxes that overlap more than this, the surer stays, 0 to 1. Caffe's file has 0.45 built in, and a
            higher figure changes nothing there.
        device: for the ONNX form; see :class:`~detector.engines.session.OnnxSession`.
        threads: CPU threads.

    Raises:
        ModelError: no file, not this network, or Caffe's form with an OpenCV that cannot read it.
        ProviderError: the device cannot be had.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        conf: float = DEFAULT_CONF,
        iou: float = IOU,
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        self.conf, self.iou = conf, iou
        path = existing(model, "name OpenCV's res10 network, as .onnx or .caffemodel, with --faces res10=FILE")
        if path.suffix.lower() == ".caffemodel":
            use_opencv(path.name, device, threads)
            self._network: _Network = _Caffe(path)
        else:
            self._network = _Onnx(path, device, threads)

    def __call__(self, image: Image) -> Faces:
        """The faces in one BGR uint8 (H, W, 3) image."""
        height, width = image_size(image)
        blob = cv2.dnn.blobFromImage(image, 1.0, INPUT_SIZE, MEAN, swapRB=False, crop=False)
        boxes, scores = self._network(np.asarray(blob, np.float32))
        boxes = boxes * np.array([width, height] * 2, np.float32)
        kept = suppress(boxes, scores, self.iou, least=self.conf, most=MAX_CANDIDATES)[:MAX_DETECTIONS]
        return visible(boxes[kept], scores[kept], height, width)

    def batch(self, images: Sequence[Image]) -> list[Faces]:
        """The faces in several images, one by one: the network has room for one."""
        return [self(image) for image in images]

    def close(self) -> None:
        """Free the network's memory."""
        self._network.close()


class _Onnx:
    def __init__(self, path: Path, device: str, threads: int | None) -> None:
        self.session = OnnxSession(path, device=device, threads=threads)
        expect(self.session, Kind.RES10)
        if kind_of(self.session) is not Kind.RES10:
            raise ModelError(
                f"{path}: not OpenCV's res10 network: its ONNX form has the input data (1, 3, 300, 300) and the "
                "outputs boxes and scores; use --faces ssd=FILE for a face finder of this project"
            )
        self._boxes, self._scores = (self.session.outputs.index(name) for name in ("boxes", "scores"))

    def __call__(self, blob: Floats) -> Faces:
        outputs = self.session(blob)
        boxes, scores = outputs[self._boxes][0], outputs[self._scores][0]
        self.session.expect_answer(scores, None)
        self.session.expect_answer(boxes, len(scores), 4)
        return boxes, scores

    def close(self) -> None:
        self.session.close()


class _Caffe:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._net = _read_caffe(path)
        self._lock = threading.Lock()  # a net of cv2.dnn holds its input and output

    def __call__(self, blob: Floats) -> Faces:
        with self._lock:
            if self._net is None:
                raise ModelError(f"{self.path} was closed: load it again")
            try:
                self._net.setInput(blob)
                rows: npt.NDArray[np.float32] = np.array(self._net.forward(), np.float32).reshape(-1, 7)
            except (cv2.error, ValueError) as error:
                raise ModelError(f"{self.path}: OpenCV cannot run it as res10: get the file again") from error
        return rows[:, 3:], rows[:, 2]  # rows are image, class, score, corners

    def close(self) -> None:
        with self._lock:
            self._net = None


def _read_caffe(path: Path) -> Any:  # cv2.dnn.Net
    # Asked of the module, not of its version: builds differ in what they leave out.
    read = getattr(cv2.dnn, "readNetFromCaffe", None)
    if read is None:
        raise ModelError(
            f"{path}: this OpenCV cannot read Caffe networks: use the ONNX form of it (--faces res10=FILE.onnx), or "
            "pip install 'opencv-python<5'"
        )
    prototxt = next(
        (p for p in (path.with_suffix(".prototxt"), path.with_name("deploy.prototxt")) if p.is_file()), None
    )
    if prototxt is None:
        raise ModelError(f"{path}: there is no prototxt beside it: put its deploy.prototxt into the same folder")
    try:  # from memory: OpenCV opens no path with letters outside the system's code page under Windows
        return read(*(np.frombuffer(file.read_bytes(), np.uint8) for file in (prototxt, path)))
    except (cv2.error, OSError) as error:
        raise ModelError(f"{path}: OpenCV cannot read it with {prototxt.name}: get both files again") from error
