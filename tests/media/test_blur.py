from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detector.boxes import overlap
from detector.detections import Detections
from detector.engines import load_engine
from detector.media import images
from detector.media.blur import BlurSink, pixelate
from detector.media.frames import Frame
from detector.media.sinks import Sink
from detector.media.trails import Trails

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "images"


class Shown(Sink):
    """Keeps what it gets: a window without a screen."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    def write(self, frame: Frame, _: Detections) -> None:
        self.frames.append(frame)

    def close(self) -> None:
        """Nothing to close."""


def face(left: float, top: float = 40, size: float = 20) -> Detections:
    box = np.array([[left, top, left + size, top + size]], np.float32)
    return Detections(box, np.ones(1, np.float32), np.zeros(1, np.int64))


def texture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (120, 400, 3), np.uint8)


def test_nothing_of_a_face_is_left_but_a_few_pale_colours_and_nothing_else_changes() -> None:
    image = texture()
    before = image.copy()
    result = pixelate(image, face(100).xyxy)
    np.testing.assert_array_equal(image, before)
    changed = (result != image).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert (columns[0], columns[-1] + 1, rows[0], rows[-1] + 1) == (92, 128, 32, 68)
    assert len(np.unique(result[32:68, 92:128].reshape(-1, 3), axis=0)) <= 16


@pytest.mark.parametrize("box", [(-50, -50, -10, -10), (390, 110, 500, 300), (5, 5, 5, 5), (-1e6, -1e6, 1e6, 1e6)])
def test_a_box_anywhere_is_hidden_as_far_as_it_is_in_the_picture(box: tuple[float, ...]) -> None:
    assert pixelate(texture(), np.array([box], np.float32)).shape == (120, 400, 3)


def test_the_network_finds_no_face_under_the_squares() -> None:
    with load_engine() as engine:
        for path in sorted(SAMPLE.glob("*_mask*.jpg"))[::2]:
            image = images.read(path)
            found = engine(image)
            again = engine(pixelate(image, found.xyxy))
            assert overlap(found.xyxy, again.xyxy).max(initial=0) < 0.3, path.name


def shown(sights: list[Detections], *, live: bool, weak: dict[int, Detections] | None = None) -> list[Frame]:
    """The frames of a video of 25 frames a second, as a sink behind the blur gets them."""
    sink = Shown()
    with BlurSink([] if live else [sink], [sink] if live else []) as blur:
        for index, found in enumerate(sights):
            frame = Frame(texture(), index, index / 25, "door")
            blur.note(frame, (weak or {}).get(index, Detections.empty()).xyxy)
            blur.write(frame, found)
            assert not live or len(sink.frames) == index + 1
    return sink.frames


def is_hidden(frame: Frame, left: int) -> bool:
    return bool((frame.image[42:58, left + 2 : left + 18] != texture()[42:58, left + 2 : left + 18]).any(axis=2).all())


def test_a_face_is_hidden_before_its_first_sight_between_two_and_after_the_last() -> None:
    nobody = Detections.empty()
    sights = [face(100 + 3 * i) if i in {10, 11, 12, 20, 21} else nobody for i in range(30)]
    frames = shown(sights, live=False)
    assert [frame.index for frame in frames] == list(range(30))
    assert [i for i in range(30) if not is_hidden(frames[i], 100 + 3 * i)] == []
    assert (frames[0].image[:, 300:] == texture()[:, 300:]).all()


def test_a_live_face_is_hidden_from_its_first_sight_on_and_where_it_is_missed() -> None:
    sights = [face(100 + 3 * i) if 5 <= i < 12 else Detections.empty() for i in range(20)]
    frames = shown(sights, live=True)
    assert [i for i in range(20) if not is_hidden(frames[i], 100 + 3 * i)] == [0, 1, 2, 3, 4]


def test_what_may_be_a_face_is_hidden_without_being_shown_as_one() -> None:
    frames = shown([Detections.empty()] * 3, live=False, weak={1: face(200)})
    assert [is_hidden(frame, 200) for frame in frames] == [False, True, False]


def test_a_frame_that_nobody_looked_at_is_not_handed_on() -> None:
    sink = Shown()
    with pytest.raises(KeyError), BlurSink([sink], [sink]) as blur:
        blur.write(Frame(texture(), 0, 0.0, "door"), face(100))
    assert sink.frames == []


def test_a_clock_that_is_set_back_holds_no_frame_for_ever() -> None:
    sink = Shown()
    with BlurSink([sink]) as blur:
        for index, time in enumerate([100.0, 100.04, 3.0, 3.04]):
            frame = Frame(texture(), index, time, "door")
            blur.note(frame)
            blur.write(frame, face(100))
        assert [frame.index for frame in sink.frames] == [0, 1]
    assert [is_hidden(frame, 100) for frame in sink.frames] == [True] * 4


def test_what_is_remembered_does_not_grow() -> None:
    trails = Trails()
    for index in range(2000):
        trails.add(index / 25, face(100 + index % 7).xyxy, sure=1)
        trails.forget(index / 25)
    assert sum(len(trail.times) for trail in trails._trails) < 20
