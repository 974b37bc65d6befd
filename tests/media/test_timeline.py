"""Videos whose times start anew, leap, or begin somewhere, and whose pixels are not square."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from detector.detections import Detections
from detector.media.encode import VideoSink
from detector.media.frames import Frame
from detector.media.sources import open_source
from detector.media.timeline import Timeline
from tests.media.makers import grey, grey_index, grey_video

NO_FACE = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
BEAT = 3600  # ticks of grey_video() at 25 frames per second


def joined(path: Path, *starts: int) -> Path:
    """Recordings of ten frames, one behind the other in one file, each with times of its own."""
    data = b""
    for start in starts:
        ticks = [start + BEAT * n for n in range(10)]
        data += grey_video(path.with_name("part.ts"), 10, ticks=ticks, options={"bf": "0"}).read_bytes()
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("starts", [(0, 0), (90_000 * 5000, 0, 90_000 * 100), (0, 90_000 * 1000)])
def test_joined_recordings_play_one_after_the_other(tmp_path: Path, starts: tuple[int, ...]) -> None:
    with open_source(joined(tmp_path / "joined.ts", *starts)) as source, VideoSink(tmp_path / "out.mp4") as sink:
        frames = list(source)
        for frame in frames:
            sink.write(frame, NO_FACE)
    assert [grey_index(frame.image) for frame in frames] == list(range(10)) * len(starts)
    np.testing.assert_allclose([frame.time or 0.0 for frame in frames], 0.04 * np.arange(10 * len(starts)), atol=1e-6)
    with av.open(str(tmp_path / "out.mp4")) as saved:
        assert saved.duration == pytest.approx(400_000 * len(starts), abs=1000)


def test_a_clock_that_is_set_back_or_forward_leaves_the_saved_video_its_length(tmp_path: Path) -> None:
    clock = [1000.0, 1000.1, 1000.2, 400.0, 400.1, 1.7e9, 1.7e9 + 0.1]
    with VideoSink(tmp_path / "out.mp4", Fraction(10)) as sink:
        for index, time in enumerate(clock):
            sink.write(Frame(grey(index), index, time, "camera"), NO_FACE)
    with av.open(str(tmp_path / "out.mp4")) as saved:
        assert [frame.time for frame in saved.decode(video=0)] == pytest.approx([n / 10 for n in range(7)])


@pytest.mark.parametrize("name", ["late.mp4", "late.mkv", "late.ts"])
def test_a_video_whose_time_begins_anywhere_is_the_same_as_one_from_0(tmp_path: Path, name: str) -> None:
    path = grey_video(tmp_path / name, 5, ticks=[90_000 * 3000 + BEAT * n for n in range(5)])
    with open_source(path) as source:
        assert [frame.time for frame in source] == pytest.approx([0.04 * n for n in range(5)], abs=0.001)


def test_a_pause_is_kept_and_two_frames_in_the_wrong_order_are_no_restart() -> None:
    times = Timeline(0.1)
    placed = [times.place(time) for time in (5.0, 5.1, 5.05, 5.2, None, 65.0)]
    assert placed == sorted(set(placed))
    assert placed[3:] == pytest.approx([0.2, 0.35, 60.0])
    assert times.breaks == 0


@pytest.mark.parametrize(
    ("ratio", "size", "name", "codec"),
    [
        (Fraction(64, 45), (1024, 576), "pal.mp4", "libx264"),
        (Fraction(64, 45), (1024, 576), "pal.mkv", "libx264"),
        (Fraction(64, 45), (1024, 576), "pal.ts", "libx264"),
        (Fraction(64, 45), (1024, 576), "pal.mpg", "mpeg2video"),
        (Fraction(64, 45), (1024, 576), "pal.avi", "mpeg4"),
        (Fraction(8, 9), (720, 648), "narrow.mp4", "libx264"),
        (Fraction(200, 1), (720, 576), "mistake.mkv", "libx264"),
    ],
)
def test_pixels_become_square(tmp_path: Path, ratio: Fraction, size: tuple[int, int], name: str, codec: str) -> None:
    with av.open(str(tmp_path / name), "w") as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 720, 576, "yuv420p"
        stream.codec_context.sample_aspect_ratio = ratio
        output.mux(stream.encode(av.VideoFrame.from_ndarray(grey(20, 720, 576), format="bgr24")))
        output.mux(stream.encode(None))
    with open_source(tmp_path / name) as source:
        assert {frame.image.shape[1::-1] for frame in source} == {size}
