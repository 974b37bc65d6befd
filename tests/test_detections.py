from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from detector import CLASSES, Detections

TWO = Detections(
    np.array([[0, 0, 10, 10], [5, 5, 8, 9]], np.float32), np.array([0.9, 0.5], np.float32), np.array([0, 1])
)


def test_none_found_is_an_object_of_length_zero() -> None:
    empty = Detections.empty()
    assert (len(empty), empty.xyxy.shape, empty.names, list(empty)) == (0, (0, 4), [], [])


def test_arrays_get_their_types_and_cannot_be_written_to() -> None:
    assert (TWO.xyxy.dtype, TWO.confidence.dtype, TWO.class_id.dtype) == (np.float32, np.float32, np.int64)
    with pytest.raises(ValueError, match="read-only"):
        TWO.xyxy[0, 0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        TWO.confidence = np.zeros(2)  # type: ignore[misc, assignment]


def test_the_callers_own_array_stays_writable() -> None:
    mine = np.zeros((1, 4), np.float32)
    Detections(mine, np.ones(1, np.float32), np.zeros(1, np.int64))
    mine[0, 0] = 1


def test_a_mask_a_slice_and_a_list_select() -> None:
    for index in (TWO.confidence > 0.6, slice(0, 1), [0]):
        assert TWO[index].names == ["with_mask"]
    assert len(TWO[[]]) == 0


def test_a_face_keeps_its_persons_number_and_has_none_at_first() -> None:
    numbered = dataclasses.replace(TWO, track_id=[7, 3])
    assert (TWO.track_id.tolist(), numbered[[1]].track_id.tolist()) == ([-1, -1], [3])


def test_faces_come_one_by_one_in_plain_types() -> None:
    assert list(TWO)[1] == ([5.0, 5.0, 8.0, 9.0], 0.5, "without_mask")
    assert [TWO.count(name) for name in CLASSES] == [1, 1]


@pytest.mark.parametrize(
    ("xyxy", "confidence", "class_id", "words"),
    [
        (np.zeros((2, 4)), np.zeros(1), np.zeros(1), r"got \(\(2, 4\), \(1,\), \(1,\), \(1,\)\)"),
        (np.zeros((1, 5)), np.zeros(1), np.zeros(1), r"expected xyxy \(N, 4\)"),
        (np.zeros(4), np.zeros(1), np.zeros(1), r"expected xyxy \(N, 4\)"),
        (np.full((1, 4), np.nan), np.zeros(1), np.zeros(1), "finite"),
        (np.zeros((1, 4)), np.full(1, np.inf), np.zeros(1), "finite"),
        (np.zeros((1, 4)), np.zeros(1), np.full(1, 2), r"class_id must be 0 to 1, got \[2\]"),
        (np.zeros((1, 4)), np.zeros(1), np.full(1, -1), r"got \[-1\]"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    xyxy: np.ndarray, confidence: np.ndarray, class_id: np.ndarray, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        Detections(xyxy, confidence, class_id)
