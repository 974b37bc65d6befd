"""Edits of the exported graph: what ultralytics' export leaves slow or too rigid. Imports onnx: load it late."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

__all__ = ["divide_split_convolutions", "free_top_k"]

Node = onnx.NodeProto


def divide_split_convolutions(graph: onnx.GraphProto) -> int:
    """Make several convolutions of each whose activated output is split by channel at once, as in YOLO's C2f blocks.

    The numbers stay the same. onnxruntime computes convolutions on a CPU with blocks of channels side by side and has
    no Split for that order: it would put the whole tensor back into plain order and its parts into blocks again.

    Args:
        graph: is changed. Its activations are SiLU, written as Sigmoid and Mul.

    Returns:
        The number of convolutions that were divided.
    """
    producer = {output: node for node in graph.node for output in node.output}
    users: defaultdict[str, int] = defaultdict(int)
    for node in graph.node:
        for name in node.input:
            users[name] += 1
    for result in graph.output:
        users[result.name] += 1
    constants = {tensor.name: tensor for tensor in graph.initializer}
    divided = 0
    for split in [node for node in graph.node if node.op_type == "Split"]:
        block = _activated_convolution(split.input[0], producer, users)
        if block is None or _axis(split) != 1 or not {split.input[1], *block[0].input[1:]} <= constants.keys():
            continue
        parts = _parts(split, block, constants, graph)
        position = list(graph.node).index(split)
        for node in reversed(parts):
            graph.node.insert(position, node)
        for node in (split, *block):
            graph.node.remove(node)
        divided += 1
    _drop_unused_constants(graph)
    return divided


def free_top_k(graph: onnx.GraphProto) -> None:
    """Let the end-to-end head answer with fewer than its 300 rows where the input is too small to have as many.

    Ultralytics writes the number into the graph, and names the row's six columns "anchors"; onnxruntime then fails on
    a thin image, such as a panorama.

    Args:
        graph: is changed.
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


def _activated_convolution(
    name: str, producer: dict[str, Node], users: defaultdict[str, int]
) -> tuple[Node, Node, Node] | None:
    """The Conv, Sigmoid and Mul behind a tensor, if nobody else uses what they compute."""
    product = producer.get(name)
    if product is None or product.op_type != "Mul" or users[name] != 1:
        return None
    inputs = {producer[part].op_type: producer[part] for part in product.input if part in producer}
    convolution, sigmoid = inputs.get("Conv"), inputs.get("Sigmoid")
    if convolution is None or sigmoid is None or sigmoid.input[0] != convolution.output[0]:
        return None
    grouped = any(attribute.name == "group" and attribute.i != 1 for attribute in convolution.attribute)
    alone = users[convolution.output[0]] == 2 and users[sigmoid.output[0]] == 1
    return (convolution, sigmoid, product) if alone and not grouped else None


def _parts(
    split: Node, block: tuple[Node, Node, Node], constants: dict[str, onnx.TensorProto], graph: onnx.GraphProto
) -> Sequence[Node]:
    """The nodes that compute each output of ``split`` by itself; their weights are added to the graph."""
    convolution, sigmoid, product = block
    ends = np.cumsum(numpy_helper.to_array(constants[split.input[1]]))[:-1]
    weights = [np.split(numpy_helper.to_array(constants[name]), ends) for name in convolution.input[1:]]
    nodes = []
    for index, output in enumerate(split.output):
        names = [f"{name}.{index}" for name in convolution.input[1:]]
        for name, pieces in zip(names, weights, strict=True):
            graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(pieces[index]), name))
        part, gate, result = (Node() for _ in block)
        for new, old in ((part, convolution), (gate, sigmoid), (result, product)):
            new.CopyFrom(old)
            new.name = f"{old.name}.{index}"
        part.input[1:] = names
        part.output[0] = gate.input[0] = f"{convolution.output[0]}.{index}"
        gate.output[0] = f"{sigmoid.output[0]}.{index}"
        result.input[:] = [part.output[0], gate.output[0]]
        result.output[0] = output
        nodes += [part, gate, result]
    return nodes


def _axis(split: Node) -> int:
    return next((int(attribute.i) for attribute in split.attribute if attribute.name == "axis"), 0)


def _drop_unused_constants(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)
