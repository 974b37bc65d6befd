from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from detector.boxes import suppress
from detector.engines.classic_finders import HaarFinder, Res10Finder, confidence
from detector.engines.face_finders import MAX_CANDIDATES, SsdFinder, load_finder
from detector.errors import ModelError
from detector.media import images

from .conftest import MakeNetwork
from .networks import raw_head

BLACK = np.zeros((64, 64, 3), np.uint8)
MEAN = (104, 177, 123)
ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "data" / "images"
SHARED = ROOT / "../shared/weights"

needs_caffe = pytest.mark.skipif(not hasattr(cv2.dnn, "readNetFromCaffe"), reason="this OpenCV reads no Caffe files")
needs_cascade = pytest.mark.skipif(not hasattr(cv2, "CascadeClassifier"), reason="this OpenCV has no cascades")
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="OpenCV's face finder is not beside the checkout")


@pytest.fixture
def opencv_threads() -> Iterator[None]:
    """OpenCV's number of threads is the process's: put it back."""
    before = cv2.getNumThreads()
    yield
    cv2.setNumThreads(before)


def test_the_ssds_boxes_come_back_in_pixels_of_the_image_the_surest_first(make_ssd: MakeNetwork) -> None:
    finder = SsdFinder(make_ssd((8, 20, 24, 40, 0.6), (32, 32, 48, 48, 0.9)), imgsz=64)
    boxes, scores = finder(np.zeros((100, 200, 3), np.uint8))  # 32 x 64 in the network: the second lies below
    np.testing.assert_allclose(boxes, [[25, 62.5, 75, 100]], atol=1e-3)
    np.testing.assert_allclose(scores, [0.6], atol=1e-6)
    boxes, scores = finder(np.zeros((128, 128, 3), np.uint8))
    np.testing.assert_allclose(boxes, [[64, 64, 96, 96], [16, 40, 48, 80]], atol=1e-3)
    np.testing.assert_allclose(scores, [0.9, 0.6], atol=1e-6)


def test_one_face_gets_one_box_and_faint_ones_are_dropped(make_ssd: MakeNetwork) -> None:
    network = make_ssd((8, 8, 28, 28, 0.9), (9, 8, 29, 28, 0.8), (40, 40, 60, 60, 0.2))
    assert len(SsdFinder(network)(BLACK)[0]) == 1
    assert len(SsdFinder(network, conf=0.1)(BLACK)[0]) == 2
    assert len(SsdFinder(network, conf=0.1, iou=0.95)(BLACK)[0]) == 3


def test_of_very_many_boxes_the_surest_stay_and_it_takes_no_square_of_their_number() -> None:
    corners = np.stack(np.meshgrid(np.arange(0, 2000, 20), np.arange(0, 2000, 20)), axis=-1).reshape(-1, 2)
    boxes = np.concatenate([corners, corners + 10], axis=1).astype(np.float32)
    scores = np.random.default_rng(0).permutation(np.linspace(0.1, 0.9, len(boxes))).astype(np.float32)
    kept = suppress(boxes, scores, 0.45, least=0.05, most=MAX_CANDIDATES)
    assert len(boxes) > 2 * MAX_CANDIDATES
    np.testing.assert_array_equal(kept[:300], np.argsort(-scores)[:300])


def test_the_default_overlap_is_that_of_ssds(make_ssd: MakeNetwork) -> None:
    network = make_ssd((10, 10, 30, 30, 0.9), (16, 10, 36, 30, 0.8), (10, 40, 30, 60, 0.7), (18, 40, 38, 60, 0.6))
    assert len(SsdFinder(network)(BLACK)[0]) == 3  # the first pair overlaps by 0.54, the second by 0.43


def test_the_size_of_the_training_is_used_unless_another_is_asked_for(make_ssd: MakeNetwork) -> None:
    network = make_ssd((0, 0, 32, 32, 0.9))
    wide = np.zeros((128, 128, 3), np.uint8)
    np.testing.assert_allclose(SsdFinder(network)(wide)[0], [[0, 0, 64, 64]])
    np.testing.assert_allclose(SsdFinder(network, imgsz=128)(wide)[0], [[0, 0, 32, 32]])


def test_an_ssd_with_fixed_axes_gets_its_own_shape(make_ssd: MakeNetwork) -> None:
    finder = SsdFinder(make_ssd((0, 16, 32, 32, 0.9), input_shape=(1, 3, 64, 64)), imgsz=320)
    first, second = finder.batch([np.zeros((64, 128, 3), np.uint8), BLACK])
    np.testing.assert_allclose(first[0], [[0, 0, 64, 32]])
    np.testing.assert_allclose(second[0], [[0, 16, 32, 32]])


def test_a_half_precision_ssd_works(make_ssd: MakeNetwork) -> None:
    boxes, scores = SsdFinder(make_ssd((0, 0, 32, 32, 0.5), element=10))(BLACK)
    assert (boxes.dtype, scores.tolist()) == (np.float32, [0.5])


def test_a_batch_of_mixed_shapes_equals_one_by_one(make_ssd: MakeNetwork) -> None:
    finder = SsdFinder(make_ssd((8, 8, 28, 28, 0.9)))
    pictures = [np.zeros(shape, np.uint8) for shape in ((64, 64, 3), (40, 90, 3), (64, 64, 3), (300, 80, 3))]
    for together, alone in zip(finder.batch(pictures), map(finder, pictures), strict=True):
        np.testing.assert_array_equal(together[0], alone[0])
    assert finder.batch([]) == []


def test_no_face_is_an_empty_result(make_ssd: MakeNetwork, make_res10: MakeNetwork) -> None:
    finders = SsdFinder(make_ssd((8, 8, 28, 28, 0.0))), Res10Finder(make_res10(*[(0.0, 0.0, 0.5, 0.5)] * 3))
    for finder in finders:
        boxes, scores = finder(np.full((9, 9, 3), MEAN, np.uint8))
        assert (boxes.shape, scores.shape) == ((0, 4), (0,))


def test_res10_sees_blue_green_red_without_their_means_and_answers_in_shares_of_the_image(
    make_res10: MakeNetwork,
) -> None:
    network = make_res10((0, 0, 0.2, 0.5), (0.4, 0, 0.6, 0.5), (0.8, 0.5, 1.5, 1))
    image = np.full((40, 100, 3), np.add(MEAN, (102, 51, 76)), np.uint8)
    boxes, scores = Res10Finder(network, conf=0.1)(image)
    np.testing.assert_allclose(scores, [102 / 255, 76 / 255, 51 / 255], atol=1e-6)
    np.testing.assert_allclose(boxes, [[0, 0, 20, 20], [80, 20, 100, 40], [40, 0, 60, 20]], atol=1e-4)
    assert len(Res10Finder(network, conf=0.1).batch([image, image])) == 2


@pytest.mark.parametrize("image", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.float32)])
def test_every_finder_refuses_an_array_that_is_no_image(
    make_ssd: MakeNetwork, make_res10: MakeNetwork, image: np.ndarray
) -> None:
    for finder in (SsdFinder(make_ssd((0, 0, 9, 9, 0.9))), Res10Finder(make_res10(*[(0.0, 0.0, 1.0, 1.0)] * 3))):
        with pytest.raises(ValueError, match=r"expected a BGR uint8 \(H, W, 3\) image"):
            finder(image)


def test_a_closed_finder_says_so(make_ssd: MakeNetwork, make_res10: MakeNetwork) -> None:
    for finder in (SsdFinder(make_ssd((0, 0, 9, 9, 0.9))), Res10Finder(make_res10(*[(0.0, 0.0, 1.0, 1.0)] * 3))):
        finder.close()
        with pytest.raises(ModelError, match="was closed: load it again"):
            finder(BLACK)


@pytest.mark.parametrize("spec", ["", "mtcnn", "ssd=", "res10", "res10=", "haar=", "haar=file.xml", "SSD"])
def test_a_finder_that_is_not_known_names_those_there_are(spec: str) -> None:
    with pytest.raises(ModelError, match=rf"--faces {spec} is not known: use ssd, ssd=FILE, res10=FILE .* or haar"):
        load_finder(spec)


def test_a_missing_file_names_itself_and_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"gone\.onnx: no such file: make it with mask-detector train"):
        load_finder(f"ssd={tmp_path / 'gone.onnx'}")
    with pytest.raises(ModelError, match=r"gone\.onnx: no such file: name OpenCV's res10 network"):
        load_finder(f"res10={tmp_path / 'gone.onnx'}")


@pytest.mark.parametrize("spec", ["res10=some.onnx", "haar"])
def test_a_size_is_refused_where_it_does_not_apply(spec: str) -> None:
    with pytest.raises(ModelError, match=r"--imgsz 640: the face finder .* has its own size: leave it out"):
        load_finder(spec, imgsz=640)


def test_a_network_of_another_kind_is_told_where_it_belongs(
    make_network: MakeNetwork, make_ssd: MakeNetwork, make_classifier: MakeNetwork, make_res10: MakeNetwork
) -> None:
    detector, classifier = make_network(raw_head()), make_classifier()
    ssd, res10 = make_ssd((0, 0, 9, 9, 0.9)), make_res10(*[(0.0, 0.0, 1.0, 1.0)] * 3)
    wrong = [
        (
            f"ssd={detector}",
            f"a single-stage detector, not an SSD face finder: use --engine single-stage --weights {detector}",
        ),
        (
            f"ssd={classifier}",
            f"a mask classifier, not an SSD face finder: use --engine two-step --weights {classifier}",
        ),
        (
            f"ssd={res10}",
            f"OpenCV's res10 face finder, not an SSD face finder: use --engine two-step --faces res10={res10}",
        ),
        (
            f"res10={ssd}",
            f"an SSD face finder, not OpenCV's res10 face finder: use --engine two-step --faces ssd={ssd}",
        ),
        (f"res10={classifier}", "a mask classifier, not OpenCV's res10"),
    ]
    for spec, message in wrong:
        with pytest.raises(ModelError) as caught:
            load_finder(spec)
        assert message in str(caught.value)


def test_a_network_of_no_known_kind_is_refused_by_name(make_ssd: MakeNetwork, make_res10: MakeNetwork) -> None:
    cats = make_ssd((0, 0, 9, 9, 0.9), metadata={"names": "{0: 'cat'}"})
    with pytest.raises(ModelError, match="not a face finder with one class, face"):
        load_finder(f"ssd={cats}")
    with pytest.raises(ModelError, match="not OpenCV's res10 network"):
        load_finder(f"res10={make_res10(*[(0.0, 0.0, 1.0, 1.0)] * 3, input_shape=(1, 3, 320, 240))}")


def test_without_the_caffe_importer_one_line_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2.dnn, "readNetFromCaffe", raising=False)
    (tmp_path / "faces.caffemodel").write_bytes(b"caffe")
    with pytest.raises(
        ModelError, match=r"cannot read Caffe networks: use the ONNX form .* 'opencv-python<5'"
    ) as caught:
        load_finder(f"res10={tmp_path / 'faces.caffemodel'}")
    assert "\n" not in str(caught.value)


@needs_caffe
def test_a_caffemodel_without_its_prototxt_or_damaged_is_refused(tmp_path: Path) -> None:
    (tmp_path / "faces.caffemodel").write_bytes(b"caffe")
    with pytest.raises(ModelError, match="there is no prototxt beside it"):
        load_finder(f"res10={tmp_path / 'faces.caffemodel'}")
    (tmp_path / "deploy.prototxt").write_text("layer {")
    with pytest.raises(ModelError, match=r"OpenCV cannot read it with deploy\.prototxt"):
        load_finder(f"res10={tmp_path / 'faces.caffemodel'}")


def test_without_cascades_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2, "CascadeClassifier", raising=False)
    with pytest.raises(ModelError, match="--faces haar: this OpenCV has no cascades: use --faces ssd") as caught:
        load_finder("haar")
    assert "\n" not in str(caught.value)


def test_the_cascades_weight_becomes_a_confidence_in_the_same_order() -> None:
    sure = confidence(np.array([-100, -2, 0, 1, 3.5, 9, 100], np.float32))
    assert sure.dtype == np.float32
    assert (np.diff(sure) > 0).all()
    assert (sure[0], sure[3], sure[-1]) == (pytest.approx(0, abs=1e-6), 0.5, pytest.approx(1))


@needs_cascade
@pytest.mark.usefixtures("opencv_threads")
def test_the_cascade_finds_a_bare_face_and_no_other(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        finder = HaarFinder(threads=1, device="cuda")
    assert cv2.getNumThreads() == 1
    assert "OpenCV runs the cascade on the CPU" in caplog.text
    (boxes, scores), (none, _) = finder.batch([images.read(SAMPLE / "collins_bare.jpg"), BLACK])
    assert boxes.shape == (1, 4)
    assert 0.25 < scores[0] <= 1
    assert none.shape == (0, 4)
    finder.close()
    with pytest.raises(ModelError, match="was closed"):
        finder(BLACK)


@pytest.mark.shared
@needs_shared
def test_the_real_res10_finds_the_faces_of_a_video_call() -> None:
    finder = load_finder(f"res10={SHARED / 'res10_300x300_ssd.onnx'}", conf=0.5)
    boxes, scores = finder(images.read(SAMPLE / "video_call_six.jpg"))
    assert len(boxes) == 6
    assert scores.min() > 0.85


@pytest.mark.shared
@needs_shared
@needs_caffe
def test_caffes_form_of_res10_says_the_same_as_the_onnx_form() -> None:
    onnx = load_finder(f"res10={SHARED / 'res10_300x300_ssd.onnx'}", conf=0.1)
    caffe = load_finder(f"res10={SHARED / 'res10_300x300_ssd_iter_140000.caffemodel'}", conf=0.1)
    for path in images.list_images(SAMPLE):
        ours, theirs = onnx(images.read(path)), caffe(images.read(path))
        np.testing.assert_allclose(ours[0], theirs[0], atol=0.05, err_msg=path.name)
        np.testing.assert_allclose(ours[1], theirs[1], atol=1e-3, err_msg=path.name)
    caffe.close()
    with pytest.raises(ModelError, match="was closed"):
        caffe(BLACK)
