from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detector.detections import Detections
from detector.media.draw import COLOURS, draw, draw_status


def faces(*boxes: tuple[float, float, float, float], class_id: int = 0) -> Detections:
    count = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4), np.full(count, 0.9, np.float32), np.full(count, class_id)
    )


def of_colour(image: np.ndarray, name: str) -> np.ndarray:
    return np.abs(image.astype(int) - COLOURS[name]).max(axis=2) < 6


@pytest.mark.parametrize("background", [0, 128, 255])
def test_the_input_is_never_changed(background: int) -> None:
    image = np.full((200, 300, 3), background, np.uint8)
    before = image.copy()
    result = draw(image, faces((50, 60, 150, 160)))
    np.testing.assert_array_equal(image, before)
    assert result.shape == image.shape
    assert not np.shares_memory(result, image)
    draw_status(image, "12.3 fps")
    np.testing.assert_array_equal(image, before)


def test_no_face_is_an_equal_copy() -> None:
    image = np.random.default_rng(0).integers(0, 255, (50, 60, 3), dtype=np.uint8)
    result = draw(image, Detections.empty())
    np.testing.assert_array_equal(result, image)
    assert result is not image


@pytest.mark.parametrize("name", ["with_mask", "without_mask"])
def test_each_class_has_its_own_colour(name: str) -> None:
    class_id = list(COLOURS).index(name)
    result = draw(np.zeros((200, 200, 3), np.uint8), faces((50, 50, 150, 150), class_id=class_id))
    (other,) = set(COLOURS) - {name}
    assert of_colour(result, name).sum() > 100
    assert not of_colour(result, other).any()


def test_the_shape_tells_the_classes_apart_without_colour() -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    closed, cornered = (
        draw(image, faces((50, 50, 150, 150), class_id=class_id), labels=False).any(axis=2) for class_id in (0, 1)
    )
    assert closed[100, 40:56].any()
    assert not cornered[100, 40:56].any()  # no side between the corners
    assert cornered[55, 40:56].any()


def test_a_line_never_covers_the_face() -> None:
    for size in (5, 8, 12, 40):
        image = np.full((100, 100, 3), 128, np.uint8)
        result = draw(image, faces((30, 30, 30 + size, 30 + size), class_id=1), labels=False)
        rim = 1 if size >= 20 else 0
        inner = slice(30 + rim, 30 + size - rim)
        assert (result[inner, inner] == 128).all()
        assert (result != 128).any()


def test_labels_cover_no_other_face_and_stay_inside() -> None:
    rng = np.random.default_rng(3)
    corners = rng.uniform(0, [600, 440], (60, 2))
    sides = rng.uniform(5, 40, (60, 1))
    boxes = [tuple(box) for box in np.hstack([corners, corners + sides]).tolist()]
    image = np.full((480, 640, 3), 128, np.uint8)
    plain, labelled = (draw(image, faces(*boxes), labels=labels) for labels in (False, True))
    added = (plain != labelled).any(axis=2)
    assert added.sum() > 1000  # there are labels
    inside_a_face = np.zeros_like(added)
    for left, top, right, bottom in np.array(boxes).astype(int):
        inside_a_face[top + 1 : bottom, left + 1 : right] = True
    assert not (added & inside_a_face).any()


def test_a_face_at_the_edge_keeps_its_label_inside() -> None:
    image = np.zeros((120, 200, 3), np.uint8)
    for box in ((0, 0, 40, 40), (160, 0, 200, 40), (160, 80, 200, 120), (-20, -20, 220, 140)):
        result = draw(image, faces(box))
        assert result.shape == image.shape
        ink = (draw(image, faces(box), labels=False) != result).any(axis=2)
        assert ink.sum() > 200


def test_a_persons_number_stands_in_the_label() -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    found = faces((50, 60, 150, 160))
    first, second, none = (draw(image, replace(found, track_id=np.array([number]))) for number in (1, 2, -1))
    assert not np.array_equal(first, second)
    assert np.array_equal(none, draw(image, found))


def test_a_tiny_picture_gets_boxes_and_no_label() -> None:
    image = np.full((32, 32, 3), 90, np.uint8)
    np.testing.assert_array_equal(draw(image, faces((4, 4, 14, 16))), draw(image, faces((4, 4, 14, 16)), labels=False))


def test_lines_grow_with_the_picture() -> None:
    def thickness(scale: int) -> int:
        image = np.zeros((48 * scale, 64 * scale, 3), np.uint8)
        result = draw(image, faces((20 * scale, 10 * scale, 40 * scale, 40 * scale)), labels=False)
        return int(of_colour(result[25 * scale, None, : 30 * scale], "with_mask").sum())

    assert thickness(10) < thickness(20) < thickness(40)


def test_a_status_longer_than_the_picture_is_cut() -> None:
    for size in ((5, 5), (40, 60), (480, 640)):
        image = np.full((*size, 3), 255, np.uint8)
        assert (draw_status(image, "a long line of text") != image).any()
