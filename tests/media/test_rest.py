from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from detector.media.frames import Frame
from detector.media.rest import AWAKE_S, FIRST, LOOK_S, Rest

SIZE = (320, 180)
FPS = 25
WALL = cv2.GaussianBlur(np.random.default_rng(1).integers(60, 200, (*SIZE[::-1], 3)).astype(np.float32), (0, 0), 12)


def camera(count: int, *, noise: float = 3.0, light: float = 0.0, start: int = 0) -> Iterator[Frame]:
    """An empty room, a camera's noise, and light that changes by so many levels a frame."""
    rng = np.random.default_rng(start)
    for index in range(start, start + count):
        image = WALL + rng.normal(0, noise, WALL.shape) + light * index
        yield Frame(np.clip(image, 0, 255).astype(np.uint8), index, index / FPS, "door")


def with_visitor(frame: Frame, left: int, *, side: int = 14, contrast: float = 25.0) -> Frame:
    image = frame.image.astype(np.float32)
    image[100 : 100 + side, max(left, 0) : max(left + side, 0)] += contrast
    return Frame(np.clip(image, 0, 255).astype(np.uint8), frame.index, frame.time, frame.name)


def looks(rest: Rest, frames: Iterator[Frame], *, anybody: bool = False) -> list[int]:
    """The frames at which the network is asked, which finds somebody or nobody in each."""
    asked = []
    for frame in frames:
        if rest.needs_look(frame):
            asked.append(frame.index)
            rest.looked(frame, anybody=anybody)
    return asked


@pytest.mark.parametrize("noise", [0.0, 3.0, 8.0])
@pytest.mark.parametrize("light", [0.0, 0.1])
def test_an_empty_room_is_looked_at_once_in_a_while(noise: float, light: float) -> None:
    every = round(LOOK_S * FPS)
    asked = looks(Rest(), camera(FIRST + every + 9, noise=noise, light=light))
    assert [index for index in asked if index >= FIRST] == [FIRST - 1 + every]


@pytest.mark.parametrize("pace", [0.2, 2.0, 20.0])
def test_who_comes_however_slowly_is_looked_at_before_half_of_them_is_there(pace: float) -> None:
    rest = Rest()
    looks(rest, camera(40))
    for step, frame in enumerate(camera(100, start=40)):
        visible = int(pace * step)
        if visible and rest.needs_look(with_visitor(frame, visible - 14)):
            break
        assert visible <= 7


def test_who_is_there_is_looked_at_in_every_frame_and_for_a_while_after() -> None:
    rest = Rest()
    looks(rest, camera(30))
    here = [with_visitor(frame, 100) for frame in camera(60, start=30)]
    assert looks(rest, iter(here), anybody=True) == list(range(30, 90))
    assert looks(rest, camera(60, start=90))[: round(AWAKE_S * FPS)] == list(range(90, 90 + round(AWAKE_S * FPS)))


def test_a_chair_that_was_moved_keeps_nobody_awake() -> None:
    rest = Rest()
    looks(rest, camera(30))
    moved = [with_visitor(frame, 100, side=60) for frame in camera(100, start=30)]
    assert len(looks(rest, iter(moved))) <= 2 * AWAKE_S * FPS


def test_still_images_another_size_and_a_clock_set_back_are_always_looked_at() -> None:
    rest = Rest()
    assert len(looks(rest, camera(30))) == FIRST
    (now,) = camera(1, start=30)
    for frame in (
        Frame(now.image, 30, None, "photo"),
        Frame(now.image, 30, -50.0, "door"),
        Frame(now.image[:100], 30, now.time, "door"),
    ):
        assert rest.needs_look(frame)
