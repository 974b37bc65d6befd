from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from detector.engines import default_weights, load_engine
from detector.engines.classifier import MaskClassifier
from detector.engines.crops import MARGIN, cut
from detector.engines.face_finders import SsdFinder
from detector.engines.two_step import CROPS_AT_ONCE, TwoStep
from detector.errors import ModelError

from .conftest import MakeNetwork
from .networks import raw_head

BLACK = np.zeros((64, 64, 3), np.uint8)
RED, GREEN, BLUE = (0, 0, 255), (0, 255, 0), (255, 0, 0)  # BGR; to the classifier with_mask, without_mask, background
FACES = ((0, 0, 20, 20, 0.9), (40, 0, 60, 20, 0.8), (0, 40, 20, 60, 0.7))


@pytest.fixture
def image() -> np.ndarray:
    """A masked face, a bare one, and what is none, where ``FACES`` says."""
    picture = BLACK.copy()
    picture[0:20, 0:20], picture[0:20, 40:60], picture[40:60, 0:20] = RED, GREEN, BLUE
    return picture


def test_each_face_gets_its_class_and_background_is_dropped(
    make_ssd: MakeNetwork, make_classifier: MakeNetwork, image: np.ndarray
) -> None:
    with TwoStep(MaskClassifier(make_classifier()), SsdFinder(make_ssd(*FACES))) as engine:
        found = engine(image)
    assert found.names == ["with_mask", "without_mask"]
    np.testing.assert_allclose(found.xyxy, [[0, 0, 20, 20], [40, 0, 60, 20]], atol=1e-4)
    np.testing.assert_allclose(found.confidence, [0.9, 0.8], atol=1e-5)


def test_confidence_is_the_finders_score_times_the_probability_of_the_class(
    make_ssd: MakeNetwork, make_classifier: MakeNetwork, image: np.ndarray
) -> None:
    classifier = MaskClassifier(make_classifier(steepness=1.0))
    likely, unlikely = np.exp([1, 0]) / (np.e + 2)
    found = TwoStep(classifier, SsdFinder(make_ssd(*FACES)), one_class=True)(image)
    np.testing.assert_allclose(found.confidence, np.array([0.9, 0.8]) * likely, atol=1e-5)
    found = TwoStep(classifier, SsdFinder(make_ssd(*FACES), conf=0.01), one_class=False)(image)
    expected = [0.9 * likely, 0.8 * likely, 0.9 * unlikely, 0.8 * unlikely, 0.7 * unlikely, 0.7 * unlikely]
    np.testing.assert_allclose(found.confidence, expected, atol=1e-5)
    assert found.names[:4] == ["with_mask", "without_mask", "without_mask", "with_mask"]


def test_conf_is_one_number_for_both_steps_and_may_change(
    make_ssd: MakeNetwork, make_classifier: MakeNetwork, image: np.ndarray
) -> None:
    engine = TwoStep(MaskClassifier(make_classifier()), SsdFinder(make_ssd(*FACES), conf=0.85))
    assert (engine.conf, len(engine(image))) == (0.85, 1)
    engine.conf = 0.5
    assert len(engine(image)) == 2
    doubtful = TwoStep(MaskClassifier(make_classifier(steepness=1.0)), SsdFinder(make_ssd(*FACES), conf=0.5))
    assert len(doubtful(image)) == 1  # 0.9 x 0.58; the second, 0.8 x 0.58, passes the finder only


def test_a_classifier_without_background_keeps_every_face(
    make_ssd: MakeNetwork, make_classifier: MakeNetwork, image: np.ndarray
) -> None:
    two = make_classifier("{0: 'with_mask', 1: 'without_mask'}")
    assert len(TwoStep(MaskClassifier(two), SsdFinder(make_ssd(*FACES)))(image)) == 3


def test_names_in_another_order_are_followed_not_guessed(
    make_ssd: MakeNetwork, make_classifier: MakeNetwork, image: np.ndarray
) -> None:
    turned = make_classifier("{0: 'background', 1: 'with_mask', 2: 'without_mask'}")  # red is background
    found = TwoStep(MaskClassifier(turned), SsdFinder(make_ssd(*FACES)))(image)
    assert found.names == ["with_mask", "without_mask"]
    np.testing.assert_allclose(found.xyxy, [[40, 0, 60, 20], [0, 40, 20, 60]], atol=1e-4)


def test_the_classifier_sees_the_margin_that_it_was_trained_with(
    make_ssd: MakeNetwork, make_classifier: MakeNetwork, image: np.ndarray
) -> None:
    missing = MaskClassifier(make_classifier(metadata={"margin": None}))
    wide = MaskClassifier(make_classifier(metadata={"margin": "0.5"}, steepness=1.0))
    assert (missing.margin, wide.margin, wide.side) == (MARGIN, 0.5, 16)
    found = TwoStep(wide, SsdFinder(make_ssd((0, 0, 20, 20, 1.0)), conf=0.0), one_class=False)(image)
    crop = cut(image, np.array([[0, 0, 20, 20]], np.float32), side=16, margin=0.5)
    np.testing.assert_allclose(found.confidence, wide(crop)[0, :2], atol=1e-6)


def test_the_crops_are_rgb_in_0_to_1(make_classifier: MakeNetwork) -> None:
    crops = np.zeros((2, 16, 16, 3), np.uint8)
    crops[0], crops[1] = (0, 0, 51), (0, 102, 0)
    probabilities = MaskClassifier(make_classifier(steepness=5.0))(crops)
    expected = np.exp([[1, 0, 0], [0, 2, 0]])
    np.testing.assert_allclose(probabilities, expected / expected.sum(axis=1, keepdims=True), atol=1e-5)


def test_no_crop_needs_no_run(make_classifier: MakeNetwork) -> None:
    assert MaskClassifier(make_classifier())(np.zeros((0, 16, 16, 3), np.uint8)).shape == (0, 3)


def test_all_faces_of_a_batch_of_images_are_classified_in_one_run(
    make_ssd: MakeNetwork, make_classifier: MakeNetwork
) -> None:
    engine = TwoStep(MaskClassifier(make_classifier(dilute=True)), SsdFinder(make_ssd(*FACES[:2]), conf=0.01))
    red = np.full((64, 64, 3), RED, np.uint8)
    np.testing.assert_allclose(engine(red).confidence, [0.9 / 2, 0.8 / 2], atol=1e-5)
    for found in engine.batch([red, red[:32]]):
        np.testing.assert_allclose(found.confidence, [0.9 / 4, 0.8 / 4], atol=1e-5)
    assert engine.batch([]) == []


def test_a_crowd_goes_through_the_classifier_in_pieces(make_ssd: MakeNetwork, make_classifier: MakeNetwork) -> None:
    crowd = [(6.0 * x, 6.0 * y, 6.0 * x + 5, 6.0 * y + 5, 0.9) for y in range(10) for x in range(10)]
    engine = TwoStep(MaskClassifier(make_classifier(dilute=True)), SsdFinder(make_ssd(*crowd), conf=0.001))
    counts = np.rint(0.9 / engine(np.full((64, 64, 3), RED, np.uint8)).confidence).astype(int)
    assert sorted(counts) == [100 - CROPS_AT_ONCE] * (100 - CROPS_AT_ONCE) + [CROPS_AT_ONCE] * CROPS_AT_ONCE


def test_a_batch_of_mixed_shapes_equals_one_by_one(
    make_ssd: MakeNetwork, make_classifier: MakeNetwork, image: np.ndarray
) -> None:
    engine = TwoStep(MaskClassifier(make_classifier()), SsdFinder(make_ssd(*FACES)))
    pictures = [image, np.tile(image, (1, 2, 1)), BLACK[:9, :50], image[:, ::-1]]
    for together, alone in zip(engine.batch(pictures), map(engine, pictures), strict=True):
        np.testing.assert_array_equal(together.xyxy, alone.xyxy)
        np.testing.assert_allclose(together.confidence, alone.confidence, atol=1e-6)
        assert together.names == alone.names


def test_no_face_is_an_empty_result(make_ssd: MakeNetwork, make_classifier: MakeNetwork) -> None:
    engine = TwoStep(MaskClassifier(make_classifier()), SsdFinder(make_ssd()))
    assert [len(found) for found in (engine(BLACK), *engine.batch([BLACK, BLACK]))] == [0, 0, 0]


def test_half_precision_networks_work(make_ssd: MakeNetwork, make_classifier: MakeNetwork, image: np.ndarray) -> None:
    engine = TwoStep(MaskClassifier(make_classifier(element=10)), SsdFinder(make_ssd(*FACES, element=10)))
    assert engine(image).names == ["with_mask", "without_mask"]


def test_many_threads_share_one_engine(make_ssd: MakeNetwork, make_classifier: MakeNetwork, image: np.ndarray) -> None:
    engine = TwoStep(MaskClassifier(make_classifier(), threads=1), SsdFinder(make_ssd(*FACES), threads=1))
    pictures = [image, np.tile(image, (2, 1, 1)), np.tile(image, (1, 2, 1)), image[::-1]]
    expected = [engine(picture) for picture in pictures]
    wrong: list[int] = []

    def work(index: int) -> None:
        for _ in range(30):
            found = engine(pictures[index])
            same = np.array_equal(found.xyxy, expected[index].xyxy) and found.names == expected[index].names
            wrong.extend([] if same else [index])

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(pictures))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_closed_engine_says_so(make_ssd: MakeNetwork, make_classifier: MakeNetwork) -> None:
    classifier = MaskClassifier(make_classifier())
    with TwoStep(classifier, SsdFinder(make_ssd(*FACES))) as engine:
        pass
    with pytest.raises(ModelError, match=r"ssd.*\.onnx was closed: load it again"):
        engine(BLACK)
    with pytest.raises(ModelError, match=r"classifier.*\.onnx was closed: load it again"):
        classifier(np.zeros((1, 16, 16, 3), np.uint8))


def test_both_networks_get_the_threads(make_ssd: MakeNetwork, make_classifier: MakeNetwork) -> None:
    classifier, finder = MaskClassifier(make_classifier(), threads=1), SsdFinder(make_ssd(*FACES), threads=1)
    for session in (classifier.session, finder.session):
        options = session.session.get_session_options()
        assert options.intra_op_num_threads == 1


def test_the_engine_is_loaded_by_name_with_all_its_settings(
    make_ssd: MakeNetwork, make_classifier: MakeNetwork, image: np.ndarray
) -> None:
    options = {"conf": 0.01, "imgsz": 128, "threads": 1, "device": "cpu", "one_class": False}
    faces = f"ssd={make_ssd(*FACES)}"
    with load_engine("two-step", weights=make_classifier(), faces=faces, **options) as engine:  # type: ignore[arg-type]
        assert isinstance(engine, TwoStep)
        assert isinstance(engine.finder, SsdFinder)
        assert (engine.conf, engine.finder.iou, engine.one_class) == (0.01, 0.45, False)
        np.testing.assert_allclose(engine(image).xyxy.max(), 30, atol=1e-4)  # seen at twice its size


def test_a_missing_file_names_itself_and_the_remedy(tmp_path: Path, make_classifier: MakeNetwork) -> None:
    remedy = r"train it with mask-detector train --engine two-step, or name another mask classifier"
    with pytest.raises(ModelError, match=rf"gone\.onnx: no such file: {remedy}"):
        load_engine("two-step", weights=tmp_path / "gone.onnx")
    with pytest.raises(ModelError, match=r"gone\.onnx: no such file: make it with mask-detector train"):
        load_engine("two-step", weights=make_classifier(), faces=f"ssd={tmp_path / 'gone.onnx'}")


def test_a_finder_beside_the_single_stage_is_a_mistake() -> None:
    with pytest.raises(ModelError, match="--faces haar: single-stage finds faces by itself: leave it out, or use"):
        load_engine(faces="haar")


def test_a_network_given_to_the_wrong_flag_is_told_where_it_belongs(
    make_network: MakeNetwork, make_ssd: MakeNetwork, make_classifier: MakeNetwork
) -> None:
    detector, classifier, ssd = make_network(raw_head()), make_classifier(), make_ssd(*FACES)
    wrong = [
        (
            "two-step",
            detector,
            f"a single-stage detector, not a mask classifier: use --engine single-stage --weights {detector}",
        ),
        ("two-step", ssd, f"an SSD face finder, not a mask classifier: use --engine two-step --faces ssd={ssd}"),
        (
            "single-stage",
            classifier,
            f"a mask classifier, not a single-stage detector: use --engine two-step --weights {classifier}",
        ),
        (
            "single-stage",
            ssd,
            f"an SSD face finder, not a single-stage detector: use --engine two-step --faces ssd={ssd}",
        ),
    ]
    for engine, weights, message in wrong:
        with pytest.raises(ModelError) as caught:
            load_engine(engine, weights=weights)
        assert str(caught.value) == f"{weights}: this is {message}"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"names": "{0: 'cat', 1: 'dog'}"}, "its classes are cat, dog, not with_mask and without_mask"),
        ({"names": "{0: 'with_mask'}"}, "its classes are with_mask, not"),
        ({"names": "{}"}, "its classes are none"),
        ({"metadata": {"margin": "wide"}}, r"its metadata is damaged \(margin wide\)"),
        ({"metadata": {"names": "{0: 'with_mask', 1: 'without_mask'}"}}, r"is not \(batch, 2\) with a free batch"),
        ({"input_shape": (4, 3, 16, 16)}, r"is not \(batch, 3\) with a free batch"),
        ({"input_shape": ("batch", 3, 16, 24)}, r"not \(batch, 3, side, side\): not a classifier"),
    ],
)
def test_a_classifier_that_does_not_fit_is_refused(
    make_classifier: MakeNetwork, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        MaskClassifier(make_classifier(**options))


def test_a_classifier_with_free_sides_gets_the_size_of_its_training(make_classifier: MakeNetwork) -> None:
    free = MaskClassifier(make_classifier(input_shape=("batch", 3, "side", "side"), metadata={"imgsz": "24"}))
    assert free.side == 24


def test_a_classifier_whose_output_has_another_name_works(make_classifier: MakeNetwork) -> None:
    assert MaskClassifier(make_classifier(output="softmax")).side == 16


def test_default_weights_are_found_by_name() -> None:
    assert default_weights("face_ssd.onnx") == default_weights().with_name("face_ssd.onnx")
