"""The two-step networks as ONNX graphs."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from detector.engines.weights import CLASSIFIER_WEIGHTS, FACE_WEIGHTS
from detector.staging import temporary_folder
from detector.training.parity import OPSET, Draft, Floats, class_scores, letterboxed, scored_boxes
from detector.training.two_step.classifier_network import MaskClassifierNetwork
from detector.training.two_step.crop_folder import read_crop
from detector.training.two_step.face_ssd_network import STRIDE, Decoded, FaceSSD
from detector.training.two_step.learner import rgb_tensor

__all__ = ["draft_classifier", "draft_face_finder"]


def draft_face_finder(content: dict[str, Any], pictures: Sequence[Path], *, imgsz: int | None, data_note: str) -> Draft:
    """Export the face finder of a checkpoint's content; priors and decoding are inside."""
    network = FaceSSD()
    network.load_state_dict(content["average"])
    size = imgsz or int(content["settings"]["imgsz"])
    entries = {
        "description": "Finds faces: the first of two steps",
        "task": "face",
        "names": str({0: "face"}),
        "stride": str(STRIDE),
        "imgsz": str([size, size]),
        "end2end": "False",
        "data": data_note or content["data_note"],
    }
    axes = {
        "images": {0: "batch", 2: "height", 3: "width"},
        "boxes": {0: "batch", 1: "candidates"},
        "scores": {0: "batch", 1: "candidates"},
    }
    decoded = Decoded(network).eval()
    model = _trace(decoded, torch.zeros(2, 3, 4 * STRIDE, 3 * STRIDE), axes)
    return Draft(FACE_WEIGHTS, f"{size} px", model, entries, decoded, letterboxed(pictures, size, STRIDE), scored_boxes)


def draft_classifier(content: dict[str, Any], crops: Sequence[Path], *, data_note: str) -> Draft:
    """Export the mask classifier of a checkpoint's content; the softmax is inside."""
    backbone, side, names = content["settings"]["backbone"], content["settings"]["side"], content["names"]
    network = MaskClassifierNetwork(backbone, len(names))
    network.load_state_dict(content["average"])
    entries = {
        "description": "Says who wears a mask, face by face: the second of two steps",
        "task": "mask",
        "names": str(dict(enumerate(names))),
        "imgsz": str([side, side]),
        "margin": str(content["margin"]),
        "backbone": backbone,
        "data": data_note or content["data_note"],
    }
    axes = {"crops": {0: "batch"}, "probabilities": {0: "batch"}}
    readable = nn.Sequential(network, nn.Softmax(dim=1)).eval()
    model = _trace(readable, torch.zeros(2, 3, side, side), axes)
    return Draft(
        CLASSIFIER_WEIGHTS, f"{backbone}, {side} px", model, entries, readable, _batches(crops, side), class_scores
    )


def _batches(crops: Sequence[Path], side: int) -> Iterator[Floats]:
    """All at once, and one alone."""
    tensor = rgb_tensor(np.stack([read_crop(path, side) for path in crops])).contiguous().numpy()
    yield from (tensor, tensor[:1])


def _trace(network: nn.Module, example: torch.Tensor, axes: dict[str, dict[int, str]]) -> onnx.ModelProto:
    """The network's graph, constants folded; ``axes`` names its input, then its outputs, and their free axes."""
    names = list(axes)
    with warnings.catch_warnings(), temporary_folder() as folder:
        warnings.simplefilter("ignore")  # the tracer warns that it is the old one: the new one needs onnxscript
        torch.onnx.export(
            network,
            (example,),
            folder / "network.onnx",
            input_names=names[:1],
            output_names=names[1:],
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
        return onnx.load(folder / "network.onnx")
