"""The sound of a saved video: copied as it stands, or said to be missing."""

from __future__ import annotations

import io
import logging
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from detector.detections import Detections
from detector.media import images
from detector.media.encode import VideoSink
from detector.media.sources import open_source
from detector.media.video import VideoSource
from tests.media.makers import grey

NO_FACE = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
RATE = 48_000


def loud_video(path: Path, codec: str, *, late_s: int = 0) -> Path:
    """Two seconds, silent at first; a tone begins after one second. All times are later by ``late_s``."""
    with av.open(str(path), "w") as output:
        pictures = output.add_stream("libx264", rate=25, options={"bf": "0"})
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        sound = output.add_stream(codec, rate=RATE, layout="mono")
        assert isinstance(sound, av.AudioStream)
        for index in range(50):
            frame = av.VideoFrame.from_ndarray(grey(index % 40), format="bgr24")
            frame.pts, frame.time_base = index + 25 * late_s, Fraction(1, 25)
            output.mux(pictures.encode(frame))
        output.mux(pictures.encode(None))
        resampler = av.AudioResampler(format=sound.codec_context.format, layout="mono", rate=RATE)
        tone = (10_000 * np.sin(np.arange(2 * RATE) / 20)).astype(np.int16)
        tone[:RATE] = 0
        for start in range(0, 2 * RATE, 960):
            piece = av.AudioFrame.from_ndarray(tone[None, start : start + 960], format="s16", layout="mono")
            piece.sample_rate, piece.pts, piece.time_base = RATE, start + RATE * late_s, Fraction(1, RATE)
            for ready in resampler.resample(piece):
                output.mux(sound.encode(ready))
        output.mux(sound.encode(None))
    return path


def saved(source_path: Path, target: Path) -> Path:
    with open_source(source_path) as source:
        assert isinstance(source, VideoSource)
        with VideoSink(target, source.fps, sound=source.sound) as sink:
            for frame in source:
                sink.write(frame, NO_FACE)
    return target


@pytest.mark.parametrize("late_s", [0, 100])
@pytest.mark.parametrize("target", ["out.mp4", "out.mkv"])
@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "aac"), ("b.mkv", "libopus"), ("c.mkv", "libmp3lame")])
def test_sound_is_copied_and_heard_at_its_time(tmp_path: Path, name: str, codec: str, target: str, late_s: int) -> None:
    path = saved(loud_video(tmp_path / name, codec, late_s=late_s), tmp_path / target)
    with av.open(str(path)) as output:
        frames = [(frame.time or 0.0, frame.to_ndarray().astype(float)) for frame in output.decode(audio=0)]
    scale = max(float(np.abs(samples).max()) for _, samples in frames)
    first = next(time for time, samples in frames if np.abs(samples).max() > 0.2 * scale)
    assert first == pytest.approx(1.0, abs=0.06)
    assert frames[-1][0] == pytest.approx(2.0, abs=0.06)
    with av.open(str(path)) as output:
        assert len(list(output.decode(video=0))) == 50


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "pcm_s16le"), ("b.ts", "aac"), ("c.mkv", "ac3")])
def test_sound_that_cannot_be_copied_is_said_to_be_missing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, codec: str
) -> None:
    path = saved(loud_video(tmp_path / name, codec), tmp_path / "out.mp4")
    assert "the saved video is silent" in caplog.text
    with av.open(str(path)) as output:
        assert len(list(output.decode(video=0))) == 50
        assert not output.streams.audio


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_the_note_says_that_only_the_first_picture_of_an_animation_is_read(
    caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    data = io.BytesIO()
    more = [Image.new("RGB", (60, 40), "white")]
    Image.new("RGB", (60, 40), "red").save(data, kind, save_all=True, append_images=more)
    with caplog.at_level(logging.INFO):
        images.decode(data.getvalue(), "a")
    assert "a: an animation, of which only the first picture is read" in caplog.text
