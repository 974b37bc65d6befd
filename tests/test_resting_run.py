from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from detector import run as run_module
from detector.media import images

SAMPLE = Path(__file__).resolve().parents[1] / "data" / "images"


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A room that is empty for 40 frames, then has somebody in it for 12."""
    path = tmp_path_factory.mktemp("video") / "door.mp4"
    room = cv2.resize(images.read(SAMPLE / "no_face_coffee.jpg"), (320, 240))
    face = cv2.resize(images.read(SAMPLE / "collins_bare.jpg"), (320, 240))
    rng = np.random.default_rng(0)
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for index in range(52):
            picture = np.clip((room if index < 40 else face) + rng.normal(0, 3, room.shape), 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "bgr24")))
        container.mux(stream.encode(None))
    return path


def test_the_network_rests_in_an_empty_room_and_finds_the_same(
    tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = {}
    for flag in ("--rest", "--no-rest"):
        path = tmp_path / f"faces{flag}.csv"
        assert run_module.main([str(video), "--csv", str(path), "--imgsz", "320", flag]) == 0
        tables[flag] = path.read_text()
        said = capsys.readouterr().out
        assert ("at rest in 30 frames" in said) == (flag == "--rest")
        assert "52 frames" in said
    assert tables["--rest"] == tables["--no-rest"]
    assert len(tables["--rest"].splitlines()) > 10
