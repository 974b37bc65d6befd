"""The single-stage network as an ONNX graph: ultralytics' export, and what that leaves slow or too rigid."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import nn

from detector.engines.metadata import MAX_SIDE
from detector.engines.weights import DEFAULT_WEIGHTS
from detector.errors import ModelError
from detector.staging import temporary_folder
from detector.training.checkpoint import load, packed
from detector.training.parity import OPSET, Draft, end_to_end_boxes, letterboxed, raw_boxes
from detector.training.single_stage.graph_edits import convolve_before_enlarging

__all__ = ["divide_split_convolutions", "draft_detector"]


def draft_detector(
    checkpoint: Path, pictures: Sequence[Path], *, imgsz: int | None, head: str, data_note: str
) -> Draft:
    """Export a checkpoint of ultralytics, see :func:`~.exporter.export`; call within :func:`~.ultralytics_env`."""
    network, content = load(checkpoint)
    if head == "end2end" and getattr(network.model[-1], "one2one_cv2", None) is None:
        raise ModelError(f"{checkpoint}: has no end-to-end head: export it with --head raw")
    size = imgsz or _trained_size(checkpoint, content)
    note = data_note or str(content.get("data_note", ""))
    with temporary_folder() as folder:
        part = folder / "network.pt"  # ultralytics exports beside the checkpoint
        part.write_bytes(packed(network, content, note))
        model = _export_with_ultralytics(part, size, head)
    if head == "end2end":
        _free_top_k(model.graph)
    network.end2end = head == "end2end"
    convolve_before_enlarging(model)
    entries = {"description": "Finds faces and says who wears a mask", "data": note}
    inputs = letterboxed(pictures, size, int(network.stride.max()))
    difference = end_to_end_boxes if network.end2end else raw_boxes
    return Draft(DEFAULT_WEIGHTS, f"{head} head, {size} px", model, entries, network, inputs, difference)


def _trained_size(checkpoint: Path, content: dict[str, Any]) -> int:
    size = content["train_args"].get("imgsz", 640)
    sides = size if isinstance(size, list | tuple) else [size]
    if not sides or not all(type(side) is int and 1 <= side <= MAX_SIDE for side in sides):
        raise ModelError(f"{checkpoint}: says it was trained at {str(size)[:60]} px: give the size with --imgsz")
    return int(max(sides))


def _export_with_ultralytics(checkpoint: Path, imgsz: int, head: str) -> onnx.ModelProto:
    from ultralytics import YOLO

    try:
        network = YOLO(checkpoint, task="detect")
        network.model.end2end = head == "end2end"  # of two heads, fusing keeps the one that is used
        divide_split_convolutions(network.model.fuse())
        made = network.export(
            format="onnx",
            imgsz=imgsz,
            dynamic=True,
            simplify=True,
            opset=OPSET,
            # For a yolo26 None is the raw one-to-many head, False the end-to-end one; others have only the raw one.
            nms=False if head == "end2end" else None,
            device="cpu",
        )
    except Exception as error:  # a checkpoint of a stranger's may hold a network of any shape
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise ModelError(
            f"ultralytics could not export the network ({reason}): try the version in constraints.txt"
        ) from error
    return onnx.load(made)


class _Parts(tuple[torch.Tensor, ...]):
    """Tensors that were computed apart, for blocks that split what they think is one."""

    def split(self, *_: Any, **__: Any) -> _Parts:
        return self

    chunk = split


class _Divided(nn.Module):
    """One convolution as several, each of which computes some of its channels."""

    def __init__(self, convolution: Any, channels: int) -> None:
        super().__init__()
        self.parts = nn.ModuleList()
        layer = convolution.conv
        for weight, bias in zip(layer.weight.split(channels), layer.bias.split(channels), strict=True):
            part = copy.deepcopy(convolution)
            part.conv.weight, part.conv.bias = nn.Parameter(weight), nn.Parameter(bias)
            self.parts.append(part)

    def forward(self, features: torch.Tensor) -> _Parts:
        return _Parts(part(features) for part in self.parts)


def divide_split_convolutions(network: nn.Module) -> None:
    """Make two convolutions of each whose output is split by channel at once, as in YOLO's C2f blocks.

    The numbers stay the same. onnxruntime computes convolutions on a CPU with blocks of channels side by side and has
    no Split for that order: it would put the whole tensor back into plain order and its parts into blocks again.

    Args:
        network: of ultralytics, with norms fused into its convolutions; is changed.
    """
    from ultralytics.nn.modules import C2PSA, C2f

    for block in network.modules():
        if isinstance(block, C2f | C2PSA):
            block.cv1 = _Divided(block.cv1, block.c)


def _free_top_k(graph: onnx.GraphProto) -> None:
    """Let the end-to-end head answer with fewer than its 300 rows where the input is too small to have as many.

    Ultralytics writes the number into the graph, and names the row's six columns "anchors"; onnxruntime then fails on
    a thin image, such as a panorama.
    """
    first, second = (node for node in graph.node if node.op_type == "TopK")
    graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), "anchor_axis"))
    smaller = [
        helper.make_node("Shape", [first.input[0]], ["score_shape"]),
        helper.make_node("Gather", ["score_shape", "anchor_axis"], ["anchor_count"]),
        helper.make_node("Min", ["anchor_count", first.input[1]], ["row_count"]),
    ]
    for position, node in enumerate(smaller, list(graph.node).index(first)):
        graph.node.insert(position, node)
    first.input[1] = second.input[1] = "row_count"
    shape = ("batch", "detections", 6)
    graph.output[0].CopyFrom(helper.make_tensor_value_info("output0", onnx.TensorProto.FLOAT, shape))
