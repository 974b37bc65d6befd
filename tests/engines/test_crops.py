from __future__ import annotations

import cv2
import numpy as np
import pytest

from detector.engines.crops import cut
from detector.engines.letterbox import PAD_VALUE


def boxes(*xyxy: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(xyxy, np.float32).reshape(-1, 4)


def numbered(height: int, width: int) -> np.ndarray:
    """An image in which every pixel says where it is: blue its column, green its row."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0], image[..., 1] = np.arange(width)[None], np.arange(height)[:, None]
    return image


def test_a_square_box_without_margin_is_copied_pixel_by_pixel() -> None:
    image = numbered(60, 80)
    np.testing.assert_array_equal(cut(image, boxes((10, 20, 30, 40)), side=20, margin=0)[0], image[20:40, 10:30])


def test_the_margin_is_a_share_of_the_longer_side_on_every_side() -> None:
    image = numbered(100, 100)
    tall = cut(image, boxes((45, 40, 55, 60)), side=24, margin=0.1)[0]  # 20 px high: a square of 24 px
    np.testing.assert_array_equal(tall, image[38:62, 38:62])
    wide = cut(image, boxes((40, 45, 60, 55)), side=24, margin=0.1)[0]
    np.testing.assert_array_equal(wide, tall)


def test_what_lies_outside_the_image_is_grey() -> None:
    white = np.full((40, 40, 3), 255, np.uint8)
    crop = cut(white, boxes((-10, 30, 10, 50)), side=20, margin=0)[0]
    assert (crop[:10, 10:] == 255).all()
    assert (crop[10:] == PAD_VALUE).all()
    assert (crop[:, :10] == PAD_VALUE).all()


def test_a_box_beside_the_image_gives_a_grey_crop() -> None:
    white = np.full((40, 40, 3), 255, np.uint8)
    far = boxes((100, 100, 120, 120), (-50, 0, -30, 20), (0, 40, 20, 60))
    assert (cut(white, far, side=8, margin=0) == PAD_VALUE).all()


@pytest.mark.parametrize("box", [(5, 5, 5, 5), (5, 5, 5, 20), (20, 20, 5, 5), (0, 0, 0, 0), (40, 40, 40, 40)])
def test_an_empty_box_is_no_reason_to_crash(box: tuple[float, float, float, float]) -> None:
    crops = cut(numbered(40, 40), boxes(box), side=16, margin=0.1)
    assert crops.shape == (1, 16, 16, 3)


def test_no_box_gives_no_crop() -> None:
    assert cut(numbered(40, 40), boxes(), side=16, margin=0.1).shape == (0, 16, 16, 3)


def test_shrinking_averages_and_growing_interpolates() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    assert set(np.unique(cut(stripes, boxes((0, 0, 64, 64)), side=16, margin=0))) == {100}
    step = np.zeros((2, 2, 3), np.uint8)
    step[:, 1] = 200
    expected = cv2.resize(step, (8, 8), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(cut(step, boxes((0, 0, 2, 2)), side=8, margin=0)[0], expected)


def test_a_square_far_larger_than_the_image_takes_no_memory_of_its_size() -> None:
    crop = cut(numbered(40, 40), boxes((-1e6, -1e6, 1e6, 1e6)), side=16, margin=0.1)[0]
    assert (crop == PAD_VALUE).all(axis=2).sum() == 16 * 16 - 1


def test_a_face_at_the_edge_keeps_its_proportions() -> None:
    disc = np.full((200, 200, 3), PAD_VALUE, np.uint8)
    cv2.circle(disc, (30, 100), 30, (255, 255, 255), -1)
    crop = cut(disc, boxes((0, 70, 60, 130)), side=72, margin=0.1)[0]
    rows, columns = np.nonzero((crop > 200).all(axis=2))
    assert abs((rows.max() - rows.min()) - (columns.max() - columns.min())) <= 1
    assert columns.min() in (5, 6, 7)  # a tenth of the face on each side


def test_many_boxes_give_the_same_as_one_by_one_and_the_image_stays_as_it_is() -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    before = image.copy()
    faces = boxes((1.4, 2.6, 30.2, 44.9), (80, 60, 130, 100), (10, 10, 10, 10))
    together = cut(image, faces, side=32, margin=0.25)
    for index in range(len(faces)):
        np.testing.assert_array_equal(together[index], cut(image, faces[index : index + 1], side=32, margin=0.25)[0])
    np.testing.assert_array_equal(image, before)
    assert together.dtype == np.uint8
