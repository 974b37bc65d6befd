from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from detector.data.sample import Sample
from detector.detections import CLASSES, Detections
from detector.engines.calibration import Calibration
from detector.errors import AnnotationError
from detector.scoring import (
    Bin,
    Confusion,
    Example,
    Matches,
    Words,
    best_threshold,
    calibration_error,
    count,
    export_coco,
    fit,
    match,
    one_class,
    recalibrated,
    reliability,
    score,
)


def faces(*rows: tuple[float, float, float, float, str]) -> Detections:
    """Squares given as left, top, side, confidence, class."""
    xyxy = [[left, top, left + side, top + side] for left, top, side, _, _ in rows]
    return Detections(
        np.array(xyxy, np.float32).reshape(-1, 4),
        np.array([row[3] for row in rows], np.float32),
        np.array([CLASSES.index(row[4]) for row in rows], np.int64),
    )


def ap50(*examples: Example, **options: float) -> tuple[float, float]:
    masked, bare = score(examples, **options)
    return masked.ap50, bare.ap50


MASKED, BARE = (10, 10, 40, 1, "with_mask"), (100, 10, 40, 1, "without_mask")


def test_everything_found_is_one() -> None:
    truth = faces(MASKED, BARE)
    masked, bare = score([Example(truth, truth)])
    assert (masked.ap50, masked.ap50_95, bare.ap50, bare.ap50_95) == (1, 1, 1, 1)
    assert (masked.support, bare.support) == (1, 1)


def test_nothing_found_is_zero_and_nothing_to_find_is_not_a_number() -> None:
    masked, bare = score([Example(faces(MASKED), Detections.empty())])
    assert (masked.ap50, bare.support) == (0, 0)
    assert math.isnan(bare.ap50)


def test_the_wrong_class_is_a_miss_and_a_false_alarm() -> None:
    found = faces((10, 10, 40, 0.9, "without_mask"), (100, 10, 40, 0.8, "without_mask"))
    masked, bare = ap50(Example(faces(MASKED, BARE), found))
    assert masked == 0
    assert bare == pytest.approx(0.5)  # the surer one is false: precision 1/2 at every recall


def test_a_curve_worked_out_by_hand() -> None:
    truth = faces(*((100 * i, 0, 50, 1, "with_mask") for i in range(4)))
    found = faces(
        (0, 0, 50, 0.9, "with_mask"),
        (0, 300, 50, 0.8, "with_mask"),
        (100, 0, 50, 0.7, "with_mask"),
        (200, 0, 50, 0.6, "with_mask"),
    )
    # Precision 1 up to recall 1/4, then at best 3/4 up to recall 3/4; COCO samples recall 0, 0.01 ... 1.
    assert ap50(Example(truth, found))[0] == pytest.approx((26 * 1 + 50 * 0.75) / 101)


def test_half_an_overlap_is_enough_for_ap50_only() -> None:
    masked, _ = score([Example(faces(MASKED), faces((10, 16, 40, 1, "with_mask")))])  # IoU 34/46 = 0.74
    assert masked.ap50 == 1
    assert masked.ap50_95 == pytest.approx(0.5)  # 0.5 to 0.7 of ten thresholds


def test_faces_under_the_least_side_are_neither_missed_nor_false() -> None:
    tiny = (200, 200, 9, 1, "with_mask")
    assert ap50(Example(faces(MASKED, tiny), faces(MASKED)))[0] == 1
    assert ap50(Example(faces(MASKED), faces(tiny, (10, 10, 40, 0.5, "with_mask"))))[0] == 1
    assert ap50(Example(faces(MASKED, tiny), faces(MASKED)), min_side=5)[0] == pytest.approx(51 / 101)


def test_the_shorter_side_counts_not_the_area() -> None:
    flat = Detections(np.array([[0, 0, 100, 9]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64))
    assert score([Example(flat, Detections.empty())])[0].support == 0


def test_a_detection_in_an_ignored_region_is_no_false_alarm_of_either_class() -> None:
    region = np.array([[300, 300, 340, 340]], np.float32)
    for name in CLASSES:
        found = faces((300, 300, 40, 0.99, name), (10, 10, 40, 0.5, "with_mask"), (100, 10, 40, 0.5, "without_mask"))
        assert ap50(Example(faces(MASKED, BARE), found, region)) == (1, 1)
        assert min(ap50(Example(faces(MASKED, BARE), found))) == pytest.approx(0.5)


def test_faces_are_also_counted_by_size() -> None:
    truth = faces((0, 0, 12, 1, "with_mask"), (100, 0, 20, 1, "with_mask"), (200, 0, 100, 1, "with_mask"))
    masked, _ = score([Example(truth, truth[[0, 2]])])
    assert masked.support_by_size == {"10-16": 1, "16-32": 1, "32-64": 0, "64+": 1}
    assert [masked.ap50_by_size[size] for size in ("10-16", "16-32", "64+")] == [1, 0, 1]


def test_a_detection_counts_only_in_its_own_image() -> None:
    one, other = Example(faces(MASKED), Detections.empty()), Example(Detections.empty(), faces(MASKED))
    assert ap50(one, other)[0] == 0


def at(threshold: float, *examples: Example, min_side: float = 10) -> Confusion:
    return count(match(examples, min_side=min_side), threshold)


def test_the_curve_is_the_one_whose_mean_is_the_average_precision() -> None:
    found = faces((10, 10, 40, 0.9, "without_mask"), (100, 10, 40, 0.8, "without_mask"))
    masked, bare = score([Example(faces(MASKED, BARE), found)])
    assert len(bare.curve) == 101
    assert np.mean(bare.curve) == pytest.approx(bare.ap50)
    assert set(masked.curve) == {0.0}


def test_confusion_counts_every_face_and_every_false_alarm_once() -> None:
    truth = faces(MASKED, BARE, (200, 10, 40, 1, "with_mask"), (300, 10, 40, 1, "without_mask"))
    found = faces(
        (10, 10, 40, 0.9, "with_mask"),  # right
        (12, 10, 40, 0.8, "with_mask"),  # the same face again: nothing is left for it
        (100, 10, 40, 0.7, "with_mask"),  # under the wrong name
        (500, 10, 40, 0.6, "without_mask"),  # nothing there
        (300, 10, 40, 0.2, "without_mask"),  # not sure enough
    )
    confusion = at(0.5, Example(truth, found))
    assert confusion.counts == ((1, 0, 1), (1, 0, 1), (1, 1, 0))
    assert (confusion.words("with_mask").faces, confusion.words("without_mask").faces) == (2, 2)
    assert (confusion.precision("with_mask"), confusion.recall("with_mask")) == (pytest.approx(1 / 3), 0.5)
    assert confusion.f1("with_mask") == pytest.approx(0.4)
    assert (confusion.precision("without_mask"), confusion.f1("without_mask")) == (0, 0)
    assert confusion.mean_f1 == pytest.approx(0.2)


def test_a_face_goes_to_the_surest_detection_and_a_detection_to_the_face_it_overlaps_most() -> None:
    truth = faces((0, 0, 40, 1, "with_mask"), (12, 0, 40, 1, "without_mask"))
    found = faces((10, 0, 40, 0.9, "without_mask"), (1, 0, 40, 0.8, "with_mask"))
    assert at(0.5, Example(truth, found)).counts == ((1, 0, 0), (0, 1, 0), (0, 0, 0))


def test_what_is_not_counted_is_neither_missed_nor_false_at_a_threshold_too() -> None:
    tiny, region = (200, 200, 9, 1, "with_mask"), np.array([[300, 300, 400, 400]], np.float32)
    nothing = ((0, 0, 0),) * 3
    assert at(0.5, Example(faces(tiny), Detections.empty())).counts == nothing
    assert at(0.5, Example(faces(tiny), faces(tiny))).counts == nothing
    assert at(0.5, Example(Detections.empty(), faces(tiny))).counts == nothing
    inside = faces((310, 310, 40, 0.9, "with_mask"), (350, 350, 40, 0.9, "without_mask"))
    assert at(0.5, Example(Detections.empty(), inside, region)).counts == nothing
    assert at(0.5, Example(Detections.empty(), inside)).counts[2] == (1, 1, 0)


def test_a_detection_on_a_face_has_the_faces_size_and_a_false_one_its_own() -> None:
    truth = faces((0, 0, 40, 1, "with_mask"))
    found = faces((0, 0, 30, 0.9, "with_mask"), (100, 0, 20, 0.9, "with_mask"))
    matches = match([Example(truth, found)])
    assert count(matches.within(32, 64), 0.5).counts == ((1, 0, 0), (0, 0, 0), (0, 0, 0))
    assert count(matches.within(16, 32), 0.5).counts == ((0, 0, 0), (0, 0, 0), (1, 0, 0))


def test_the_words_of_a_class_are_those_of_its_faces_and_the_false_boxes_that_say_its_name() -> None:
    truth = faces(MASKED, BARE, (200, 10, 40, 1, "with_mask"), (300, 10, 40, 1, "without_mask"))
    found = faces(
        (10, 10, 40, 0.9, "with_mask"),
        (100, 10, 40, 0.7, "with_mask"),
        (500, 10, 40, 0.6, "without_mask"),
        (300, 10, 40, 0.2, "without_mask"),
    )
    confusion = at(0.5, Example(truth, found))
    assert confusion.words() == Words(right=1, wrong=1, missed=2, false=1)
    assert confusion.words("with_mask") == Words(right=1, wrong=0, missed=1, false=0)
    assert confusion.words("without_mask") == Words(right=0, wrong=1, missed=1, false=1)
    assert (confusion.words().faces, confusion.words().balance) == (4, -1)
    assert confusion.words().shares == {"right": 0.25, "wrong": 0.25, "missed": 0.5, "wrong_of_found": 0.5}
    nothing = at(0.5, Example(Detections.empty(), Detections.empty())).words()
    assert all(math.isnan(share) for share in nothing.shares.values())


def test_the_best_threshold_is_the_middle_of_those_with_the_most_right_less_wrong_less_false() -> None:
    found = faces((10, 10, 40, 0.8, "with_mask"), (500, 10, 40, 0.4, "with_mask"))
    assert best_threshold(match([Example(faces(MASKED), found)])) == pytest.approx(0.61)  # of 0.41 to 0.80
    two = faces((10, 10, 40, 0.8, "with_mask"), (100, 10, 40, 0.4, "with_mask"))  # the second under the wrong name
    assert best_threshold(match([Example(faces(MASKED, BARE), two)])) == pytest.approx(0.61)
    more = faces(*((100 * i, 300, 40, 0.3, "with_mask") for i in range(3)), (500, 10, 40, 0.3, "with_mask"))
    assert best_threshold(match([Example(more[:3], more)])) == pytest.approx(0.16)  # three right for one false
    assert best_threshold(match([Example(Detections.empty(), found)])) is None


def test_without_faces_or_detections_there_are_no_figures() -> None:
    confusion = at(0.5)
    assert confusion.counts == ((0, 0, 0),) * 3
    assert math.isnan(confusion.precision("with_mask"))
    assert math.isnan(confusion.recall("with_mask"))
    assert math.isnan(confusion.mean_f1)
    missed = at(0.5, Example(faces(MASKED), Detections.empty()))
    assert (missed.recall("with_mask"), missed.f1("with_mask"), missed.mean_f1) == (0, 0, 0)
    assert math.isnan(missed.precision("with_mask"))


def test_people_are_shown_the_surer_class_of_each_face() -> None:
    both = faces(
        (10, 10, 40, 0.3, "with_mask"),
        (10, 10, 40, 0.6, "without_mask"),
        (100, 10, 40, 0.5, "with_mask"),
        (104, 10, 40, 0.4, "without_mask"),
    )
    shown = one_class(both)
    assert (shown.names, len(one_class(both, iou=0.95))) == (["without_mask", "with_mask"], 3)
    assert len(one_class(Detections.empty())) == 0


def noisy(seed: int, images: int = 12) -> list[Example]:
    """Faces of all sizes, found more or less, with ignored regions and false alarms."""
    random = np.random.default_rng(seed)
    examples = []
    for _ in range(images):
        corner, size = (
            random.uniform(0, 500, (10, 2)),
            random.uniform(6, 90, (10, 1)) * random.uniform(0.6, 1.4, (10, 2)),
        )
        xyxy = np.concatenate([corner, corner + size], axis=1).astype(np.float32)
        class_id = random.integers(0, 2, 10)
        moved = np.tile(xyxy, (2, 1)) + random.normal(0, 4, (20, 4)).astype(np.float32)
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
        named = np.where(random.random(20) < 0.8, np.tile(class_id, 2), random.integers(0, 2, 20))
        found = Detections(moved, random.random(20).astype(np.float32), named)
        examples.append(Example(Detections(xyxy[:8], np.ones(8, np.float32), class_id[:8]), found, xyxy[8:]))
    return examples


def test_pycocotools_computes_the_same_from_the_exported_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coco, cocoeval = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.cocoeval")
    examples = noisy(0)
    truth, found = export_coco(
        tmp_path,
        examples,
        [Sample(Path(), f"{i}.jpg", "", (600, 600), e.truth) for i, e in enumerate(examples)],
        min_side=10,
    )
    evaluation = cocoeval.COCOeval(coco.COCO(str(truth)), coco.COCO(str(found)), "bbox")
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [[10**2, 1e10]], ["all"]
    evaluation.params.maxDets = [300]
    evaluation.evaluate()
    evaluation.accumulate()
    capsys.readouterr()
    precision = evaluation.eval["precision"][..., 0, 0].mean(axis=1)  # (IoU, class)
    ours = score(examples, min_side=10)
    assert 0.1 < ours[0].ap50 < 0.9
    assert [s.ap50 for s in ours] == pytest.approx(precision[0].tolist(), abs=1e-3)
    assert [s.ap50_95 for s in ours] == pytest.approx(precision.mean(axis=0).tolist(), abs=1e-3)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_counts_agree_with_cocos_own_where_classes_play_no_part(seed: int) -> None:
    """With one class, the recall of all detections is where COCO's curve ends."""
    same = [
        Example(
            Detections(e.truth.xyxy, e.truth.confidence, e.truth.class_id * 0),
            Detections(e.found.xyxy, e.found.confidence, e.found.class_id * 0),
            e.ignored,
        )
        for e in noisy(seed)
    ]
    masked, _ = score(same)
    confusion = at(0.0, *same)
    end = sum(value > 0 for value in masked.curve) / 101  # COCO's precision is 0 past the last recall
    assert confusion.recall("with_mask") == pytest.approx(end, abs=0.011)
    assert confusion.words("with_mask").faces == masked.support


def shown(confidence: np.ndarray, class_id: np.ndarray, right: np.ndarray) -> Matches:
    """Detections of 40 px: a right one lies on a face of its class, half of the others on the other class."""
    on_face = right | (np.arange(len(right)) % 2 == 0)
    side = np.full(len(right), 40, np.float32)
    truth = np.where(right, class_id, 1 - class_id)
    return Matches(
        truth[on_face],
        class_id[on_face],
        confidence[on_face],
        side[on_face],
        class_id[~on_face],
        confidence[~on_face],
        side[~on_face],
    )


def test_the_calibration_error_is_how_far_confidence_is_off_by_tenths() -> None:
    confidence = np.array([0.95, 0.95, 0.55, 0.55, 0.2], np.float32)
    matches = shown(confidence, np.array([0, 0, 1, 1, 0]), np.array([True, True, True, False, False]))
    bins = reliability(matches, 0.25)
    assert [each.faces for each in bins] == [2, 2]  # the one at 0.2 is not shown
    assert [each.right for each in bins] == [0.5, 1]
    assert calibration_error(bins) == pytest.approx((2 * 0.05 + 2 * 0.05) / 4)
    assert [each.faces for each in reliability(matches, 0.25, ["with_mask"])] == [2]
    assert math.isnan(calibration_error(reliability(matches, 0.99)))
    assert reliability(shown(np.ones(1, np.float32), np.zeros(1, int), np.array([True])), 0.5) == (Bin(1, 1.0, 1.0),)


def test_a_calibration_makes_confidence_the_share_that_is_right_and_keeps_the_order_in_each_class() -> None:
    random = np.random.default_rng(0)
    chance, class_id = random.uniform(0.05, 0.99, 8000).astype(np.float32), random.integers(0, 2, 8000)
    truth = Calibration(np.array([[0.7, 0.7, -0.3], [0.6, 3.6, -1.3]]))  # one slope, and two
    before = shown(truth.scores(chance, class_id), class_id, random.random(8000) < chance)
    np.testing.assert_allclose(truth(truth.scores(chance, class_id), class_id), chance, atol=1e-3)
    calibration = fit(before)
    np.testing.assert_allclose(calibration.weights, truth.weights, atol=0.35)
    after = recalibrated(before, calibration)
    assert calibration_error(reliability(before, 0.25)) > 0.06
    for names in (["with_mask"], ["without_mask"], ["with_mask", "without_mask"]):
        assert calibration_error(reliability(after, 0.25, names)) < 0.03
    assert best_threshold(after) == pytest.approx(0.5, abs=0.06)  # from there on a box is rather right than not
    for index in range(2):
        one, other = (m.false_confidence[m.false == index] for m in (before, after))
        assert (np.diff(other[np.argsort(one)]) >= 0).all()
    nothing_found = match([Example(faces(MASKED), Detections.empty())])
    assert recalibrated(nothing_found, calibration).confidence.tolist() == [-1]


def test_too_few_faces_or_labels_that_contradict_the_network_make_no_calibration() -> None:
    many = np.linspace(0.2, 0.9, 200).astype(np.float32)
    class_id = np.arange(200) % 2
    with pytest.raises(AnnotationError, match="100 right and 0 other boxes with_mask are too few"):
        fit(shown(many, class_id, np.ones(200, bool)))
    with pytest.raises(AnnotationError, match="the surer boxes with_mask are not more often right"):
        fit(shown(many, class_id, np.arange(200) < 100))
