"""What a face finder in training finds in the validation images, seen as the engine will see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from detector.boxes import MAX_DETECTIONS, suppress
from detector.defaults import DEFAULT_IOU
from detector.detections import Detections
from detector.engines.face_finders.base import MAX_CANDIDATES
from detector.engines.letterbox import InputBuffer, Letterbox
from detector.scoring import TAIL, Example
from detector.training.pictures import Pictures
from detector.training.two_step.learner import Hardware

if TYPE_CHECKING:
    from detector.training.two_step.face_ssd_network import Decoded, FaceSSD

__all__ = ["find_faces"]

Floats = npt.NDArray[np.float32]


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
    from detector.training.two_step.face_ssd_network import STRIDE, Decoded

    readable = Decoded(network).eval()
    examples = []
    for index, item in enumerate(pictures.labelled):
        picture, _, _ = pictures[index]
        geometry = Letterbox.fit(picture.shape[:2], imgsz, STRIDE)
        buffer = InputBuffer(geometry)
        buffer.write(picture)
        boxes, scores = _detect(readable, buffer.tensor[None], hardware)
        kept = suppress(boxes, scores, DEFAULT_IOU["two-step"], least=TAIL, most=MAX_CANDIDATES)[:MAX_DETECTIONS]
        scale = np.float32(max(item.size) / max(picture.shape[:2]))
        found = Detections(geometry.restore(boxes[kept]) * scale, scores[kept], np.zeros(len(kept), np.int64))
        examples.append(Example(item.truth, found, item.ignored))
    return examples


def _detect(network: Decoded, tensor: Floats, hardware: Hardware) -> tuple[Floats, Floats]:
    """Candidate boxes (N, 4) and scores (N,) of one input."""
    import torch

    pixels = torch.from_numpy(tensor).to(hardware.device, memory_format=torch.channels_last)
    with torch.inference_mode(), hardware.autocast():
        boxes, scores = network(pixels)
    return boxes[0].cpu().numpy(), scores[0].cpu().numpy()
