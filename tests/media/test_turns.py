from __future__ import annotations

import logging
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from detector.detections import Detections
from detector.errors import SourceError
from detector.media.frames import Change
from detector.media.sinks import Sink
from detector.media.sources import open_source
from detector.media.turns import in_turns
from detector.run import Channel, run_channels
from tests.media.makers import Camera, grey_index, grey_video, serving


def test_live_sources_share_a_slow_worker_fairly_and_each_hands_out_its_newest_picture() -> None:
    cameras = [Camera([(400, "silent")], interval_s=0.02) for _ in range(3)]
    with ExitStack() as stack:
        urls = [stack.enter_context(serving(camera.play, camera.over)) for camera in cameras]
        sources = [stack.enter_context(open_source(url, timeout_s=5)) for url in urls]
        seen: Counter[int] = Counter()
        for turn in in_turns(sources):
            if turn is not None:
                index, frame = turn
                seen[index] += 1
                behind = (len(cameras[index].sent) - 1 - grey_index(frame.image)) % 40
                assert behind <= 5 or seen[index] <= 2  # the first come from what was sent while it was probed
                time.sleep(0.04)
                if seen.total() == 30:
                    break
    assert set(seen.values()) == {10}


def test_a_source_that_has_nothing_keeps_nobody_waiting(tmp_path: Path) -> None:
    camera = Camera([(5, "silent")])
    with (
        serving(camera.play, camera.over) as url,
        open_source(url, timeout_s=5) as silent,
        open_source(grey_video(tmp_path / "clip.mp4")) as clip,
    ):
        turns = in_turns([silent, clip])
        seen = 0
        while seen < 20:
            turn = next(turns)
            seen += turn is not None and turn[0] == 1
        assert next(turn for turn in turns if turn is None or turn[0] == 1) is None  # idle, said a few times a second
        assert silent.losses == 0  # type: ignore[attr-defined] # who waits for it finds it lost after five seconds of silence


def test_one_of_several_that_breaks_off_is_left_out_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    camera = Camera([(5, "hang up")])
    with (
        serving(camera.play, camera.over) as url,
        open_source(url, timeout_s=2, reconnect_limit_s=0.2) as camera_source,
        open_source(grey_video(tmp_path / "clip.mp4")) as clip,
        caplog.at_level(logging.ERROR),
    ):
        frames = [turn for turn in in_turns([camera_source, clip]) if turn is not None]
        assert [index for index, _ in frames].count(1) == 20
        assert "not back within 0.2 s" in str(camera_source.failures[0])
        with pytest.raises(SourceError, match="not back"):
            list(in_turns([camera_source]))
    assert "not back within 0.2 s" in caplog.text


def test_sinks_are_told_that_a_source_was_lost_and_is_back_before_its_next_frame() -> None:
    class Diary(Sink):
        def __init__(self) -> None:
            self.lines: list[str] = []

        def write(self, *_: object) -> None:
            self.lines.append("frame")

        def source_changed(self, source: str, change: Change) -> None:
            assert abs(change.time - time.time()) < 5
            self.lines.append(f"{source} {change.what}")

        def close(self) -> None:
            pass

    camera, diary = Camera([(8, "hang up"), (8, "silent")]), Diary()
    with serving(camera.play, camera.over) as url, open_source(url, timeout_s=5) as source:
        channel = Channel(source, lambda _: Detections.empty(), [diary])
        with pytest.raises(StopIteration):
            run_channels([channel], lambda *_: _stop_after_the_return(diary.lines))
        assert [line for line in diary.lines if line != "frame"] == [f"{url} lost", f"{url} back"]
        assert diary.lines[-2:] == [f"{url} back", "frame"]
        assert source.losses == 1


def _stop_after_the_return(lines: list[str]) -> None:
    if any(line.endswith("back") for line in lines):
        raise StopIteration
