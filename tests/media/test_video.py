from __future__ import annotations

import logging
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from detector.errors import SourceError
from detector.media.sources import open_source
from tests.media.makers import GREY_STEP, grey_index, grey_video, jpeg, quarters, turned


def test_every_frame_comes_once_at_its_own_time(tmp_path: Path) -> None:
    path = grey_video(tmp_path / "clip.mp4", fps=Fraction(30000, 1001), options={"bf": "3"})
    with open_source(path) as source:
        assert (source.fps, source.length, source.is_live) == (Fraction(30000, 1001), 20, False)
        frames = list(source)
    assert [grey_index(frame.image) for frame in frames] == list(range(20))
    assert [frame.index for frame in frames] == list(range(20))
    assert [frame.time for frame in frames] == [n * 1001 / 30000 for n in range(20)]
    assert {(frame.name, frame.image.shape, frame.image.dtype.name) for frame in frames} == {
        (str(path), (48, 64, 3), "uint8")
    }


def test_the_fixture_really_has_frames_out_of_order(tmp_path: Path) -> None:
    path = grey_video(tmp_path / "clip.mp4", options={"bf": "3", "b-adapt": "0"})
    with av.open(str(path)) as container:
        times = [packet.pts for packet in container.demux(video=0) if packet.pts is not None]
    assert times != sorted(times)


def test_a_variable_frame_rate_keeps_its_times(tmp_path: Path) -> None:
    ticks = [0, 3000, 9000, 10000, 40000]
    path = grey_video(tmp_path / "clip.mp4", count=5, ticks=ticks, options={"bf": "0"})
    with open_source(path) as source:
        assert [frame.time for frame in source] == [tick / 90000 for tick in ticks]


@pytest.mark.parametrize("container", [".mkv", ".ts", ".avi", ".mov"])
def test_other_containers_give_every_frame_too(tmp_path: Path, container: str) -> None:
    path = grey_video(tmp_path / f"clip{container}", options={"bf": "0"})
    with open_source(path) as source:
        assert source.fps == 25
        frames = list(source)
    assert [grey_index(frame.image) for frame in frames] == list(range(20))
    times = [frame.time for frame in frames if frame.time is not None]
    np.testing.assert_allclose(np.diff(times), 0.04, atol=0.0011)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_phone_video_comes_upright(tmp_path: Path, degrees: int, mirrored: bool) -> None:
    path = tmp_path / "phone.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"crf": "5"})
        if not hasattr(stream, "set_display_rotation"):
            pytest.skip("this PyAV cannot write a display matrix")
        stream.width, stream.height, stream.pix_fmt = 60, 40, "yuv420p"
        stream.set_display_rotation(degrees, hflip=mirrored)
        output.mux(stream.encode(av.VideoFrame.from_ndarray(quarters(), format="bgr24")))
        output.mux(stream.encode(None))
    with open_source(path) as source:
        (frame,) = source
    expected = np.rot90(quarters(), degrees // 90)  # counter-clockwise, as numpy turns
    expected = np.fliplr(expected) if mirrored else expected
    assert frame.image.shape == expected.shape
    assert (np.abs(frame.image.astype(int) - expected).max(axis=2) < 40).mean() > 0.8


def test_rotation_is_applied_beside_side_data_that_pyav_cannot_name(tmp_path: Path) -> None:
    path = tmp_path / "motion.mkv"
    photo = jpeg(quarters(), 6)  # FFmpeg hands its EXIF on beside the display matrix
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 60, 40, "yuvj420p"
        packet = av.Packet(photo)
        packet.stream, packet.pts, packet.dts, packet.time_base = stream, 0, 0, Fraction(1, 25)
        output.mux(packet)
    with open_source(path) as source:
        (frame,) = source
    expected = turned(quarters(), 6)
    assert frame.image.shape == expected.shape
    assert (np.abs(frame.image.astype(int) - expected).max(axis=2) < 40).mean() > 0.7


def test_a_video_whose_end_is_missing_gives_what_is_there_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = grey_video(tmp_path / "clip.mp4", count=40, container={"movflags": "faststart"}, options={"g": "5"})
    data = path.read_bytes()
    start = data.index(b"mdat")
    path.write_bytes(data[: start + (len(data) - start) * 9 // 10])
    with caplog.at_level(logging.WARNING), open_source(path) as source:
        frames = list(source)
    assert [grey_index(frame.image) for frame in frames] == list(range(len(frames)))
    assert 0 < len(frames) < 40
    assert any("clip.mp4: cut short" in message for message in caplog.messages)


def test_damaged_packets_are_passed_over_counted_and_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = grey_video(tmp_path / "clip.mp4", count=30, options={"g": "3", "bf": "0"})
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for position, size in packets[9:12]:
        data[position + 4 : position + size] = np.random.default_rng(0).bytes(size - 4)
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING), open_source(path) as source:
        seen = {grey_index(frame.image) for frame in source}
    assert {*range(9), *range(12, 30)} <= seen
    assert source.damaged >= 1  # type: ignore[attr-defined]
    assert any("damaged packets were passed over" in message for message in caplog.messages)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("clip.mp4", b"not a video at all", "not a video, or one that is cut short"),
        ("clip.mp4", b"", "not a video, or one that is cut short"),
        ("notes.txt", b"hello\n" * 100, "there is no video in it"),
    ],
)
def test_what_is_no_video_is_refused_by_name(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SourceError, match=f"{name}: {message}"):
        open_source(tmp_path / name)


def test_a_video_without_its_index_is_refused_by_name(tmp_path: Path) -> None:
    path = grey_video(tmp_path / "clip.mp4")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(SourceError, match=r"clip\.mp4: not a video, or one that is cut short: copy it again"):
        open_source(path)


def test_sound_alone_is_refused_by_name(tmp_path: Path) -> None:
    samples = struct.pack("<8000h", *[0] * 8000)
    header = b"RIFF" + struct.pack("<I", 36 + len(samples)) + b"WAVEfmt "
    header += struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16) + b"data" + struct.pack("<I", len(samples))
    (tmp_path / "sound.wav").write_bytes(header + samples)
    with pytest.raises(SourceError, match=r"sound\.wav: there is no video in it"):
        open_source(tmp_path / "sound.wav")


def test_a_video_without_a_single_frame_is_refused_by_name(tmp_path: Path) -> None:
    path = grey_video(tmp_path / "clip.mp4", container={"movflags": "faststart"})
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"mdat") + 4])
    with (
        open_source(path) as source,
        pytest.raises(SourceError, match=r"clip\.mp4: not one picture of it can be decoded"),
    ):
        list(source)


def test_a_name_with_a_colon_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    grey_video(tmp_path / "clip.mp4", count=2).rename("http:clip.mp4")
    with open_source("http:clip.mp4") as source:
        assert len(list(source)) == 2


def test_a_video_can_be_left_in_the_middle(tmp_path: Path) -> None:
    path = grey_video(tmp_path / "clip.mp4", count=40)
    with open_source(path) as source:
        frames = iter(source)
        assert grey_index(next(frames).image) == 0
    assert list(frames) == []
    path.unlink()


def test_greys_of_the_fixture_can_be_told_apart() -> None:
    assert GREY_STEP * 40 < 256
