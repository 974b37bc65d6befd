"""The file that takes a picture and gives faces: the engine's faces, in the lines that docs/embed.md shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest

from detector import export
from detector.detections import CLASSES, Detections
from detector.engines import load_engine
from detector.engines.weights import named
from detector.engines.whole_network import whole_network
from detector.errors import ModelError
from detector.media import images

from .conftest import MakeNetwork
from .networks import end_to_end_head

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "data" / "images"
CALL = SAMPLE / "video_call_six.jpg"


def faces_in(network: bytes | Path, image: np.ndarray) -> Detections:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(network, options)
    return Detections(*session.run(None, {"image": image}))


@pytest.fixture(scope="module")
def whole() -> bytes:
    return whole_network(named("pico"))


def test_it_finds_the_engines_faces_in_pictures_of_any_shape(whole: bytes) -> None:
    found = 0
    with load_engine(weights="pico", device="cpu", threads=1) as engine:
        for path in sorted(SAMPLE.glob("video_call_*.jpg")):
            picture = images.read(path)
            for image in (picture, cv2.resize(picture, (1280, 720)), picture[:, : picture.shape[1] // 3], picture[:77]):
                ours, theirs = engine(image), faces_in(whole, np.ascontiguousarray(image))
                np.testing.assert_allclose(theirs.xyxy, ours.xyxy, atol=1)
                np.testing.assert_allclose(theirs.confidence, ours.confidence, atol=0.02)
                np.testing.assert_array_equal(theirs.class_id, ours.class_id)
                found += len(ours)
    assert found > 30


def test_a_picture_without_a_face_and_one_of_a_single_pixel_give_nothing(whole: bytes) -> None:
    for shape in ((240, 320, 3), (1, 1, 3), (1, 500, 3)):
        assert len(faces_in(whole, np.zeros(shape, np.uint8))) == 0


def test_its_flags_are_in_it() -> None:
    picture = images.read(CALL)
    settings = {"conf": 0.87, "imgsz": 256}
    with load_engine(weights="pico", device="cpu", threads=1, **settings) as engine:  # type: ignore[arg-type]
        ours = engine(picture)
    theirs = faces_in(whole_network(named("pico"), rgb=True, **settings), picture[..., ::-1].copy())  # type: ignore[arg-type]
    assert 0 < len(ours) < 6
    np.testing.assert_allclose(theirs.xyxy, ours.xyxy, atol=1)


def test_a_network_without_a_calibration_or_with_another_order_of_classes_keeps_its_meaning(
    make_network: MakeNetwork,
) -> None:
    from onnx import helper, load, save

    path = make_network(np.zeros(1, np.float32))
    model = load(named("pico"))
    entries = {entry.key: entry.value for entry in model.metadata_props if entry.key != "calibration"}
    helper.set_model_props(model, entries | {"names": "{0: 'without_mask', 1: 'with_mask'}"})
    save(model, path)
    with load_engine(weights=path, device="cpu", threads=1) as engine:
        ours = engine(images.read(CALL))
    theirs = faces_in(whole_network(path), images.read(CALL))
    assert len(ours) == 6
    np.testing.assert_allclose(theirs.confidence, ours.confidence, atol=0.02)
    np.testing.assert_array_equal(theirs.class_id, ours.class_id)


def test_another_head_and_a_file_that_is_there_are_refused(
    make_network: MakeNetwork, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ModelError, match="not a raw head of float32 with free sides: make one with mask-detector exp"):
        whole_network(make_network(end_to_end_head((27, 12, 37, 28, 0.9, 0)), {"end2end": "True"}))
    (tmp_path / "mine.onnx").write_bytes(b"mine")
    assert export.main(["pico", "--whole", "--out", str(tmp_path / "mine.onnx")]) == 2
    assert export.main(["pico", "--whole"]) == 2
    assert (tmp_path / "mine.onnx").read_bytes() == b"mine"
    assert capsys.readouterr().err.count("\n") == 2


def lines_for(language: str) -> str:
    (lines,) = re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / "embed.md").read_text("utf-8"), re.DOTALL)
    assert len(lines.splitlines()) == 5
    return str(lines)


def said_of(lines: str, wanted: Detections) -> None:
    rows = [line.split() for line in lines.splitlines()]
    assert [row[0] for row in rows] == [CLASSES[kind] for kind in wanted.class_id]
    np.testing.assert_allclose([[float(word) for word in row[2:]] for row in rows], wanted.xyxy, atol=1)


def test_the_documents_python_lines_find_the_faces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export.main(["pico", "--whole", "--out", str(tmp_path / "faces.onnx")]) == 0
    shutil.copyfile(CALL, tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    exec(lines_for("python"), {"onnxruntime": onnxruntime, "cv2": cv2})  # noqa: S102 - what the document tells to run
    with load_engine(weights="pico", device="cpu", threads=1) as engine:
        said_of(capsys.readouterr().out, engine(images.read(CALL)))


@pytest.mark.parametrize("package", ["onnxruntime-node", "onnxruntime-web"])
def test_the_documents_javascript_lines_find_the_faces(package: str, tmp_path: Path) -> None:
    node = shutil.which("node")
    look = ["-e", f"require.resolve('{package}')"]
    if not node or subprocess.run([node, *look], cwd=ROOT, capture_output=True, check=False).returncode:
        pytest.skip(f"no Node with {package} (npm install {package}, NODE_PATH)")
    (tmp_path / "faces.onnx").write_bytes(whole_network(named("pico"), rgb=True))
    picture = images.read(CALL)
    height, width = picture.shape[:2]
    (tmp_path / "photo.rgba").write_bytes(cv2.cvtColor(picture, cv2.COLOR_BGR2RGBA).tobytes())
    canvas = f"""
      const ort = require("{package}"), fs = require("fs"), data = new Uint8ClampedArray(fs.readFileSync("photo.rgba"));
      const picture = {{data, width: {width}, height: {height}}};
      const canvas = {{...picture, getContext: () => ({{getImageData: () => picture}})}};
      (async () => {{ {lines_for("javascript")} }})();"""
    (tmp_path / "page.cjs").write_text(canvas, encoding="utf-8")
    done = subprocess.run([node, "page.cjs"], cwd=tmp_path, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr
    with load_engine(weights="pico", device="cpu", threads=1) as engine:
        said_of(done.stdout, engine(picture))
