from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from detector import run as run_module
from detector.boxes import overlap
from detector.engines import load_engine
from detector.media import images
from detector.media.video import VideoSource

SAMPLE = Path(__file__).resolve().parents[1] / "data" / "images"


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real face that moves, covered in three frames, with tags that say who it is."""
    path = tmp_path_factory.mktemp("video") / "door.mp4"
    picture = cv2.resize(images.read(SAMPLE / "collins_bare.jpg"), (320, 240))
    with av.open(path, "w") as container:
        container.metadata.update(title="Eileen Collins", location="+29.5592-095.0900/")
        stream = container.add_stream("libx264", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for index in range(24):
            shifted = np.roll(picture, index, axis=1)
            if index in {9, 10, 11}:
                shifted = np.full_like(picture, 90)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(shifted, "bgr24")))
        container.mux(stream.encode(None))
    return path


def test_no_face_is_left_in_a_blurred_video_and_nothing_of_its_tags(tmp_path: Path, video: Path) -> None:
    plain, blurred = tmp_path / "plain", tmp_path / "blurred"
    for folder, flags in ((plain, []), (blurred, ["--blur"])):
        table = folder.with_suffix(".csv")
        assert run_module.main([str(video), "--save", str(folder), "--csv", str(table), "--imgsz", "320", *flags]) == 0
    assert plain.with_suffix(".csv").read_bytes() == blurred.with_suffix(".csv").read_bytes()
    with load_engine() as engine, VideoSource(f"file:{blurred / 'door.mp4'}", "door") as source:
        frames = list(source)
        assert len(frames) == 24
        assert [frame.index for frame in frames if len(engine(frame.image))] == []
    with av.open(blurred / "door.mp4") as container:
        assert not {"title", "location", "location-eng"} & set(container.metadata)


def test_a_blurred_photograph_has_no_face_no_tags_and_no_original_bytes(tmp_path: Path) -> None:
    source = SAMPLE / "hopper_sideways_exif.jpg"
    assert b"Exif" in source.read_bytes()
    assert run_module.main([str(source), "--save", str(tmp_path), "--blur"]) == 0
    saved = tmp_path / source.name
    assert b"Exif" not in saved.read_bytes()
    with load_engine() as engine:
        truth = engine(images.read(source)).xyxy
        assert len(truth)
        assert overlap(truth, engine(images.read(saved)).xyxy).max(initial=0) == 0
