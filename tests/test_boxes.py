from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from detector.boxes import MAX_DETECTIONS, containment, overlap, suppress

NONE = np.zeros((0, 4), np.float32)


def boxes(*rows: tuple[float, float, float, float]) -> npt.NDArray[np.float32]:
    return np.array(rows, np.float32)


def test_overlap_is_the_shared_area_by_that_of_both_together() -> None:
    one, other = boxes((0, 0, 10, 10), (20, 20, 30, 30)), boxes((5, 0, 15, 10), (0, 0, 10, 10), (10, 0, 20, 10))
    np.testing.assert_allclose(overlap(one, other), [[1 / 3, 1, 0], [0, 0, 0]])
    np.testing.assert_array_equal(overlap(one, other), overlap(other, one).T)


def test_containment_is_the_share_of_the_first_box() -> None:
    small, large = boxes((0, 0, 10, 10)), boxes((5, 5, 105, 105))
    assert containment(small, large).tolist() == [[0.25]]
    assert containment(large, small)[0, 0] == pytest.approx(25 / 10_000)


def test_a_box_without_area_overlaps_nothing_and_no_boxes_make_an_empty_table() -> None:
    flat = boxes((5, 5, 5, 9), (0, 0, 10, 10))
    assert overlap(flat, flat).tolist() == [[0, 0], [0, 1]]
    assert containment(flat, flat).tolist() == [[0, 0], [0, 1]]
    assert overlap(NONE, flat).shape == (0, 2)
    assert containment(flat, NONE).shape == (2, 0)


def test_numbers_keep_their_precision() -> None:
    assert overlap(NONE, NONE).dtype == np.float32
    assert overlap(NONE.astype(np.float64), NONE.astype(np.float64)).dtype == np.float64


def test_of_two_boxes_that_overlap_by_more_the_surer_stays() -> None:
    xyxy = boxes((0, 0, 10, 10), (40, 0, 50, 10), (1, 0, 11, 10), (20, 0, 30, 10))
    scores = np.array([0.5, 0.6, 0.8, 0.9], np.float32)
    assert suppress(xyxy, scores, 0.5).tolist() == [3, 2, 1]
    assert suppress(xyxy, scores, 0.9).tolist() == [3, 2, 1, 0]
    assert suppress(xyxy, scores, 0.5, least=0.6).tolist() == [3, 2]
    assert suppress(NONE, scores[:0], 0.5).tolist() == []


def test_boxes_of_two_classes_suppress_each_other_only_where_classes_are_not_told_apart() -> None:
    xyxy = boxes((0, 0, 10, 10), (0, 0, 10, 10), (1, 0, 11, 10))
    scores, class_id = np.array([0.7, 0.9, 0.6], np.float32), np.array([0, 1, 0])
    assert suppress(xyxy, scores, 0.5).tolist() == [1]
    assert suppress(xyxy, scores, 0.5, class_id=class_id).tolist() == [1, 0]


def test_what_a_network_answers_that_is_no_number_is_no_box() -> None:
    xyxy = boxes((0, 0, 10, 10), (20, 0, np.inf, 10), (40, 0, 50, 10))
    assert suppress(xyxy, np.array([0.5, 0.9, np.nan], np.float32), 0.5).tolist() == [0]


def test_only_the_surest_of_very_many_are_compared() -> None:
    left = np.arange(5 * MAX_DETECTIONS, dtype=np.float32) * 20
    xyxy = np.stack([left, left, left + 10, left + 10], axis=1)
    scores = np.random.default_rng(0).permutation(np.linspace(0.1, 0.9, len(left))).astype(np.float32)
    np.testing.assert_array_equal(suppress(xyxy, scores, 0.5, most=400), np.argsort(-scores)[:400])
