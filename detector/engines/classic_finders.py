"""The face finders that tutorials start from: OpenCV's ``res10_300x300_ssd_iter_140000``, and its cascade."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from detector.engines.face_finders import FaceFinder, Faces, Floats, boxes_and_scores, visible
from detector.engines.image_network import Image, image_shape
from detector.engines.kinds import Kind, expect
from detector.engines.session import OnnxSession
from detector.errors import ModelError

__all__ = ["CaffeRes10Finder", "HaarFinder", "Res10Finder", "confidence"]

log = logging.getLogger(__name__)

INPUT_SIZE = (300, 300)
MEAN = (104, 177, 123)
"""Subtracted from blue, green and red, as OpenCV's samples/dnn/models.yml says."""

CASCADE = "haarcascade_frontalface_default.xml"
SCALE_STEP = 1.1
MIN_NEIGHBOURS = 3


class Res10Finder(FaceFinder):
    """The network as ONNX, with the input ``data`` and the outputs ``boxes`` and ``scores``.

    The image is squeezed to 300 x 300 px whatever its shape, as this network is used everywhere: that is why it
    misses small faces.
    """

    def _load(self, model: str | Path | bytes, device: str, threads: int | None, /) -> None:
        self._session = OnnxSession(model, device=device, threads=threads)
        expect(self._session, Kind.RES10)

    def __call__(self, image: Image) -> Faces:
        """The faces in one BGR uint8 (H, W, 3) image."""
        height, width = image_shape(image)
        blob = cv2.dnn.blobFromImage(image, 1.0, INPUT_SIZE, MEAN, swapRB=False, crop=False)
        shares, scores = self._run(np.asarray(blob, np.float32))
        boxes = shares * np.array([width, height] * 2, np.float32)
        return visible(self.one_each(Faces(boxes, scores)), height, width)

    def close(self) -> None:
        """Free the network's memory."""
        self._session.close()

    def _run(self, blob: Floats) -> Faces:
        """Corners as shares of the image, and scores, of a (1, 3, 300, 300) blob."""
        return boxes_and_scores(self._session, [output[0] for output in self._session(blob)])


class CaffeRes10Finder(Res10Finder):
    """The network as Caffe wrote it, with the .prototxt of the same name, or deploy.prototxt, beside it.

    OpenCV 4 runs it, OpenCV 5 cannot. An ``iou`` of 0.45 is built into the file: a higher one changes nothing.
    """

    def _load(self, model: str | Path | bytes, device: str, threads: int | None, /) -> None:
        self._source = str(model)
        self._network: Any = _read_caffe(Path(self._source))
        self._lock = threading.Lock()  # a net of cv2.dnn holds its input and output
        _use_opencv(self._source, device, threads)

    def close(self) -> None:
        """Free the network's memory."""
        with self._lock:
            self._network = None

    def _run(self, blob: Floats) -> Faces:
        with self._lock:
            if self._network is None:
                raise ModelError(f"{self._source} was closed: load it again")
            try:
                self._network.setInput(blob)
                rows: npt.NDArray[np.float32] = np.array(self._network.forward(), np.float32).reshape(-1, 7)
            except (cv2.error, ValueError) as error:
                raise ModelError(f"{self._source}: OpenCV cannot run it as res10: get the file again") from error
        return Faces(rows[:, 3:], rows[:, 2])  # rows are image, class, score, corners


class HaarFinder(FaceFinder):
    """OpenCV's frontal cascade (Viola and Jones, https://doi.org/10.1109/CVPR.2001.990517), as OpenCV sets it up.

    It knows upright faces from 24 px that look into the camera and are mostly bare.
    """

    def _load(self, _: str | Path | bytes, device: str, threads: int | None, /) -> None:
        self._cascade = _read_cascade()
        self._lock = threading.Lock()  # a cascade keeps the image it works on
        _use_opencv("the cascade", device, threads)

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


def _use_opencv(name: str, device: str, threads: int | None) -> None:
    """Settle where a finder that OpenCV runs will run: on the CPU, with no more threads than asked for.

    OpenCV has one number of threads for the whole process, so ``threads`` holds for the program's own calls too.
    """
    if device.lower() not in {"auto", "cpu"}:
        log.info("--device %s is for the classifier: OpenCV runs %s on the CPU", device, name)
    if threads:
        cv2.setNumThreads(threads)


def _read_caffe(path: Path) -> Any:  # cv2.dnn.Net
    # Asked of the module, not of its version: builds differ in what they leave out.
    read = getattr(cv2.dnn, "readNetFromCaffe", None)
    if read is None:
        raise ModelError(
            f"{path}: this OpenCV cannot read Caffe networks: use the ONNX form of it (--faces res10=FILE.onnx), or "
            "pip install 'opencv-python<5'"
        )
    beside = path.with_suffix(".prototxt"), path.with_name("deploy.prototxt")
    prototxt = next((file for file in beside if file.is_file()), None)
    if prototxt is None:
        raise ModelError(f"{path}: there is no prototxt beside it: put its deploy.prototxt into the same folder")
    try:  # from memory: OpenCV opens no path with letters outside the system's code page under Windows
        return read(*(np.frombuffer(file.read_bytes(), np.uint8) for file in (prototxt, path)))
    except (cv2.error, OSError) as error:
        raise ModelError(f"{path}: OpenCV cannot read it with {prototxt.name}: get both files again") from error


def _read_cascade() -> Any:  # cv2.CascadeClassifier, which is not in every OpenCV
    make = getattr(cv2, "CascadeClassifier", None)
    file = Path(getattr(getattr(cv2, "data", None), "haarcascades", "")) / CASCADE
    # Asked of the module, not of its version: builds differ in what they leave out.
    cascade = make(str(file)) if make and file.is_file() else None
    if cascade is None or cascade.empty():
        raise ModelError(
            "--faces haar: this OpenCV has no cascades: use --faces ssd or res10=FILE, or pip install 'opencv-python<5'"
        )
    return cascade
