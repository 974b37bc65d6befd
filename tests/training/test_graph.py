from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from detector.training.graph import divide_split_convolutions

IMAGE = np.random.default_rng(0).random((2, 3, 9, 7), np.float32)


def network(*, axis: int = 1, group: int = 1, also: str | None = None) -> onnx.ModelProto:
    """Convolution, SiLU, Split into 2 and 6 channels; ``also`` names a tensor that leaves the network as well."""
    random = np.random.default_rng(1)
    weights = random.standard_normal((8 if group == 1 else 9, 3 // group, 3, 3), np.float32)
    channels = len(weights)
    constants = {
        "w": weights,
        "b": random.standard_normal(channels, np.float32),
        "sizes": np.array([2, channels - 2] if axis == 1 else [4, 5], np.int64),
    }
    nodes = [
        helper.make_node("Conv", ["image", "w", "b"], ["c"], "conv", pads=[1] * 4, group=group),
        helper.make_node("Sigmoid", ["c"], ["s"], "gate"),
        helper.make_node("Mul", ["c", "s"], ["m"], "silu"),
        helper.make_node("Split", ["m", "sizes"], ["left", "right"], "split", axis=axis),
    ]
    outputs = ["left", "right", *([also] if also else [])]
    graph = helper.make_graph(
        nodes,
        "block",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * 4) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(model: onnx.ModelProto) -> list[np.ndarray]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    outputs: list[np.ndarray] = session.run(None, {"image": IMAGE})
    return outputs


def test_a_split_convolution_becomes_two_with_the_same_numbers_and_no_weight_more() -> None:
    model = network()
    before = run(model)
    assert divide_split_convolutions(model.graph) == 1
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["Conv", "Sigmoid", "Mul"] * 2
    for old, new in zip(before, run(model), strict=True):
        np.testing.assert_allclose(new, old, atol=1e-6)
    assert sum(numpy_helper.to_array(tensor).size for tensor in model.graph.initializer) == 8 * (3 * 9 + 1)


@pytest.mark.parametrize(
    "other", [{"axis": 2}, {"group": 3}, {"also": "c"}, {"also": "m"}], ids=["by rows", "grouped", "shared", "output"]
)
def test_what_cannot_be_divided_stays_as_it_was(other: dict[str, int | str]) -> None:
    model = network(**other)  # type: ignore[arg-type]
    before = model.SerializeToString(deterministic=True)
    assert divide_split_convolutions(model.graph) == 0
    assert model.SerializeToString(deterministic=True) == before
