"""Frames of files that are looked at before they are asked for, on all cores."""

from __future__ import annotations

import threading
import time
from functools import partial

import numpy as np
import pytest

from detector.detections import Detections
from detector.engines import SingleStage
from detector.engines.ahead import SHORTEST, Ahead
from detector.media.frames import AHEAD_BYTES, Frame, StillSource
from detector.media.images import Image
from detector.run import run

from .conftest import MakeNetwork

ONE_FACE = np.array([[32], [32], [16], [16], [0.9], [0.1]], np.float32)
SLOW_S = 0.1


class Slow(SingleStage):
    """As a network with fewer cores than threads."""

    calls = 0

    def __call__(self, image: Image) -> Detections:
        type(self).calls += 1
        time.sleep(SLOW_S)
        return super().__call__(image)


def pictures(count: int) -> StillSource:
    """Each of another size, so that its face is at another place."""
    makers = [(str(index), partial(np.zeros, (64 + index, 96, 3), np.uint8)) for index in range(count)]
    return StillSource("many", makers, tolerant=False)


@pytest.mark.parametrize("slow_first", [True, False])
def test_the_faster_way_is_found_out_and_the_results_stay_in_order(make_network: MakeNetwork, slow_first: bool) -> None:
    Slow.calls = 0
    network = make_network(ONE_FACE)
    first, another = (Slow, SingleStage) if slow_first else (SingleStage, Slow)
    order: list[int] = []
    with SingleStage(network) as plain, pictures(SHORTEST) as source:
        expected = [plain(frame.image).xyxy.tolist() for frame in source]
    found: list[list[list[float]]] = []

    def note(frame: Frame, detections: Detections, _: object) -> None:
        order.append(frame.index)
        found.append(detections.xyxy.tolist())

    with (
        first(network) as engine,
        Ahead(engine, partial(another, network, threads=1), 2) as ahead,
        pictures(SHORTEST) as source,
    ):
        ahead.follow(source)
        run(source, ahead, on_frame=note)
    assert order == list(range(SHORTEST))
    assert found == expected
    assert 0 < Slow.calls < SHORTEST // 4  # the trial, and what came before it


def test_an_error_comes_where_its_frame_would_have(make_network: MakeNetwork) -> None:
    makers = [(str(index), partial(np.zeros, (64, 64, 3 if index != 5 else 1), np.uint8)) for index in range(9)]
    seen: list[int] = []
    with (
        SingleStage(make_network(ONE_FACE)) as engine,
        Ahead(engine, None, 2) as ahead,
        StillSource("grey", makers, tolerant=False) as source,
    ):
        ahead.follow(source)
        with pytest.raises(ValueError, match="BGR"):
            run(source, ahead, on_frame=lambda frame, *_: seen.append(frame.index))
    assert seen == [0, 1, 2, 3, 4]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("look-ahead")]


def test_of_huge_frames_few_wait_for_however_many_cores(make_network: MakeNetwork) -> None:
    made: list[int] = []

    def make(index: int) -> Image:
        made.append(index)
        return np.zeros((AHEAD_BYTES // 3 // 8192, 8192, 3), np.uint8)  # as much as may wait

    with (
        SingleStage(make_network(ONE_FACE)) as engine,
        Ahead(engine, None, 2) as ahead,
        StillSource("huge", [(str(index), partial(make, index)) for index in range(12)], tolerant=False) as source,
    ):
        ahead.follow(source)
        for frame in source:
            ahead(frame.image)
            time.sleep(0.05)  # time to read more, if there were no limit
            assert len(made) <= frame.index + 3  # this one, one that waits, and one that has no room
    assert len(made) == 12


def test_faces_that_nobody_asks_for_are_forgotten(make_network: MakeNetwork) -> None:
    with SingleStage(make_network(ONE_FACE)) as engine, Ahead(engine, None, 2) as ahead, pictures(50) as source:
        ahead.follow(source)
        assert sum(1 for _ in source) == 50
        ahead.close()
        assert not ahead._begun
