from __future__ import annotations

import argparse
import threading
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from detector.boxes import overlap
from detector.cli.flags import add_engine_flags, engine_from
from detector.engines import DEFAULT_CONF, SingleStage, default_weights, load_engine
from detector.engines.calibration import Calibration
from detector.errors import ModelError, ProviderError
from detector.media import images

from .conftest import MakeNetwork
from .networks import end_to_end_head, raw_head

BLACK = np.zeros((64, 64, 3), np.uint8)


def test_a_raw_head_gives_corners_score_and_class(make_network: MakeNetwork) -> None:
    network = make_network(raw_head((32, 20, 10, 16, 0.9, 0.1), (10, 50, 8, 8, 0.2, 0.6)))
    found = SingleStage(network)(BLACK)
    np.testing.assert_allclose(found.xyxy, [[27, 12, 37, 28], [6, 46, 14, 54]], atol=1e-4)
    np.testing.assert_allclose(found.confidence, [0.9, 0.6], atol=1e-6)
    assert found.names == ["with_mask", "without_mask"]


def test_an_end_to_end_head_gives_the_same_without_suppression(make_network: MakeNetwork) -> None:
    faces = end_to_end_head((27, 12, 37, 28, 0.9, 0), (27, 12, 37, 29, 0.8, 0), (6, 46, 14, 54, 0.1, 1))
    found = SingleStage(make_network(faces, {"end2end": "True"}))(BLACK)
    np.testing.assert_allclose(found.xyxy, [[27, 12, 37, 28], [27, 12, 37, 29]], atol=1e-4)


def test_one_face_gets_one_box_even_if_both_classes_claim_it(make_network: MakeNetwork) -> None:
    network = make_network(raw_head((32, 32, 20, 20, 0.9, 0.0), (33, 32, 20, 20, 0.0, 0.8), (32, 33, 20, 20, 0.7, 0)))
    found = SingleStage(network)(BLACK)
    assert (len(found), found.names) == (1, ["with_mask"])


def test_for_curves_both_classes_of_a_face_can_be_kept(make_network: MakeNetwork) -> None:
    network = make_network(raw_head((32, 32, 20, 20, 0.9, 0.4), (33, 32, 20, 20, 0.3, 0.8)))
    found = SingleStage(network, one_class=False)(BLACK)
    np.testing.assert_allclose(found.confidence, [0.9, 0.8], atol=1e-6)
    assert found.names == ["with_mask", "without_mask"]


def test_faces_that_overlap_less_than_iou_both_stay(make_network: MakeNetwork) -> None:
    network = make_network(raw_head((20, 32, 20, 20, 0.9, 0), (30, 32, 20, 20, 0.8, 0)))  # IoU 1/3
    assert len(SingleStage(network, iou=0.5)(BLACK)) == 2
    assert len(SingleStage(network, iou=0.3)(BLACK)) == 1


def test_nothing_found_is_an_empty_result(make_network: MakeNetwork) -> None:
    for head, metadata in ((raw_head(), {}), (end_to_end_head(), {"end2end": "True"})):
        assert len(SingleStage(make_network(head, metadata))(BLACK)) == 0


def test_names_in_another_order_are_followed_not_guessed(make_network: MakeNetwork) -> None:
    network = make_network(raw_head((32, 20, 10, 16, 0.9, 0.1)), {"names": "{0: 'without_mask', 1: 'with_mask'}"})
    assert SingleStage(network)(BLACK).names == ["without_mask"]


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"names": "{0: 'cat', 1: 'dog'}"}, "its classes are cat, dog, not with_mask and without_mask"),
        ({"names": "{}"}, "its classes are none"),
        ({"names": "{0: 'with_mask', 1: 'without_mask', 2: 'x'}"}, "its classes are with_mask, without_mask, x"),
        ({"names": "{0: 'with_mask'"}, "its metadata is damaged"),
        ({"names": "{1: 'with_mask', 2: 'without_mask'}"}, "its metadata is damaged"),
        ({"stride": "many"}, "its metadata is damaged"),
        ({"end2end": "True"}, "does not fit an end-to-end head"),
        ({"conf": "1.5"}, "its metadata is damaged"),
        ({"conf": "nan"}, "its metadata is damaged"),
        ({"conf": "high"}, "its metadata is damaged"),
        *(
            ({"calibration": text}, "its metadata is damaged")
            for text in (
                "",
                "{}",
                "1",
                "[[1, 1, 0]]",
                "[[1, 1, 0], [1, 1, 0], [1, 1, 0]]",
                "[[1, 1], [1, 1]]",
                *(
                    f"[[1, 1, 0], [{numbers}]]"
                    for numbers in (
                        "0, 1, 0",
                        "1, 0, 0",
                        "-1, 1, 0",
                        "NaN, 1, 0",
                        "1, 1, Infinity",
                        "1, 1, null",
                        '"a", 1, 0',
                        "1e999, 1, 0",
                        f"{10**400}, 1, 0",
                        "1, 1",
                        "1, 1, 0, 0",
                    )
                ),
                "[" * 100_000,
            )
        ),
    ],
)
def test_metadata_that_does_not_fit_is_refused(
    make_network: MakeNetwork, metadata: dict[str, str], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        SingleStage(make_network(raw_head(), metadata))


def test_confidence_is_what_the_calibration_makes_of_each_classs_score(make_network: MakeNetwork) -> None:
    heads = (
        (raw_head((32, 20, 10, 16, 0.5, 0.1), (10, 50, 8, 8, 0.2, 0.6)), {}),
        (end_to_end_head((27, 12, 37, 28, 0.5, 0), (6, 46, 14, 54, 0.6, 1)), {"end2end": "True"}),
    )
    for head, metadata in heads:
        network = make_network(head, metadata | {"calibration": "[[2, 2, 1], [1.5, 1, -0.5]]"})
        found = SingleStage(network)(BLACK)
        expected = [1 / (1 + np.exp(-1)), 1 / (1 + np.exp(-(1.5 * np.log(0.6) - np.log(0.4) - 0.5)))]
        np.testing.assert_allclose(found.confidence, expected, atol=1e-6)  # the surest first, which was the second
        assert found.names == ["with_mask", "without_mask"]


def test_a_calibration_changes_neither_boxes_nor_words_nor_which_faces_a_threshold_leaves(
    make_network: MakeNetwork,
) -> None:
    random = np.random.default_rng(0)
    rows = [(*random.uniform(10, 54, 2), *random.uniform(8, 20, 2), *random.random(2) ** 2) for _ in range(84)]
    calibration = Calibration(np.array([[0.7, 3, 1.5], [2, 0.5, -0.5]]))
    plain, calibrated = (
        make_network(raw_head(*rows), {"calibration": text} if text else {}) for text in ("", str(calibration))
    )
    for one_class in (True, False):
        every = SingleStage(plain, conf=0, one_class=one_class)(BLACK)
        assert len(every) > 20
        confidence = calibration(every.confidence, every.class_id)
        for conf in (0.0, 0.1, 0.5, 0.8, float(confidence[3]), 1.0):
            found = SingleStage(calibrated, conf=conf, one_class=one_class)(BLACK)
            order = np.argsort(-confidence, kind="stable")
            order = order[confidence[order] > conf]
            np.testing.assert_array_equal(found.xyxy, every.xyxy[order])
            np.testing.assert_array_equal(found.class_id, every.class_id[order])
            np.testing.assert_allclose(found.confidence, confidence[order], atol=1e-6)


def test_scores_of_nothing_and_of_certainty_stay_what_they_are(make_network: MakeNetwork) -> None:
    network = make_network(raw_head((32, 20, 10, 16, 1.0, 0.0)), {"calibration": "[[3, 2, -2], [1e-300, 1e-300, 0]]"})
    assert SingleStage(network, conf=0)(BLACK).confidence.tolist() == [1.0]


def test_a_calibration_follows_the_names_of_the_file(make_network: MakeNetwork) -> None:
    metadata = {"names": "{0: 'without_mask', 1: 'with_mask'}", "calibration": "[[1, 1, 2], [1, 1, 0]]"}
    (found,) = SingleStage(make_network(raw_head((32, 20, 10, 16, 0.5, 0.1)), metadata))(BLACK)
    assert found[1:] == (pytest.approx(1 / (1 + np.exp(-2))), "without_mask")


def test_who_names_no_threshold_gets_the_files_and_else_a_quarter(make_network: MakeNetwork) -> None:
    head = raw_head((32, 20, 10, 16, 0.4, 0.1))
    own, none = make_network(head, {"conf": "0.45"}), make_network(head)
    assert [(load_engine(weights=path).conf, len(load_engine(weights=path)(BLACK))) for path in (own, none)] == [
        (0.45, 0),
        (DEFAULT_CONF, 1),
    ]
    assert load_engine(weights=own, conf=0.1).conf == 0.1
    assert load_engine(weights=own, conf=0.0).conf == 0
    assert load_engine("two-step").conf == DEFAULT_CONF


def test_names_that_contradict_the_tensor_are_refused(make_network: MakeNetwork) -> None:
    with pytest.raises(ModelError, match="does not fit a raw head of 2 classes"):
        SingleStage(make_network(np.zeros((84, 84), np.float32)))


def test_an_input_that_is_no_image_is_refused(make_network: MakeNetwork) -> None:
    network = make_network(raw_head(), input_shape=("batch", 1, "height", "width"))
    with pytest.raises(ModelError, match="not a detector"):
        SingleStage(network)


def test_a_network_with_fixed_axes_gets_its_own_shape_one_image_at_a_time(make_network: MakeNetwork) -> None:
    network = make_network(raw_head((32, 32, 16, 16, 0.9, 0)), input_shape=(1, 3, 64, 64), output_shape=(1, 6, 84))
    engine = SingleStage(network, imgsz=320)
    wide = np.zeros((50, 100, 3), np.uint8)
    first, second = engine.batch([wide, BLACK])
    np.testing.assert_allclose(first.xyxy, [[37.5, 12.5, 62.5, 37.5]], atol=1e-4)
    np.testing.assert_allclose(second.xyxy, [[24, 24, 40, 40]], atol=1e-4)


def test_a_half_precision_network_gets_half_precision(make_network: MakeNetwork) -> None:
    network = make_network(raw_head((32, 32, 16, 16, 0.5, 0)), element=10)
    assert SingleStage(network)(BLACK).confidence.tolist() == [0.5]


def test_a_batch_of_mixed_shapes_equals_one_by_one(make_network: MakeNetwork) -> None:
    engine = SingleStage(make_network(raw_head((32, 20, 10, 16, 0.9, 0.1))))
    images = [np.zeros(shape, np.uint8) for shape in ((64, 64, 3), (40, 90, 3), (64, 64, 3), (300, 20, 3))]
    for together, alone in zip(engine.batch(images), map(engine, images), strict=True):
        np.testing.assert_array_equal(together.xyxy, alone.xyxy)
    assert engine.batch([]) == []


def test_a_frame_of_another_size_does_not_see_the_last_ones_pixels(make_network: MakeNetwork) -> None:
    engine = SingleStage(make_network(raw_head((32, 32, 16, 16, 0.9, 0))))
    white = np.full((64, 64, 3), 255, np.uint8)
    engine(white)
    engine(np.zeros((32, 64, 3), np.uint8))
    buffer = engine._network._buffer
    assert buffer is not None
    assert buffer.tensor.max() < 0.5


@pytest.mark.parametrize(
    "image", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.float32), np.zeros((0, 8, 3), np.uint8)]
)
def test_an_array_that_is_no_bgr_image_is_refused_with_its_shape(make_network: MakeNetwork, image: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected a BGR uint8 \(H, W, 3\) image, got"):
        SingleStage(make_network(raw_head()))(image)


def test_many_threads_share_one_engine(make_network: MakeNetwork) -> None:
    engine = SingleStage(make_network(raw_head((32, 20, 10, 16, 0.9, 0.1))))
    sizes = [(64, 64), (128, 64), (64, 128), (200, 90)]
    expected = [engine(np.zeros((*size, 3), np.uint8)).xyxy for size in sizes]
    wrong: list[int] = []

    def work(index: int) -> None:
        image = np.zeros((*sizes[index], 3), np.uint8)
        wrong.extend(index for _ in range(50) if not np.array_equal(engine(image).xyxy, expected[index]))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(sizes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_bytes_and_a_ready_session_work_as_a_path_does(make_network: MakeNetwork) -> None:
    network = make_network(raw_head((32, 20, 10, 16, 0.9, 0.1)))
    for model in (str(network), network.read_bytes(), ort.InferenceSession(network.read_bytes())):
        with SingleStage(model) as engine:
            assert len(engine(BLACK)) == 1
        with pytest.raises(ModelError, match="was closed"):
            engine(BLACK)


def test_a_missing_file_names_itself_and_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"gone\.onnx: no such file: name an \.onnx file with --weights"):
        load_engine(weights=tmp_path / "gone.onnx")


def test_a_file_that_is_no_network_is_refused_by_name(tmp_path: Path) -> None:
    for content in (b"", b"hello", b"\x08\x09" * 500):
        (tmp_path / "bad.onnx").write_bytes(content)
        with pytest.raises(ModelError, match=r"bad\.onnx: not a network") as caught:
            load_engine(weights=tmp_path / "bad.onnx")
        assert "\n" not in str(caught.value)


def test_an_unknown_engine_names_those_there_are() -> None:
    with pytest.raises(ModelError, match="--engine three-step is not known: use single-stage"):
        load_engine("three-step")


def test_a_device_that_is_not_there_is_an_error_not_a_silent_cpu(make_network: MakeNetwork) -> None:
    network = make_network(raw_head())
    if "CUDAExecutionProvider" in ort.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    with pytest.raises(
        ProviderError, match=r"--device cuda: this onnxruntime has .*CPU.* only: install onnxruntime-gpu"
    ):
        SingleStage(network, device="cuda")


@pytest.mark.parametrize("device", ["tpu", "cuda:x", ""])
def test_an_unknown_device_names_those_there_are(make_network: MakeNetwork, device: str) -> None:
    with pytest.raises(ProviderError, match="is not known: use auto, cuda"):
        SingleStage(make_network(raw_head()), device=device)


def test_the_thread_count_reaches_onnxruntime(make_network: MakeNetwork) -> None:
    engine = SingleStage(make_network(raw_head()), threads=1)
    assert engine.session.session.get_session_options().intra_op_num_threads == 1


def test_between_two_frames_no_thread_waits_busily() -> None:
    with SingleStage(default_weights(), threads=2, imgsz=128) as engine:
        engine(np.zeros((64, 64, 3), np.uint8))
        before = time.process_time()
        time.sleep(0.2)
        assert time.process_time() - before < 0.02


def from_flags(*flags: str) -> SingleStage:
    parser = argparse.ArgumentParser()
    add_engine_flags(parser)
    engine = engine_from(parser.parse_args(flags))
    assert isinstance(engine, SingleStage)
    return engine


def test_pico_is_known_by_name_and_finds_the_faces_that_nano_finds() -> None:
    call = images.read(default_weights().parents[1] / "data" / "images" / "video_call_six.jpg")
    with from_flags("--weights", "nano") as nano, from_flags("--weights", "pico") as pico:
        assert (nano.imgsz, pico.imgsz) == (640, 416)
        wanted, found = nano(call), pico(call)
    assert len(wanted) == len(found) == 6
    assert (overlap(wanted.xyxy, found.xyxy).max(axis=1) > 0.6).all()
    assert pico.session.metadata.calibration is not None


def test_a_file_with_the_name_of_a_shipped_network_wins(
    make_network: MakeNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_network(raw_head((32, 20, 10, 16, 0.9, 0.1))).rename("pico")
    for engine in (from_flags("--weights", "pico"), load_engine(weights="pico")):
        assert len(engine(BLACK)) == 1
