"""Small real ONNX files: networks whose output is written into the file, so that every number is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

NAMES = "{0: 'with_mask', 1: 'without_mask'}"
MakeNetwork = Callable[..., Path]


@pytest.fixture
def make_network(tmp_path: Path) -> MakeNetwork:
    """A network that answers ``output`` (without the batch axis) for each image of its input."""

    def make(
        output: np.ndarray,
        metadata: dict[str, str] | None = None,
        input_shape: tuple[object, ...] = ("batch", 3, "height", "width"),
        output_shape: tuple[object, ...] | None = None,
        element: int = TensorProto.FLOAT,
    ) -> Path:
        dtype = helper.tensor_dtype_to_np_dtype(element)
        nodes = [  # mean over the image, times 0, plus the answer: depends on the input only in its batch axis
            helper.make_node("ReduceMean", ["images", "axes"], ["mean"], keepdims=0),
            helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
            helper.make_node("Add", ["nothing", "answer"], ["output0"]),
        ]
        constants = [
            numpy_helper.from_array(np.array([1, 2, 3], np.int64), "axes"),
            numpy_helper.from_array(np.array(0, dtype), "zero"),
            numpy_helper.from_array(output.astype(dtype), "answer"),
        ]
        nodes[0].output[0] = "flat"
        nodes.insert(1, helper.make_node("Unsqueeze", ["flat", "tail"], ["mean"]))
        constants.append(numpy_helper.from_array(np.array([1, 2], np.int64), "tail"))
        graph = helper.make_graph(
            nodes,
            "known",
            [helper.make_tensor_value_info("images", element, input_shape)],
            [helper.make_tensor_value_info("output0", element, output_shape or ("batch", *output.shape))],
            constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        helper.set_model_props(model, {"names": NAMES, "stride": "32", "imgsz": "[64, 64]"} | (metadata or {}))
        path = tmp_path / f"network{len(list(tmp_path.glob('*.onnx')))}.onnx"
        onnx.save(model, path)
        return path

    return make


def raw_head(*faces: tuple[float, float, float, float, float, float], anchors: int = 84) -> np.ndarray:
    """A raw head (6, anchors): each face as centre x, centre y, width, height, with_mask, without_mask."""
    output = np.zeros((6, anchors), np.float32)
    for column, face in enumerate(faces):
        output[:, column] = face
    return output


def end_to_end_head(*faces: tuple[float, float, float, float, float, float]) -> np.ndarray:
    """An end-to-end head (300, 6): each face as left, top, right, bottom, score, class."""
    output = np.zeros((300, 6), np.float32)
    output[: len(faces)] = np.array(faces, np.float32).reshape(-1, 6)
    return output
