"""An ONNX file that a stranger made, or that was damaged: it works, or one line says what is wrong with it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from detector.engines import SingleStage
from detector.engines.classifier import MaskClassifier
from detector.engines.face_finders import SsdFinder
from detector.errors import ModelError

from .conftest import MakeNetwork
from .networks import end_to_end_head, raw_head

BLACK = np.zeros((64, 64, 3), np.uint8)
FACE = (32, 20, 10, 16, 0.9, 0.1)


def refused(network: Path | bytes) -> str:
    """The line with which a network is refused, at the latest when it is used."""
    with pytest.raises(ModelError) as caught, SingleStage(network, threads=1) as engine:
        engine(BLACK)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 2_100
    return str(caught.value)


NO_METADATA = {
    "imgsz": [
        *(
            "1e999",
            "-5",
            "0",
            "10**12",
            "1000000000000",
            "nan",
            "640.5",
            "[]",
            "['640']",
            "True",
            "[64, [64]]",
            "{",
            "\0",
        ),
        *("[" * 5000, "9" * 5000, "[1]" * 1000),
    ],
    "stride": ["0", "-32", "100000", "48", "1e2", "32.0", "", " 32", "3_2", "9" * 5000, "nan"],
    "names": [
        *(
            "",
            "with_mask",
            "'with_mask'",
            "5",
            "None",
            "[1, 2]",
            "{'0': 'a'}",
            "{-1: 'a'}",
            "{0: 'a', 2: 'b'}",
            "['a'\n",
        ),
        *(
            "{0: ['a']}",
            "[" * 200 + "]" * 200,
            "['a'," * 30_000 + "]",
            str(["a"] * 1_000_000),
            "__import__('os').getcwd()",
        ),
    ],
}


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key in NO_METADATA for value in NO_METADATA[key]], ids=lambda text: text[:20]
)
def test_metadata_that_means_nothing_is_refused_by_name(make_network: MakeNetwork, key: str, value: str) -> None:
    assert f"its metadata is damaged ({key} " in refused(make_network(raw_head(FACE), {key: value}))


def test_endless_names_are_not_shown_endlessly(make_network: MakeNetwork) -> None:
    line = refused(make_network(raw_head(FACE), {"names": str([f"a\n{'b' * 60}"] * 900)}))
    assert line.endswith("use a network made by mask-detector train, or export it again")


@pytest.mark.parametrize("margin", ["nan", "inf", "-1", "1e400", "1_0x", "9" * 400])
def test_a_margin_that_is_none_is_refused(make_classifier: MakeNetwork, margin: str) -> None:
    with pytest.raises(ModelError, match=r"its metadata is damaged \(margin "):
        MaskClassifier(make_classifier(metadata={"margin": margin}))


@pytest.mark.parametrize("shape", [("b", 3, 10**9, 10**9), (1, 3, 100_000, 64), ("b", 3, 0, 64)])
def test_an_input_that_fits_into_no_memory_is_refused(make_network: MakeNetwork, shape: tuple[object, ...]) -> None:
    assert refused(make_network(raw_head(FACE), input_shape=shape))


def test_crops_that_fit_into_no_memory_are_refused(make_classifier: MakeNetwork) -> None:
    with pytest.raises(ModelError, match="wants crops of 8192 px"):
        MaskClassifier(make_classifier(metadata={"imgsz": "8192"}, input_shape=("batch", 3, "side", "side")))


def test_an_image_size_that_fits_into_no_memory_is_refused_by_its_flag(make_network: MakeNetwork) -> None:
    with pytest.raises(ModelError, match=r"--imgsz 1000000: .* use at most 8192"):
        SingleStage(make_network(raw_head(FACE)), imgsz=1_000_000)


@pytest.mark.parametrize(
    ("face", "end2end"),
    [
        *(((*FACE[:at], value, *FACE[at + 1 :]), False) for at in range(4) for value in (np.nan, np.inf, 3e38)),
        *(((32, 20, 10, 16, value, 0.1), False) for value in (np.inf, 7)),
        *(((8, 8, 40, 40, 0.9, value), True) for value in (np.nan, np.inf, 2, -1, 0.5, 1e30)),
        *(((8, 8, value, 40, 0.9, 1), True) for value in (np.nan, -np.inf, 3e38)),
    ],
)
def test_numbers_that_are_no_faces_are_refused(
    make_network: MakeNetwork, face: tuple[float, ...], end2end: bool
) -> None:
    head = end_to_end_head(face) if end2end else raw_head(face)
    assert "answers numbers that are no faces" in refused(make_network(head, {"end2end": str(end2end)}))


def test_a_score_that_is_no_number_is_no_face(make_network: MakeNetwork) -> None:
    assert len(SingleStage(make_network(raw_head((32, 20, 10, 16, np.nan, np.nan))))(BLACK)) == 0


def test_a_face_finder_that_answers_no_numbers_finds_nothing_there(make_ssd: MakeNetwork) -> None:
    odd = [(np.nan, 1, 20, 20, 0.9), (1, 1, np.inf, 20, 0.9), (1, 1, 20, 20, np.nan), (8, 8, 30, 30, 0.8)]
    boxes, scores = SsdFinder(make_ssd(*odd))(BLACK)
    np.testing.assert_allclose(boxes, [[8, 8, 30, 30]])
    assert scores.tolist() == pytest.approx([0.8])


def test_an_answer_of_another_shape_than_stated_is_refused(make_network: MakeNetwork) -> None:
    for answer, metadata in ((raw_head(FACE)[:5], {}), (end_to_end_head()[:, :5], {"end2end": "True"})):
        shape = ("batch", *(("n", 6) if metadata else (6, "n")))
        assert "export it again" in refused(make_network(answer, metadata, output_shape=shape))


def test_an_answer_without_a_row_for_each_image_is_refused(make_network: MakeNetwork) -> None:
    path = make_network(raw_head(FACE))
    model = onnx.load(path)
    repeat = helper.make_node("Concat", ["output0_two", "output0_two"], ["output0"], axis=0)
    for node in model.graph.node:
        node.output[:] = ["output0_two" if name == "output0" else name for name in node.output]
    model.graph.node.append(repeat)
    onnx.save(model, path)
    assert "to an input of (1, 3, 64, 64)" in refused(path)


@pytest.mark.parametrize(
    "kind", ["no input", "two inputs", "whole numbers", "unknown layer", "endless memory", "endless loop"]
)
def test_a_graph_that_is_no_network_for_images_is_refused(make_network: MakeNetwork, kind: str) -> None:
    path = make_network(raw_head(FACE))
    model = onnx.load(path)
    graph = model.graph
    if kind == "no input":
        del graph.input[:]
        graph.initializer.append(helper.make_tensor("images", 1, [1, 3, 8, 8], np.zeros(192)))
    elif kind == "two inputs":
        graph.input.append(helper.make_tensor_value_info("more", 1, ["n"]))
    elif kind == "whole numbers":
        graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    elif kind == "unknown layer":
        graph.node[0].domain = "evil.example"
    elif kind == "endless memory":
        graph.node.append(helper.make_node("ConstantOfShape", ["size"], ["more"]))
        graph.initializer.append(helper.make_tensor("size", TensorProto.INT64, [2], [2**31, 2**31]))
        graph.node.append(helper.make_node("ReduceMax", ["more"], ["most"], keepdims=0))
        graph.node.append(helper.make_node("Add", ["output0_", "most"], ["output0"]))
        for node in graph.node[:-1]:
            node.output[:] = ["output0_" if name == "output0" else name for name in node.output]
    else:
        graph.node[0].input[0] = "output0"
    onnx.save(model, path)
    assert str(path) in refused(path)


@pytest.mark.parametrize("where", ["../secret.bin", "/etc/passwd", "link.bin", "*/_ORT_MEM_ADDR_/*", "gone.bin"])
def test_weights_that_lie_outside_the_networks_folder_are_not_read(
    make_network: MakeNetwork, tmp_path: Path, where: str
) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret.bin").write_bytes(raw_head(FACE).tobytes())
    (inside / "link.bin").symlink_to(tmp_path / "secret.bin")
    path = make_network(raw_head(FACE)).rename(inside / "network.onnx")
    model = onnx.load(path)
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == "output0_answer")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=where)
    path.write_bytes(model.SerializeToString())
    assert "not a network that onnxruntime can read" in refused(path)


def test_names_that_are_no_text_are_refused(make_network: MakeNetwork) -> None:
    data = make_network(raw_head(FACE)).read_bytes()
    for name in (b"images", b"output0", b"batch", b"names", b"with_mask"):
        refused(data.replace(name, b"\xff" + name[1:]))


def test_a_network_that_is_cut_short_anywhere_works_or_is_refused(make_network: MakeNetwork) -> None:
    data = make_network(raw_head(FACE)).read_bytes()
    for end in range(0, len(data) - 1, 7):
        with suppress(ModelError), SingleStage(data[:end], threads=1) as engine:
            assert len(engine(BLACK)) == 1
