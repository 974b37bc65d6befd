"""Small real ONNX files: networks whose answers are written into the file, or follow the colour, so all is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

NAMES = "{0: 'with_mask', 1: 'without_mask'}"
THREE_NAMES = "{0: 'with_mask', 1: 'without_mask', 2: 'background'}"


def make_network(
    folder: Path,
    output: np.ndarray,
    metadata: dict[str, str | None] | None = None,
    input_shape: tuple[object, ...] = ("batch", 3, "height", "width"),
    output_shape: tuple[object, ...] | None = None,
    element: int = TensorProto.FLOAT,
) -> Path:
    """A network that answers ``output`` (without the batch axis) for each image of its input."""
    return save(
        folder / f"network{len(list(folder.iterdir()))}.onnx",
        _constant_nodes("images", "output0"),
        ("images", input_shape),
        {"output0": output_shape or ("batch", *output.shape)},
        {"output0_answer": output},
        {"names": NAMES, "stride": "32", "imgsz": "[64, 64]"} | (metadata or {}),
        element,
    )


def make_ssd(
    folder: Path,
    *faces: tuple[float, float, float, float, float],
    metadata: dict[str, str | None] | None = None,
    input_shape: tuple[object, ...] = ("batch", 3, "height", "width"),
    element: int = TensorProto.FLOAT,
) -> Path:
    """A face finder that answers the same boxes, px of its input, and scores for each image."""
    rows = np.array(faces, np.float32).reshape(-1, 5)
    answers = {"scores": rows[:, 4], "boxes": rows[:, :4]}  # the order of outputs is nothing to rely on
    return save(
        folder / f"ssd{len(list(folder.iterdir()))}.onnx",
        [node for name in answers for node in _constant_nodes("images", name)],
        ("images", input_shape),
        {name: (input_shape[0], *array.shape) for name, array in answers.items()},
        {f"{name}_answer": array for name, array in answers.items()},
        {"names": "{0: 'face'}", "stride": "32", "imgsz": "64", "task": "face"} | (metadata or {}),
        element,
    )


def make_classifier(
    folder: Path,
    names: str = THREE_NAMES,
    metadata: dict[str, str | None] | None = None,
    *,
    steepness: float = 20.0,
    dilute: bool = False,
    input_shape: tuple[object, ...] = ("batch", 3, 16, 16),
    output: str = "probabilities",
    element: int = TensorProto.FLOAT,
) -> Path:
    """A classifier by colour: the more red, green or blue a crop is, the likelier its first, second or third class.

    With ``dilute`` it says what the crop's red is, divided by the number of crops in the run, and nothing else.
    """
    classes = names.count(":")
    mix = np.eye(3, max(classes, 1), dtype=np.float32) * (1 if dilute else steepness)
    mean = [
        helper.make_node("ReduceMean", ["crops", "pixels"], ["colour"], keepdims=0),
        helper.make_node("MatMul", ["colour", "mix"], ["logits"]),
    ]
    last = [helper.make_node("Softmax", ["logits"], [output], axis=1)]
    if dilute:
        mix[1:] = 0
        last = [
            helper.make_node("Shape", ["crops"], ["count"], start=0, end=1),
            helper.make_node("Cast", ["count"], ["divisor"], to=element),
            helper.make_node("Div", ["logits", "divisor"], [output]),
        ]
    return save(
        folder / f"classifier{len(list(folder.iterdir()))}.onnx",
        [*mean, *last],
        ("crops", input_shape),
        {output: (input_shape[0], max(classes, 1))},
        {"pixels": np.array([2, 3]), "mix": mix},
        {"names": names, "imgsz": "16", "margin": "0.0", "task": "mask"} | (metadata or {}),
        element,
    )


def make_res10(
    folder: Path, *boxes: tuple[float, float, float, float], input_shape: tuple[int, ...] = (1, 3, 300, 300)
) -> Path:
    """A network with res10's face: fixed boxes, and as scores a 255th of what blue, green and red are on average."""
    nodes = [
        helper.make_node("ReduceMean", ["data", "pixels"], ["means"], keepdims=0),
        helper.make_node("Div", ["means", "white"], ["scores"]),
        helper.make_node("Identity", ["boxes_answer"], ["boxes"]),
    ]
    return save(
        folder / f"res10_{len(list(folder.iterdir()))}.onnx",
        nodes,
        ("data", input_shape),
        {"boxes": (1, 3, 4), "scores": (1, 3)},
        {
            "pixels": np.array([2, 3]),
            "white": np.array(255, np.float32),
            "boxes_answer": np.array([boxes], np.float32),
        },
        {},
    )


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


def save(
    path: Path,
    nodes: list[onnx.NodeProto],
    source: tuple[str, tuple[object, ...]],
    outputs: dict[str, tuple[object, ...]],
    constants: dict[str, np.ndarray],
    metadata: dict[str, str | None],
    element: int = TensorProto.FLOAT,
) -> Path:
    """Write a network; its floats are of the type ``element``."""
    dtype = helper.tensor_dtype_to_np_dtype(element)
    graph = helper.make_graph(
        nodes,
        "known",
        [helper.make_tensor_value_info(source[0], element, source[1])],
        [helper.make_tensor_value_info(name, element, shape) for name, shape in outputs.items()],
        [
            numpy_helper.from_array(array.astype(dtype) if array.dtype.kind == "f" else array.astype(np.int64), name)
            for name, array in constants.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {key: value for key, value in metadata.items() if value is not None})
    onnx.save(model, path)
    return path


def _constant_nodes(source: str, name: str) -> list[onnx.NodeProto]:
    """``name_answer``, once for each image of the batch."""
    return [
        helper.make_node("Shape", [source], [f"{name}_batch"], start=0, end=1),
        helper.make_node("Shape", [f"{name}_answer"], [f"{name}_shape"]),
        helper.make_node("Concat", [f"{name}_batch", f"{name}_shape"], [f"{name}_full"], axis=0),
        helper.make_node("Expand", [f"{name}_answer", f"{name}_full"], [name]),
    ]
