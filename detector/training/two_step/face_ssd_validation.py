"""How many faces a face finder in training finds in the validation images, seen as the engine will see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from detector.boxes import MAX_DETECTIONS, suppress
from detector.defaults import DEFAULT_IOU
from detector.detections import Detections
from detector.engines.face_finders import MAX_CANDIDATES
from detector.engines.letterbox import InputBuffer, Letterbox
from detector.scoring import TAIL, Example, match
from detector.training.hardware import Hardware
from detector.training.two_step.face_ssd_data import Pictures
from detector.training.two_step.face_ssd_network import STRIDE, Decoded, FaceSSD

__all__ = ["FaceRecall", "find_faces", "measure"]

LEAST_SIDE = 16.0
"""Of faces that a face finder is measured on, px: shorter sides than this neither help nor hurt."""


@dataclass(frozen=True)
class FaceRecall:
    """The share of faces that are found where one false face an image is allowed.

    Args:
        recall: 0 to 1; NaN where there is no face.
        threshold: faces that are surer than this are then shown.
        faces: how many were to be found.
    """

    recall: float
    threshold: float
    faces: int

    def __str__(self) -> str:
        return (
            f"recall at 1 false face an image: {self.recall:.3f} of {self.faces} faces from {LEAST_SIDE:g} px, "
            f"at a score of {self.threshold:.3f}"
        )


def measure(examples: Sequence[Example]) -> FaceRecall:
    """Recall at as many false faces as there are images, with one threshold for all of them, classes aside."""
    matches = match(examples, min_side=LEAST_SIDE)
    alarms = -np.sort(-matches.false_confidence)
    threshold = float(alarms[len(examples)]) if len(examples) < len(alarms) else 0.0
    found = float((matches.confidence > threshold).mean()) if len(matches.confidence) else float("nan")
    return FaceRecall(found, threshold, len(matches.confidence))


def find_faces(network: FaceSSD, pictures: Pictures, imgsz: int, hardware: Hardware) -> list[Example]:
    """Each image's truth and what the network finds there, all as one class.

    Args:
        network: is set to evaluation.
        pictures: the images, at their own size or scaled down.
        imgsz: their longer side in the network, px.
        hardware: where the network is.

    Raises:
        SourceError: an image cannot be read.
    """
    readable = Decoded(network).eval()
    examples = []
    for index, item in enumerate(pictures.labelled):
        picture, _, _ = pictures[index]
        geometry = Letterbox.fit(picture.shape[:2], imgsz, STRIDE)
        buffer = InputBuffer(geometry)
        buffer.write(picture)
        pixels = torch.from_numpy(buffer.tensor[None]).to(hardware.device, memory_format=torch.channels_last)
        with torch.inference_mode(), hardware.autocast():
            boxes, scores = (output[0].cpu().numpy() for output in readable(pixels))
        kept = suppress(boxes, scores, DEFAULT_IOU["two-step"], least=TAIL, most=MAX_CANDIDATES)[:MAX_DETECTIONS]
        scale = np.float32(max(item.size) / max(picture.shape[:2]))
        found = Detections(geometry.restore(boxes[kept]) * scale, scores[kept], np.zeros(len(kept), np.int64))
        examples.append(Example(item.truth, found, item.ignored))
    return examples
