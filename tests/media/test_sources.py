from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Generator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from detector.errors import SourceError
from detector.media import images
from detector.media.frames import Frame, ReadAhead
from detector.media.sources import open_source
from tests.media.makers import encoded, grey, grey_index, grey_video, jpeg, quarters


def frames_of(spec: str | Path | int) -> list[Frame]:
    with open_source(spec) as source:
        return list(source)


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Three images, a hidden one, a text, and one more in a folder below."""
    folder = tmp_path / "album"
    (folder / "below").mkdir(parents=True)
    for index, name in enumerate(("a.png", "b.PNG", "c.bmp", ".hidden.png", "below/d.png")):
        images.write(folder / name, grey(index))
    (folder / "notes.txt").write_text("text")
    return folder


def test_an_image_file_is_one_frame_without_a_time(tmp_path: Path) -> None:
    path = tmp_path / "Straße.png"
    images.write(path, quarters())
    with open_source(path) as source:
        assert (source.is_live, source.fps, source.length, source.name) == (False, None, 1, str(path))
        (frame,) = source
    np.testing.assert_array_equal(frame.image, quarters())
    assert (frame.index, frame.time, frame.name) == (0, None, str(path))


def test_an_image_without_a_suffix_is_an_image(tmp_path: Path) -> None:
    (tmp_path / "photo").write_bytes(jpeg(quarters()))
    assert frames_of(tmp_path / "photo")[0].time is None


def test_a_folder_gives_its_images_in_order(album: Path) -> None:
    frames = frames_of(album)
    assert [(Path(frame.name).name, frame.index, grey_index(frame.image)) for frame in frames] == [
        ("a.png", 0, 0),
        ("b.PNG", 1, 1),
        ("c.bmp", 2, 2),
    ]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [("*.png", [0]), ("**/*.png", [0, 4]), ("?.*", [0, 1, 2]), ("[bc].*", [1, 2]), ("*", [0, 1, 2])],
)
def test_a_pattern_gives_the_images_that_match(album: Path, pattern: str, found: list[int]) -> None:
    assert [grey_index(frame.image) for frame in frames_of(f"{album}/{pattern}")] == found


def test_a_home_folder_may_be_written_as_a_tilde(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(album.parent))
    monkeypatch.setenv("USERPROFILE", str(album.parent))
    assert len(frames_of("~/album")) == len(frames_of("~/album/?.*")) == 3


def test_a_bad_file_in_a_folder_is_reported_and_the_rest_goes_on(album: Path, caplog: pytest.LogCaptureFixture) -> None:
    (album / "b.PNG").write_bytes((album / "b.PNG").read_bytes()[:50])
    (album / "iphone.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(50))
    (album / "lens.avif").write_bytes(b"\0\0\0\x18ftypavif" + bytes(50))
    (album / "raw.NEF").write_bytes(encoded(".tiff", quarters()))
    with caplog.at_level(logging.WARNING), open_source(album) as source:
        frames = list(source)
    assert [(grey_index(frame.image), frame.index) for frame in frames] == [(0, 0), (2, 1)]
    assert [str(failure) for failure in source.failures] == caplog.messages[1:]
    assert caplog.messages[0].startswith(f"{album}: 1 image in subfolders was not looked at, such as below/d.png: ")
    assert "b.PNG: the file is cut short" in caplog.messages[1]
    for name, line in zip(("iphone.HEIC", "lens.avif"), caplog.messages[2:], strict=False):
        assert line == f"{album / name}: HEIC and AVIF cannot be read: convert it to JPEG or PNG"
    assert "raw.NEF: a camera's raw picture" in caplog.messages[4]


def test_a_bad_file_that_was_named_is_an_error(album: Path) -> None:
    (album / "a.png").write_bytes(b"")
    with pytest.raises(SourceError, match=r"a\.png: the file is empty: copy it again"):
        frames_of(album / "a.png")


def test_a_file_that_exists_wins_over_every_other_meaning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for index, name in enumerate(("0", "photo[1].png", "a*b.png")):
        Path(name).write_bytes(images.encode(grey(index), ".png"))
        assert [grey_index(frame.image) for frame in frames_of(name)] == [index]
    assert len(frames_of(0)) == 1


def test_standard_input_is_one_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(jpeg(quarters(), 6))))
    (frame,) = frames_of("-")
    assert frame.image.shape == (60, 40, 3)
    assert frame.name == "stdin"


def test_a_wrong_name_brings_names_that_look_like_it(album: Path) -> None:
    images.write(album / "holiday.png", quarters())
    with pytest.raises(SourceError, match=r"holidya\.png: no such file or folder \(did you mean holiday\.png\?\)"):
        open_source(album / "holidya.png")
    with pytest.raises(SourceError, match=r"nor the folder .*nowhere"):
        open_source(album / "nowhere" / "a.png")


@pytest.mark.parametrize("spec", ["", "x" * 5000, "nul\0byte", "ftp://host/a.mp4"])
def test_nonsense_is_refused(spec: str) -> None:
    with pytest.raises(SourceError, match=r"no such file or folder|not an address that can be opened"):
        open_source(spec)


def test_a_folder_or_pattern_without_images_says_what_to_do(album: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="empty: no images in this folder: name a folder with images"):
        open_source(tmp_path / "empty")
    with pytest.raises(SourceError, match=r"no images in this folder: give '.*\*\*.*\.(png|PNG|bmp)'"):
        open_source(tmp_path)
    with pytest.raises(SourceError, match="matches no file: check the pattern"):
        open_source(f"{album}/*.jpg")


def test_a_pattern_that_matches_one_video_is_that_video(tmp_path: Path) -> None:
    grey_video(tmp_path / "clip.mp4", count=3)
    assert len(frames_of(f"{tmp_path}/*.mp4")) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says beforehand which cameras there are")
def test_a_camera_that_is_not_there_says_which_are() -> None:
    with pytest.raises(SourceError, match=r"^camera 97: not there \((no camera found|found: .*)\): connect one"):
        open_source("97")


def test_a_web_page_is_no_source_and_the_remedy_is_said(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<!DOCTYPE html><html><body>the door</body></html>")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with pytest.raises(SourceError, match=r"give its own address, not the one of a web page"):
                frames_of(f"http://127.0.0.1:{server.server_port}/index.html")
        finally:
            server.shutdown()


def test_reading_ahead_keeps_order_and_stops_when_it_is_closed() -> None:
    made: list[int] = []
    ended = threading.Event()

    def numbers() -> Generator[int, None, None]:
        try:
            for number in range(1000):
                made.append(number)
                yield number
        finally:
            ended.set()

    ahead = ReadAhead(numbers(), depth=3)
    taken = iter(ahead)
    assert [next(taken) for _ in range(10)] == list(range(10))
    assert ahead.close()
    assert list(taken) == []
    assert len(made) <= 10 + 3 + 2
    assert ended.is_set()


def test_reading_ahead_raises_an_error_where_the_item_would_have_been() -> None:
    def numbers() -> Generator[int, None, None]:
        yield 1
        raise SourceError("broken")

    taken = iter(ReadAhead(numbers(), depth=5))
    assert next(taken) == 1
    with pytest.raises(SourceError, match="broken"):
        next(taken)
