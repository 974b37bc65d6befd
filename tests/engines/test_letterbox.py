from __future__ import annotations

import cv2
import numpy as np
import pytest

from detector.engines.letterbox import PAD_VALUE, InputBuffer, Letterbox

SHAPES = [(720, 1280), (1280, 720), (640, 640), (100, 100), (3, 1000), (1, 1), (333, 500), (4000, 3000), (641, 427)]


def test_a_wide_frame_takes_the_smallest_rectangle_of_whole_strides() -> None:
    assert Letterbox.fit((720, 1280), 640, 32).target_shape == (384, 640)
    assert Letterbox.fit((1280, 720), 640, 32).target_shape == (640, 384)
    assert Letterbox.fit((500, 500), 640, 32).target_shape == (640, 640)


def test_a_fixed_input_is_filled_whatever_the_image_is() -> None:
    box = Letterbox.fill((720, 1280), (640, 640))
    assert (box.target_shape, box.resized_shape, box.top, box.left) == ((640, 640), (360, 640), 140, 0)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_box_comes_back_to_where_it_was(shape: tuple[int, int]) -> None:
    geometry = Letterbox.fit(shape, 640, 32)
    height, width = shape
    box = np.array([[0, 0, width, height], [width * 0.25, height * 0.5, width * 0.5, height * 0.75]], np.float32)
    scale = [geometry.resized_shape[1] / width, geometry.resized_shape[0] / height] * 2
    inside = (box * scale + [geometry.left, geometry.top] * 2).astype(np.float32)
    np.testing.assert_allclose(geometry.restore(inside), box, atol=max(shape) * 1e-6)


def test_a_box_that_reaches_into_the_padding_is_clipped_to_the_image() -> None:
    geometry = Letterbox.fit((720, 1280), 640, 32)
    assert geometry.restore(np.array([[-50, -50, 900, 900]], np.float32)).tolist() == [[0, 0, 1280, 720]]


def test_the_input_is_rgb_in_0_to_1_with_grey_padding() -> None:
    image = np.full((32, 64, 3), (255, 51, 0), np.uint8)  # BGR
    geometry = Letterbox.fill((32, 64), (64, 64))
    buffer = InputBuffer(geometry)
    buffer.write(image)
    tensor = buffer.tensor
    np.testing.assert_allclose(tensor[:, 32, 32], [0, 0.2, 1], atol=1e-6)
    np.testing.assert_allclose(tensor[:, 0, 0], PAD_VALUE / 255, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_input_equals_ultralytics_own(shape: tuple[int, int]) -> None:
    augment = pytest.importorskip("ultralytics.data.augment", reason="needs the train extra")
    image = cv2.resize(np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8), shape[::-1])
    theirs = augment.LetterBox((640, 640), auto=True, stride=32)(image=image)
    geometry = Letterbox.fit(shape, 640, 32)
    buffer = InputBuffer(geometry)
    for content in (np.zeros_like(image), image):  # nothing stays from the frame before
        buffer.write(np.asarray(content, np.uint8))
    tensor = buffer.tensor
    np.testing.assert_allclose(tensor, theirs[:, :, ::-1].transpose(2, 0, 1) / np.float32(255), atol=1e-6)
