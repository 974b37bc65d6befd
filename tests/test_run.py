from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from detector import run as run_module
from detector.detections import Detections
from detector.engines import load_engine
from detector.media import images
from detector.media.frames import Frame
from detector.media.sinks import Sink
from tests.media.makers import Camera, serving

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "data" / "images"


def command(*flags: object, cwd: Path, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("DISPLAY", None)
    return subprocess.run(
        [sys.executable, "-m", "detector.run", *map(str, flags)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        **options,
    )  # type: ignore[call-overload, no-any-return]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of a real face that moves, 30000/1001 frames a second."""
    path = tmp_path_factory.mktemp("video") / "door.mp4"
    picture = images.read(SAMPLE / "collins_bare.jpg")
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(30000, 1001))
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for index in range(60):
            shifted = np.roll(cv2.resize(picture, (320, 240)), index, axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(shifted, "bgr24")))
        container.mux(stream.encode(None))
    return path


def test_a_fresh_process_runs_without_torch_and_without_what_it_does_not_need() -> None:
    code = (
        "import sys, detector.run; detector.run.main(['--source', sys.argv[1]]);"
        "heavy = {'torch', 'ultralytics', 'av', 'lxml', 'tqdm', 'PIL', 'matplotlib'} & set(sys.modules);"
        "print(heavy or 'light')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(SAMPLE / "collins_bare.jpg")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "light"


def test_a_run_leaves_nothing_in_the_users_home(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "ORT_DISABLE_TELEMETRY"):
        environment.pop(name, None)
    flags = ["--source", str(SAMPLE / "collins_bare.jpg")]
    subprocess.run([sys.executable, "-m", "detector.run", *flags], cwd=tmp_path, env=environment, check=True)
    assert list(tmp_path.iterdir()) == []


def test_every_image_of_the_sample_gets_the_verdicts_of_its_labels() -> None:
    from detector.data.loading import load_voc

    samples = load_voc([ROOT / "data" / "annotations"], [SAMPLE])
    assert len(samples) >= 20
    with load_engine() as engine:
        for sample in samples:
            found = engine(images.read(sample.path))
            got = [found.count(name) for name in ("with_mask", "without_mask")]
            assert got == [sample.truth.count(name) for name in ("with_mask", "without_mask")], sample.title


def test_the_readme_command_prints_a_line_per_image_and_a_summary(tmp_path: Path) -> None:
    done = command("--source", SAMPLE, cwd=tmp_path)
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert len(lines) == len(images.list_images(SAMPLE)) + 1
    assert any(line.endswith("collins_bare.jpg: 1 face: 1 without_mask") for line in lines)
    assert "images in" in lines[-1]
    assert list(tmp_path.iterdir()) == []  # nothing is written that was not asked for


def test_annotated_images_json_and_csv_tell_the_same(tmp_path: Path) -> None:
    flags = ("--save", "out", "--json", "faces.jsonl", "--csv", "faces.csv")
    done = command("--source", SAMPLE / "collins_bare.jpg", *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "faces.jsonl").read_text())
    row = next(csv.DictReader((tmp_path / "faces.csv").read_text().splitlines()))
    assert [face["class"] for face in record["faces"]] == ["without_mask"] == [row["class"]]
    before, after = images.read(SAMPLE / "collins_bare.jpg"), images.read(tmp_path / "out" / "collins_bare.jpg")
    assert before.shape == after.shape
    assert not np.array_equal(before, after)


def test_results_on_stdout_are_not_mixed_with_words(tmp_path: Path) -> None:
    done = command("--source", SAMPLE / "collins_bare.jpg", "--json", "-", cwd=tmp_path)
    assert [json.loads(line)["frame"] for line in done.stdout.splitlines()] == [0]
    assert "1 face: 1 without_mask" in done.stderr


def test_an_image_on_stdin_is_read(tmp_path: Path) -> None:
    with (SAMPLE / "collins_bare.jpg").open("rb") as file:
        done = command("--source", "-", cwd=tmp_path, stdin=file)
    assert "1 face: 1 without_mask" in done.stdout, done.stderr


def test_a_video_keeps_its_frames_and_its_exact_rate(tmp_path: Path, video: Path) -> None:
    done = command("--source", video, "--save", "out", "--csv", "faces.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "60 frames" in done.stdout
    with av.open(tmp_path / "out" / "door.mp4") as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.average_rate) == ("h264", Fraction(30000, 1001))
        assert sum(1 for _ in container.decode(stream)) == 60
    assert {int(row["frame"]) for row in csv.DictReader((tmp_path / "faces.csv").read_text().splitlines())} <= set(
        range(60)
    )


def test_a_second_run_overwrites_nothing(tmp_path: Path, video: Path) -> None:
    for _ in range(2):
        assert command("--source", video, "--save", "out", cwd=tmp_path).returncode == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["door-2.mp4", "door.mp4"]


def test_without_a_screen_the_run_says_so_and_goes_on(tmp_path: Path, video: Path) -> None:
    done = command("--source", video, "--show", cwd=tmp_path)
    assert done.returncode == 0
    assert "going on without a window" in done.stderr
    assert "60 frames" in done.stdout


@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise under Windows")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_stopped_run_leaves_a_video_that_plays(tmp_path: Path, video: Path, name: str) -> None:
    long = tmp_path / "long.mp4"
    with av.open(video) as source, av.open(long, "w") as target:
        stream = target.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        frames = list(source.decode(video=0))
        for index in range(3000):
            frame = frames[index % len(frames)]
            frame.pts = None
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    process = subprocess.Popen(
        [sys.executable, "-m", "detector.run", "--source", str(long), "--save", "out", "--csv", "faces.csv"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if (tmp_path / "faces.csv").exists() and len(
            (tmp_path / "faces.csv").read_text().splitlines()
        ) > 40:  # a frame can have two
            break
        time.sleep(0.1)
    process.send_signal(signal.Signals[name])
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    with av.open(tmp_path / "out" / "long.mp4") as container:
        played = sum(1 for _ in container.decode(video=0))
    assert 20 <= played < 3000
    assert f"{played} frames" in output or f"{played - 1} frames" in output


def test_a_bad_file_in_a_folder_is_reported_and_the_rest_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"not a picture")
    (folder / "b.jpg").write_bytes((SAMPLE / "collins_bare.jpg").read_bytes())
    done = command("--source", folder, cwd=tmp_path)
    assert done.returncode == 1
    assert "a.jpg" in done.stderr
    assert "b.jpg: 1 face: 1 without_mask" in done.stdout
    assert "1 file could not be read" in done.stdout


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--source", "gone.jpg"), "gone.jpg: no such file or folder"),
        (("--source", ".", "--weights", "gone.onnx"), "gone.onnx: no such file"),
        (("--source", ".", "--device", "tpu"), "--device tpu is not known"),
        (("--source", "."), "no images in this folder"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_2(tmp_path: Path, flags: tuple[str, ...], words: str) -> None:
    done = command(*flags, cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines()), done.stdout) == (2, 1, "")
    assert words in done.stderr


@pytest.mark.parametrize(("flag", "value"), [("--conf", "2"), ("--conf", "x"), ("--imgsz", "0"), ("--threads", "-1")])
def test_a_flag_out_of_range_is_refused(tmp_path: Path, flag: str, value: str) -> None:
    done = command("--source", ".", flag, value, cwd=tmp_path)
    assert done.returncode == 2
    assert flag in done.stderr


def test_run_stops_when_the_window_is_closed() -> None:
    class Closed(Sink):
        """A window whose viewer has pressed q: no screen is needed to be closed."""

        def __init__(self) -> None:
            self.closed = True

        def write(self, frame: Frame, detections: Detections) -> None:
            """Show nothing."""

        def close(self) -> None:
            """Nothing to close."""

    frames = [Frame(images.read(SAMPLE / "collins_bare.jpg"), index, None, "x") for index in range(3)]
    with load_engine() as engine:
        assert run_module.run(frames, engine, [Closed()]).frames == 1


@pytest.mark.parametrize("name", ["run", "train", "export"])
def test_each_command_has_help_and_a_version(name: str) -> None:
    for flag, words in (("--help", "examples:"), ("--version", "mask-detector 0.")):
        done = subprocess.run(
            [sys.executable, "-m", f"detector.{name}", flag], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert words in done.stdout


def test_two_runs_with_one_save_lose_nothing(tmp_path: Path, video: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for index in range(8):
        (photos / f"{index}.jpg").write_bytes((SAMPLE / "collins_bare.jpg").read_bytes())
    commands = [["--source", str(source), "--save", "out"] for source in (video, video, photos, photos)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "detector.run", *flags],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
        )
        for flags in commands
    ]
    assert [process.wait(120) for process in processes] == [0, 0, 0, 0]
    names = [name for index in range(8) for name in (f"{index}-2.jpg", f"{index}.jpg")]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted([*names, "door-2.mp4", "door.mp4"])
    for name in ("door.mp4", "door-2.mp4"):
        with av.open(tmp_path / "out" / name) as container:
            assert sum(1 for _ in container.decode(video=0)) == 60


def test_a_checkpoint_as_weights_brings_the_command_that_exports_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = tmp_path / "my run" / "m.pt"
    checkpoint.parent.mkdir()
    checkpoint.write_bytes(b"PK")
    images.write(tmp_path / "a.png", np.zeros((40, 40, 3), np.uint8))
    assert run_module.main(["--source", str(tmp_path / "a.png"), "--weights", str(checkpoint)]) == 2
    remedy = f"make an .onnx file with mask-detector export '{checkpoint}'"
    assert capsys.readouterr().err == f"error: {checkpoint}: a checkpoint to train from: {remedy}\n"


def test_several_sources_are_read_in_turns_and_every_row_names_its_own(tmp_path: Path, video: Path) -> None:
    other = tmp_path / "back.mp4"
    other.write_bytes(video.read_bytes())
    done = command(video, "--source", other, "--save", "out", "--json", "all.jsonl", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    order = [
        (row["source"], row["frame"]) for row in map(json.loads, (tmp_path / "all.jsonl").read_text().splitlines())
    ]
    assert [frame for source, frame in order if source == str(video)] == list(range(60))
    assert [frame for source, frame in order if source == str(other)] == list(range(60))
    ahead = np.cumsum([1 if source == str(video) else -1 for source, _ in order])
    assert np.abs(ahead).max() <= 4  # neither waits for the other, nor gets ahead
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["back.mp4", "door.mp4"]
    assert [line.rpartition(": 60 frames")[0] for line in done.stdout.splitlines()[-2:]] == [str(video), str(other)]


def test_images_named_one_by_one_are_one_source_and_a_bad_one_does_not_end_it(tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"not a picture")
    done = command(SAMPLE / "collins_bare.jpg", "bad.jpg", SAMPLE / "video_call_four.jpg", cwd=tmp_path)
    assert done.returncode == 1
    assert "2 images in" in done.stdout.splitlines()[-1]
    assert "1 file could not be read" in done.stdout.splitlines()[-1]


def test_a_source_named_twice_is_refused(tmp_path: Path) -> None:
    done = command("--source", SAMPLE, SAMPLE, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, f"error: {SAMPLE}: named twice: name each source once\n")


def test_a_stream_that_drops_and_comes_back_is_counted_and_told_to_every_sink(tmp_path: Path) -> None:
    camera = Camera([(10, "hang up"), (10, "hang up")])
    with serving(camera.play, camera.over) as url:
        done = command(url, "--reconnect", "1.5", "--no-show", "--json", "-", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-2].endswith("; lost 2 times")
    assert done.stderr.splitlines()[-1].endswith("(lost, and not back within 1.5 s)")
