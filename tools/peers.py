"""Other people's face-mask networks under our engines' interface, so that all are scored the same way.

Two are known: ``aizoo`` (AIZOOTech/FaceMaskDetection, MIT, an SSD at 260x260) and ``rfb`` (a mask detector on
Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB, MIT, 640x480). Their files are not part of this project.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from detector.boxes import suppress
from detector.defaults import DEFAULT_CONF
from detector.detections import Detections
from detector.engines.session import OnnxSession
from detector.evaluation.contenders import Contender
from detector.scoring import TAIL

__all__ = ["PEERS", "Aizoo", "Rfb", "peer", "peer_contender"]

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

AIZOO_GRIDS = (33, 17, 9, 5, 3)
AIZOO_SIZES = ((0.04, 0.056), (0.08, 0.11), (0.16, 0.22), (0.32, 0.45), (0.64, 0.72))
AIZOO_RATIOS = (0.62, 0.42)
AIZOO_VARIANCES = (0.1, 0.1, 0.2, 0.2)


class Aizoo:
    """AIZOOTech's SSD: RGB in 0..1, plain resize to 260x260, anchors as in its repository.

    Args:
        model: the ONNX file.
        conf: boxes that are less sure are dropped.
        threads: CPU threads.
    """

    def __init__(self, model: Path, conf: float = DEFAULT_CONF, threads: int | None = None) -> None:
        self.conf = conf
        self._session = OnnxSession(model, threads=threads)
        self._anchors = _aizoo_anchors()

    def __call__(self, image: Image) -> Detections:
        """The faces in one BGR uint8 (H, W, 3) image."""
        tensor = cv2.dnn.blobFromImage(image, 1 / 255, (260, 260), swapRB=True)
        location, scores = (output[0] for output in self._session(np.asarray(tensor, np.float32)))
        offset = location * AIZOO_VARIANCES
        centre = offset[:, :2] * self._anchors[:, 2:] + self._anchors[:, :2]
        half = np.exp(offset[:, 2:]) * self._anchors[:, 2:] / 2
        return _select(image, np.concatenate([centre - half, centre + half], axis=1), scores, self.conf)


class Rfb:
    """The ultra-light RFB network with mask classes: RGB, (x - 127) / 128, plain resize to 640x480.

    Args:
        model: the ONNX file.
        conf: boxes that are less sure are dropped.
        threads: CPU threads.
    """

    def __init__(self, model: Path, conf: float = DEFAULT_CONF, threads: int | None = None) -> None:
        self.conf = conf
        self._session = OnnxSession(model, threads=threads)

    def __call__(self, image: Image) -> Detections:
        """The faces in one BGR uint8 (H, W, 3) image."""
        tensor = cv2.dnn.blobFromImage(image, 1 / 128, (640, 480), (127, 127, 127), swapRB=True)
        outputs = dict(zip(self._session.shapes, self._session(np.asarray(tensor, np.float32)), strict=True))
        scores = outputs["scores"][0][:, [2, 1]]  # background, face, masked face
        return _select(image, outputs["boxes"][0], scores, self.conf)


PEERS: dict[str, Callable[..., Aizoo | Rfb]] = {"aizoo": Aizoo, "rfb": Rfb}


def peer(text: str) -> tuple[str, Path]:
    """The value of a flag ``--peer KIND=FILE``."""
    kind, separator, path = text.partition("=")
    if kind not in PEERS or not separator or not path:
        raise argparse.ArgumentTypeError(f"{text} is not KIND=FILE, where KIND is {' or '.join(PEERS)}")
    return kind, Path(path)


def peer_contender(named: tuple[str, Path], args: argparse.Namespace) -> Contender:
    """A peer as it is measured beside our engines, with its ``--peer``, ``--conf`` and ``--threads``."""
    kind, path = named
    conf = DEFAULT_CONF if args.conf is None else args.conf
    shown, usual = (PEERS[kind](path, conf=each, threads=args.threads) for each in (min(conf, TAIL), conf))
    return Contender(kind, shown, usual, conf)


def _select(image: Image, boxes: Floats, scores: Floats, conf: float, iou: float = 0.4) -> Detections:
    """Threshold and suppression of boxes in 0..1 with scores (N, 2) in our class order; a face gets its surer class."""
    height, width = image.shape[:2]
    anchor = np.flatnonzero(scores.max(axis=1) > conf)
    class_id, confidence = scores[anchor].argmax(axis=1), scores[anchor].max(axis=1)
    limit = np.array([width, height, width, height], np.float32)
    xyxy = np.clip(boxes[anchor] * limit, 0, limit)
    kept = suppress(xyxy, confidence, iou, least=conf)
    return Detections(xyxy[kept], confidence[kept], class_id[kept])


def _aizoo_anchors() -> Floats:
    """Centre x, centre y, width, height (5972, 4) in 0..1."""
    anchors = []
    for grid, sizes in zip(AIZOO_GRIDS, AIZOO_SIZES, strict=True):
        ticks = (np.arange(grid) + 0.5) / grid
        y, x = np.meshgrid(ticks, ticks, indexing="ij")
        shapes = [(size, size) for size in sizes]
        shapes += [(sizes[0] * ratio**0.5, sizes[0] / ratio**0.5) for ratio in AIZOO_RATIOS]
        cells = [np.stack([x, y, np.full_like(x, w), np.full_like(x, h)], axis=-1) for w, h in shapes]
        anchors.append(np.stack(cells, axis=2).reshape(-1, 4))
    return np.concatenate(anchors).astype(np.float32)
