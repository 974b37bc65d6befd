from __future__ import annotations

import ast
import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from detector.engines import load_engine
from detector.engines.session import OnnxSession
from detector.errors import ModelError, OutputError
from detector.media import images
from detector.training.checkpoint import LICENSE, load, slim
from detector.training.exporter import export, install
from detector.training.parity import compare, letterboxed, raw_boxes
from detector.training.single_stage.ultralytics_env import ultralytics_env
from tests.training.build import SAMPLE, digest, untrained

PICTURES = sorted((SAMPLE / "images").glob("pair_*.jpg"))


def metadata(path: Path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


@pytest.mark.slow
def test_an_export_is_compared_runs_in_the_engine_and_says_who_made_it_of_what(tmp_path: Path) -> None:
    done = export(untrained(), tmp_path / "a.onnx", data_note="on 20 images", images=PICTURES)
    assert done.parity.inputs == 9
    assert done.parity.candidates > 400
    assert 0 < done.parity.pixels < 0.1
    about = metadata(done.path)
    assert ast.literal_eval(about["names"]) == {0: "with_mask", 1: "without_mask"}
    assert (about["license"], about["data"], about["end2end"]) == (LICENSE, "on 20 images", "False")
    assert (ast.literal_eval(about["imgsz"]), about["stride"], about["task"]) == ([64, 64], "32", "detect")
    inputs = onnx.load(done.path).graph.input[0].type.tensor_type.shape.dim
    assert [axis.dim_param or axis.dim_value for axis in inputs] == ["batch", 3, "height", "width"]
    with load_engine(weights=done.path, device="cpu", conf=0.0) as engine:
        assert len(engine(images.read(PICTURES[0])))


@pytest.mark.slow
def test_two_exports_differ_in_nothing_but_the_date(tmp_path: Path) -> None:
    hashes = set()
    for name in ("a.onnx", "b.onnx"):
        path = export(untrained(), tmp_path / name, images=PICTURES[:1]).path
        model = onnx.load(path)
        for entry in model.metadata_props:
            entry.value = "" if entry.key == "date" else entry.value
        hashes.add(hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest())
    assert len(hashes) == 1


@pytest.mark.slow
def test_the_end_to_end_head_of_a_yolo26_is_exported_and_compared_too(tmp_path: Path) -> None:
    done = export(untrained(), tmp_path / "a.onnx", head="end2end", images=PICTURES[:1], imgsz=128)
    assert metadata(done.path)["end2end"] == "True"
    with OnnxSession(done.path, device="cpu") as session:
        for height, rows in ((160, 300), (32, 126)):  # a thin image has fewer anchors than the head has rows
            assert session(np.zeros((2, 3, height, 192), np.float32))[0].shape == (2, rows, 6)
    with load_engine(weights=done.path, device="cpu", conf=0.0) as engine:
        assert len(engine(images.read(PICTURES[0])))


@pytest.mark.slow
def test_a_network_that_was_trained_on_crowds_is_exported_like_any_other(tmp_path: Path) -> None:
    content = torch.load(untrained(), weights_only=False)
    content["model"].model[-1].max_det = 811  # what a training leaves there whose largest crowd has 811 faces
    torch.save(content, tmp_path / "crowd.pt")
    done = export(tmp_path / "crowd.pt", tmp_path / "a.onnx", head="end2end", images=PICTURES[:1], imgsz=128)
    with OnnxSession(done.path, device="cpu") as session:
        assert session(np.zeros((1, 3, 320, 320), np.float32))[0].shape == (1, 300, 6)


def test_a_network_without_an_end_to_end_head_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="--head raw"):
        export(untrained("yolo11n"), tmp_path / "a.onnx", head="end2end")


@pytest.mark.slow
def test_no_trace_of_this_machine_is_left_in_what_is_handed_on(tmp_path: Path) -> None:
    slim(untrained(), tmp_path / "slim.pt", data_note="on 20 images")
    export(tmp_path / "slim.pt", tmp_path / "a.onnx", images=PICTURES[:1])
    content = torch.load(tmp_path / "slim.pt", weights_only=False)
    assert content["train_args"] == {"imgsz": 64}
    assert next(content["model"].parameters()).dtype == torch.float16
    assert metadata(tmp_path / "a.onnx")["data"] == "on 20 images"
    for path in (tmp_path / "slim.pt", tmp_path / "a.onnx"):
        for trace in (b"secret", str(tmp_path).encode(), str(Path.home()).encode() + b"/", b"mask-detector-tests"):
            assert trace not in path.read_bytes()


@pytest.mark.slow
def test_a_slim_checkpoint_loads_without_this_package(tmp_path: Path) -> None:
    slim(untrained(), tmp_path / "slim.pt")
    code = (
        "import sys; sys.modules['detector'] = None\n"
        "from ultralytics import YOLO; import numpy as np\n"
        f"print(len(YOLO({str(tmp_path / 'slim.pt')!r})(np.zeros((64, 64, 3), np.uint8), verbose=False)))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert result.stdout.split()[-1] == "1"


def test_a_network_that_differs_from_its_checkpoint_is_refused(tmp_path: Path) -> None:
    path = export(untrained(), tmp_path / "a.onnx", images=PICTURES[:1]).path
    model = onnx.load(path)
    for constant in model.graph.initializer:
        values = onnx.numpy_helper.to_array(constant)
        if values.dtype == np.float32 and values.ndim == 4:
            constant.CopyFrom(
                onnx.numpy_helper.from_array((values * np.float32(1.05)).astype(np.float32), constant.name)
            )
    onnx.save(model, path)
    with ultralytics_env():
        network, _ = load(untrained())
        network.end2end = False
    with OnnxSession(path, device="cpu") as session, pytest.raises(ModelError, match="differs from its checkpoint"):
        compare(network, session, letterboxed(PICTURES[:1], 64, 32), raw_boxes)


def test_a_checkpoint_of_other_classes_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="its 3 classes are cat, dog, bird, not with_mask, without_mask"):
        export(untrained(names=("cat", "dog", "bird")), tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_a_damaged_and_a_missing_checkpoint_are_named(tmp_path: Path) -> None:
    (tmp_path / "bad.pt").write_bytes(b"not a checkpoint")
    for name, says in (("bad.pt", "not a detector"), ("none.pt", "no such file")):
        with pytest.raises(ModelError, match=f"{name}: {says}"):
            export(tmp_path / name, tmp_path / "a.onnx")


def test_an_output_that_is_not_onnx_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"must end in \.onnx"):
        export(untrained(), tmp_path / "a.pt")


def test_installing_keeps_the_network_that_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    for content in (b"first", b"second"):
        (tmp_path / "mask_detector.onnx").write_bytes(content)
        install([tmp_path / "mask_detector.onnx"], folder)
    assert (folder / "mask_detector.onnx").read_bytes() == b"second"
    assert (folder / "mask_detector.onnx.bak").read_bytes() == b"first"
    assert len(digest(folder)) == 2
