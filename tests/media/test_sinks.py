from __future__ import annotations

import csv
import errno
import io
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from detector.detections import Detections
from detector.errors import OutputError
from detector.media import images
from detector.media.encode import VideoSink
from detector.media.frames import Frame
from detector.media.growing import GrowingFile, Pieces
from detector.media.records import CsvSink, JsonLinesSink, rows
from detector.media.sinks import ImageSink, Sink, annotated
from tests.media.makers import grey, quarters

NTSC = Fraction(30000, 1001)
FACES = Detections([[5.126, 6, 30, 40.5], [35, 10, 60, 44]], [0.98766, 0.5], [0, 1])  # type: ignore[arg-type]
ROOT = Path(__file__).resolve().parents[2]


def frames(count: int, fps: Fraction | None = Fraction(25), size: tuple[int, int] = (64, 48)) -> Iterator[Frame]:
    for index in range(count):
        time_s = None if fps is None else float(index / fps)
        yield Frame(grey(index % 40, *size), index, time_s, "/videos/clip.mp4" if fps else f"/a/{index}.png")


def written(sink: Sink, pictures: Iterator[Frame]) -> None:
    with sink:
        for frame in pictures:
            sink.write(frame, Detections.empty())


def read_back(path: Path) -> tuple[av.VideoStream, list[av.VideoFrame]]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return stream, list(container.decode(stream))


@pytest.mark.parametrize("fps", [NTSC, Fraction(24000, 1001), Fraction(25), Fraction(2997, 100), Fraction(10)])
def test_a_video_has_the_exact_rate_and_plays_in_browsers(tmp_path: Path, fps: Fraction) -> None:
    path = tmp_path / "new" / "out.mp4"
    written(VideoSink(path, fps), frames(31, fps))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt, stream.frames) == ("h264", "yuv420p", 31)
        assert (stream.average_rate, stream.duration * stream.time_base) == (fps, 31 / fps)
        assert stream.codec_context.colorspace == 1  # BT.709, written down
        decoded = list(container.decode(stream))
    assert [frame.pts * frame.time_base for frame in decoded] == [index / fps for index in range(31)]
    assert [entry.name for entry in path.parent.iterdir()] == ["out.mp4"]


def test_times_rounded_to_milliseconds_are_put_back_on_their_beat(tmp_path: Path) -> None:
    pictures = (Frame(f.image, f.index, round(f.time or 0, 3), f.name) for f in frames(30, NTSC))
    written(VideoSink(tmp_path / "out.mp4", NTSC), pictures)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].average_rate == NTSC


def test_real_times_are_kept_and_never_run_backwards(tmp_path: Path) -> None:
    times = [1.7e9, 1.7e9 + 0.21, 1.7e9 + 0.25, 1.7e9 + 0.2, 1.7e9 + 3.0]
    pictures = (Frame(grey(index), index, at, "camera 0") for index, at in enumerate(times))
    written(VideoSink(tmp_path / "out.mp4"), pictures)
    _, decoded = read_back(tmp_path / "out.mp4")
    shown = [float(frame.pts * frame.time_base) for frame in decoded]
    np.testing.assert_allclose(shown, [0, 0.21, 0.25, 0.25, 3.0], atol=0.002)
    assert shown == sorted(set(shown))


def test_still_images_follow_each_other_at_the_rate(tmp_path: Path) -> None:
    written(VideoSink(tmp_path / "out.mkv", Fraction(2)), frames(4, None))
    _, decoded = read_back(tmp_path / "out.mkv")
    assert [frame.time for frame in decoded] == [0, 0.5, 1, 1.5]


@pytest.mark.parametrize("size", [(63, 47), (64, 47), (2, 2), (33, 32)])
def test_an_odd_size_is_padded_to_an_even_one(tmp_path: Path, size: tuple[int, int]) -> None:
    written(VideoSink(tmp_path / "out.mp4", Fraction(25)), frames(3, size=size))
    _, decoded = read_back(tmp_path / "out.mp4")
    assert {(frame.width, frame.height) for frame in decoded} == {(size[0] + size[0] % 2, size[1] + size[1] % 2)}


def test_a_change_of_size_keeps_the_size_of_the_video(tmp_path: Path) -> None:
    pictures = [
        Frame(np.full((high, wide, 3), 200, np.uint8), 0, None, "x") for high, wide in ((48, 64), (96, 64), (9, 99))
    ]
    written(VideoSink(tmp_path / "out.mp4"), iter(pictures))
    _, decoded = read_back(tmp_path / "out.mp4")
    assert {(frame.width, frame.height) for frame in decoded} == {(64, 48)}
    second = decoded[1].to_ndarray(format="gray")
    assert second[24, 32] > 150
    assert second[24, 2] < 60


@pytest.mark.skipif(sys.platform == "win32", reason="a name of Windows has no colon")
@pytest.mark.parametrize("name", ["a:b.mp4", "out:1/a.mkv", "http://a.mov", "pipe:1.mp4", "a%03d.mp4"])
def test_a_name_is_only_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    written(VideoSink(Path(name), Fraction(25)), frames(5))
    assert len(read_back(tmp_path / name)[1]) == 5


def test_a_video_of_no_frames_leaves_no_file(tmp_path: Path) -> None:
    written(VideoSink(tmp_path / "out.mp4", NTSC), frames(0))
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_the_run_leaves_a_playable_video(tmp_path: Path) -> None:
    def interrupted() -> Iterator[Frame]:
        yield from frames(12, NTSC)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        written(VideoSink(tmp_path / "out.mp4", NTSC), interrupted())
    assert len(read_back(tmp_path / "out.mp4")[1]) == 12


def test_ctrl_c_leaves_a_playable_video(tmp_path: Path) -> None:
    code = """
import sys, itertools, time
import numpy as np
from fractions import Fraction
from pathlib import Path
from detector.detections import Detections
from detector.media.frames import Frame
from detector.media.encode import VideoSink
image = np.zeros((48, 64, 3), np.uint8)
try:
    with VideoSink(Path(sys.argv[1]), Fraction(25)) as sink:
        for index in itertools.count():
            sink.write(Frame(image, index, index / 25, "x"), Detections.empty())
            if index == 20:
                print("go", flush=True)
            time.sleep(0.005)
except KeyboardInterrupt:
    sys.exit(130)
"""
    path = tmp_path / "out.mp4"
    child = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, cwd=ROOT)
    assert child.stdout is not None
    with child.stdout:
        assert child.stdout.readline() == b"go\n"
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=20) == 130
    assert len(read_back(path)[1]) >= 21
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.mp4"]


def test_nothing_is_written_over(tmp_path: Path) -> None:
    for name, make in (("a.mp4", VideoSink), ("a.jsonl", JsonLinesSink), ("a.csv", CsvSink)):
        (tmp_path / name).write_text("precious")
        with pytest.raises(OutputError, match=rf"{name}: exists already: remove it or choose another name"):
            make(tmp_path / name)
        assert (tmp_path / name).read_text() == "precious"


def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for make in (VideoSink, JsonLinesSink, CsvSink):
        with pytest.raises(OutputError, match=r"file(/sub)?: (is a file, not a folder|cannot be made)"):
            make(tmp_path / "file" / "sub" / "a.mp4")
    with pytest.raises(OutputError, match=r"file: is a file, not a folder: choose another name"):
        ImageSink(tmp_path / "file")
    with pytest.raises(OutputError, match=r"a\.gif: not a video's name: end it in \.mp4"):
        VideoSink(tmp_path / "a.gif")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit on file sizes to set")
@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.jsonl", "a.csv"])
@pytest.mark.parametrize("room", [0, 500, 30_000, 47_111])
def test_on_a_full_disk_what_was_written_is_kept_whole_and_said_in_one_line(
    tmp_path: Path, name: str, room: int
) -> None:
    code = """
import resource, sys
import numpy as np
from pathlib import Path
from detector.detections import Detections
from detector.errors import OutputError
from detector.media.frames import Frame
from detector.media.encode import VideoSink
from detector.media.records import CsvSink, JsonLinesSink
path, room = Path(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
rng = np.random.default_rng(0)
face = Detections([[1, 1, 9, 9]], [0.5], [0])
try:
    with {".csv": CsvSink, ".jsonl": JsonLinesSink}.get(path.suffix, VideoSink)(path) as sink:
        for index in range(2000):
            image = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
            sink.write(Frame(image, index, index / 25, "x"), face)
except OutputError as error:
    print(error)
"""
    path = tmp_path / name
    command = [sys.executable, "-c", code, str(path), str(room)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.stdout.startswith(f"{path}: cannot be written (File too large): make room")
    assert (done.returncode, done.stdout.count("\n"), done.stderr) == (0, 1, "")
    if name in ("a.jsonl", "a.csv"):
        lines = path.read_text().splitlines(keepends=True)
        assert len(lines) >= room // 200
        assert all(line.endswith("}\n" if name == "a.jsonl" else "\n") for line in lines)
        assert name == "a.csv" or all(json.loads(line)["faces"] for line in lines)
    elif room < 1000:
        assert not path.exists()
    else:
        assert "; what was recorded until then plays" in done.stdout
        assert len(read_back(path)[1]) > 15
        assert path.stat().st_size > 0.7 * room


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_a_video_plays_after_every_single_write_to_its_file(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, played = tmp_path / f"out{suffix}", []
    write = GrowingFile.write

    def write_and_look(self: GrowingFile, data: bytes, at: int | None = None) -> None:
        write(self, data, at)
        copy = tmp_path / f"copy{suffix}"
        copy.write_bytes(path.read_bytes())
        try:
            played.append(len(read_back(copy)[1]))
        except (av.error.InvalidDataError, av.error.EOFError):  # the header alone
            played.append(0)

    monkeypatch.setattr(GrowingFile, "write", write_and_look)
    written(VideoSink(path, Fraction(25)), frames(60))
    assert played == sorted(played)
    assert played[-1] == 60
    pieces = [count for count in played if count]
    assert max(later - earlier for earlier, later in pairwise(pieces)) <= 6
    assert len(pieces) >= 10


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("room", range(0, 3000, 250))
def test_no_room_for_the_index_at_the_end_leaves_the_video_playable(
    tmp_path: Path, suffix: str, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, let_go, full_from = GrowingFile.write, Pieces.let_go, [10**9]

    def write_until_full(self: GrowingFile, data: bytes, at: int | None = None) -> None:
        if (self.size if at is None else at) + len(data) > full_from[0]:
            write(self, data[: max(0, full_from[0] - self.size)], at)
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, data, at)

    def fill_up(self: Pieces) -> None:
        full_from[0] = self._file.size + room
        let_go(self)

    monkeypatch.setattr(GrowingFile, "write", write_until_full)
    monkeypatch.setattr(Pieces, "let_go", fill_up)
    path = tmp_path / f"out{suffix}"
    sink = VideoSink(path, Fraction(25))
    for frame in frames(60):
        sink.write(frame, Detections.empty())
    if room < 250:
        with pytest.raises(OutputError, match=r"No space left on device.*what was recorded until then plays"):
            sink.close()
    else:
        with suppress(OutputError):
            sink.close()
    assert len(read_back(path)[1]) >= 54


def test_images_keep_their_names_and_formats(tmp_path: Path) -> None:
    sink = ImageSink(tmp_path / "out")
    names = [
        "/in/a.jpg",
        "/other/a.jpg",
        "/in/b.PNG",
        "/in/c.gif",
        "stdin",
        "https://host/d.png?size=1",
        "C:\\x\\e.png",
    ]
    for name in names:
        sink.write(Frame(quarters(), 0, None, name), FACES)
    sink.write(Frame(quarters(), 7, 1.5, "/in/clip.mp4"), FACES)
    sink.close()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        ["a.jpg", "a-2.jpg", "b.PNG", "c.png", "stdin.png", "d.png", "C__x_e.png", "clip_000007.jpg"]
    )


def test_images_of_an_older_run_are_kept(tmp_path: Path) -> None:
    for _ in range(3):
        with ImageSink(tmp_path) as sink:
            sink.write(Frame(quarters(), 0, None, "a.png"), Detections.empty())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-2.png", "a-3.png", "a.png"]
    np.testing.assert_array_equal(images.read(tmp_path / "a.png"), quarters())


def test_a_frame_is_drawn_once_for_all_sinks() -> None:
    first, second = frames(2)
    drawn = annotated(first, FACES)
    assert annotated(first, FACES) is drawn
    assert annotated(second, FACES) is not drawn
    assert annotated(first, Detections.empty()) is not drawn


def test_rows_are_plain_rounded_values() -> None:
    frame = Frame(quarters(), 3, 1.23456789, "clip.mp4")
    assert rows(frame, FACES)[0] == {
        "source": "clip.mp4",
        "frame": 3,
        "time": 1.234568,
        "class": "with_mask",
        "confidence": 0.9877,
        "x1": 5.13,
        "y1": 6.0,
        "x2": 30.0,
        "y2": 40.5,
        "track_id": None,
    }
    assert rows(frame, replace(FACES, track_id=np.array([7, -1])))[0]["track_id"] == 7
    assert rows(frame, Detections.empty()) == []


def test_json_lines_has_one_object_per_frame_as_soon_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with JsonLinesSink(path) as sink:
        sink.write(Frame(quarters(), 0, None, "Straße\udcff.png"), replace(FACES, track_id=np.array([7, -1])))
        sink.write(Frame(quarters(), 1, 0.04, "b"), Detections.empty())
        first, second = map(json.loads, path.read_text().splitlines())
    assert first == {
        "source": "Straße\udcff.png",
        "frame": 0,
        "time": None,
        "width": 60,
        "height": 40,
        "faces": [
            {"box": [5.13, 6.0, 30.0, 40.5], "confidence": 0.9877, "class": "with_mask", "track_id": 7},
            {"box": [35.0, 10.0, 60.0, 44.0], "confidence": 0.5, "class": "without_mask", "track_id": None},
        ],
    }
    assert (second["time"], second["faces"]) == (0.04, [])


def test_csv_has_a_header_and_one_row_per_face(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    with CsvSink(path) as sink:
        sink.write(Frame(quarters(), 0, None, 'a,"b".png'), FACES)
        sink.write(Frame(quarters(), 1, None, "c.png"), Detections.empty())
    with path.open(newline="") as file:
        first, second = csv.DictReader(file)
    assert list(first) == ["source", "frame", "time", "class", "confidence", "x1", "y1", "x2", "y2", "track_id"]
    assert (first["source"], first["time"], first["x1"], second["class"]) == ('a,"b".png', "", "5.13", "without_mask")


def test_a_dash_is_standard_output_which_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding="ascii"))
    with CsvSink("-") as table:
        table.write(Frame(quarters(), 0, None, "Straße.png"), FACES)
    with JsonLinesSink("-") as lines:
        lines.write(Frame(quarters(), 0, None, "Straße.png"), FACES)
    text = buffer.getvalue().decode()
    assert text.splitlines()[1].startswith("Stra\\xdfe.png,0,,with_mask")
    assert json.loads(text.splitlines()[3])["source"] == "Straße.png"
    assert not sys.stdout.closed


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break differently there")
def test_a_reader_that_goes_away_is_one_error_and_no_noise() -> None:
    code = """
import sys, time
import numpy as np
from detector.detections import Detections
from detector.errors import OutputError
from detector.media.frames import Frame
from detector.media.records import JsonLinesSink
try:
    with JsonLinesSink("-") as sink:
        for index in range(100_000):
            sink.write(Frame(np.zeros((4, 4, 3), np.uint8), index, None, "x"), Detections.empty())
except OutputError as error:
    print(error, file=sys.stderr)
    sys.exit(2)
"""
    read, write = os.pipe()
    child = subprocess.Popen([sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, cwd=ROOT)
    os.close(write)
    os.read(read, 100)
    os.close(read)
    assert child.communicate(timeout=20)[1] == b"standard output: the reader has gone: write to a file instead\n"
    assert child.returncode == 2


def test_a_failing_close_does_not_hide_what_ended_the_run(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Sink):
        def write(self, frame: Frame, detections: Detections) -> None:
            pass

        def close(self) -> None:
            raise OutputError("out: cannot be finished")

    with caplog.at_level(logging.ERROR), pytest.raises(KeyboardInterrupt), Failing():
        raise KeyboardInterrupt
    assert caplog.messages == ["out: cannot be finished"]
    with pytest.raises(OutputError, match="cannot be finished"), Failing():
        pass


def test_writing_after_the_end_is_a_mistake_that_shows(tmp_path: Path) -> None:
    for sink in (VideoSink(tmp_path / "a.mp4"), JsonLinesSink(tmp_path / "a.jsonl")):
        written(sink, frames(1))
        sink.close()
        with pytest.raises(ValueError, match="is closed"):
            written(sink, frames(1))
