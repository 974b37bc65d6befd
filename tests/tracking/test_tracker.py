from __future__ import annotations

import itertools

import numpy as np
import pytest

from detector.detections import CLASSES, Detections
from detector.tracking import Event, Tracker

MASK, BARE = (CLASSES.index(name) for name in ("with_mask", "without_mask"))


def faces(*rows: tuple[float, float, int, float]) -> Detections:
    """Faces of 60 pixels at (left, top), each with a class and a confidence."""
    xyxy = np.array([[x, y, x + 60, y + 60] for x, y, _, _ in rows], np.float32).reshape(-1, 4)
    return Detections(xyxy, np.array([row[3] for row in rows]), np.array([row[2] for row in rows], np.int64))


def test_each_person_keeps_a_number_while_both_walk_and_one_is_hidden() -> None:
    tracker = Tracker()
    numbers = set()
    for index in range(90):
        walking, standing = (10 + 3 * index, 20, MASK, 0.9), (40, 300, BARE, 0.9)
        shown = [standing] if 40 <= index < 60 else [standing, walking]
        found = tracker.update(faces(*shown), index / 30)
        assert np.array_equal(found.xyxy, faces(*shown).xyxy)
        if index > 20:
            assert (found.track_id > 0).all()
            numbers.update(zip(found.track_id.tolist(), found.names, strict=True))
    assert numbers == {(1, "without_mask"), (2, "with_mask")} or numbers == {(2, "without_mask"), (1, "with_mask")}
    assert [person.number for person in tracker.people] == [1, 2]
    assert tracker.counts == {"with_mask": 1, "without_mask": 1}


def test_a_face_that_flickers_keeps_its_verdict_and_one_that_takes_its_mask_off_changes_once() -> None:
    tracker = Tracker()
    words = []
    for index in range(360):
        is_bare = (index % 9 == 0) if index < 120 else (index % 30 != 0)
        found = tracker.update(faces((50, 50, BARE if is_bare else MASK, 0.8)), index / 30)
        if found.track_id[0] > 0:
            words.append(found.names[0])
    changes = [after for before, after in itertools.pairwise(words) if before != after]
    assert (words[0], changes) == ("with_mask", ["without_mask"])


def test_who_is_hidden_is_expected_on_their_way_and_then_has_left() -> None:
    events: list[Event] = []
    tracker = Tracker(events.append)
    for index in range(30):
        tracker.update(faces((10 + 4 * index, 20, MASK, 0.9)), index / 30)
    assert len(tracker.coasting) == 0
    for index in range(30, 36):
        tracker.update(Detections.empty(), index / 30)
    assert tracker.coasting.names == ["with_mask"]
    assert tracker.coasting.track_id.tolist() == [1]
    assert tracker.coasting.xyxy[0] == pytest.approx([150, 20, 210, 80], abs=8)
    tracker.update(Detections.empty(), 60.0)
    assert (len(tracker.coasting), tracker.people) == (0, [])
    assert [(event.what, event.number, event.verdict) for event in events] == [
        ("appears", 1, "with_mask"),
        ("leaves", 1, "with_mask"),
    ]
    assert events[-1].box == (126, 20, 186, 80)
    assert (events[-1].time, events[-1].seen_s) == (60.0, pytest.approx(1, abs=0.1))


def test_people_are_counted_by_their_latest_verdict_and_forgotten_when_they_have_left() -> None:
    tracker = Tracker()
    for hour in range(10):
        for index in range(30 if hour else 220):
            word = BARE if index > 60 else MASK
            tracker.update(faces((50, 50, word, 0.9)), 3600 * hour + index / 30)
    assert tracker.counts == {"with_mask": 9, "without_mask": 1}
    assert [person.number for person in tracker.people] == [10]
    tracker.finish()
    assert (tracker.people, sum(tracker.counts.values())) == ([], 10)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "times", [[1e9 + i / 30 - (3600 if i > 15 else 0) for i in range(30)], [None] * 30, [5.0] * 30]
)
def test_a_clock_that_is_set_back_stands_still_or_is_missing_loses_nobody(times: list[float | None]) -> None:
    tracker = Tracker()
    for time_s in times:
        found = tracker.update(faces((50, 50, MASK, 0.9)), time_s)
    assert found.track_id.tolist() == [1]
    assert tracker.people[0].seen_s == pytest.approx(1, abs=0.2)


def test_after_a_clock_is_set_forward_whoever_is_there_is_somebody_else() -> None:
    tracker = Tracker()
    for index in range(60):
        tracker.update(faces((50, 50, MASK, 0.9)), index / 30 + (3600 if index >= 30 else 0))
    assert [person.number for person in tracker.people] == [2]
