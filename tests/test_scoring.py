from __future__ import annotations

import math

import numpy as np
import pytest

from detector.detections import CLASSES, Detections
from detector.scoring import Example, score


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
        (0, 0, 50, 0.9, "with_mask"), (0, 300, 50, 0.8, "with_mask"), (100, 0, 50, 0.7, "with_mask"),
        (200, 0, 50, 0.6, "with_mask"),
    )  # fmt: skip
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
