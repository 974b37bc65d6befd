from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from detector import run as run_module
from detector.media import images
from detector.media.frames import Change
from detector.tracking import Tracker
from detector.tracking.events import EventSink

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "data" / "images"


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare face that drifts, is blurred and hidden for a moment, and a masked one that comes after a second."""
    path = tmp_path_factory.mktemp("video") / "door.mp4"
    bare, masked = (
        cv2.resize(images.read(SAMPLE / name)[:, :360], (200, 200))
        for name in ("collins_bare.jpg", "collins_black_cloth_mask.jpg")
    )
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 480, 240, "yuv420p"
        for index in range(40):
            frame = np.full((240, 480, 3), 90, np.uint8)
            if index not in (20, 21, 22):
                blur = 1 + 6 * (15 < index < 20)
                frame[20:220, index : 200 + index] = cv2.blur(bare, (blur, blur))
            if index >= 10:
                frame[30:230, 270:470] = masked
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "bgr24")))
        container.mux(stream.encode(None))
    return path


def test_people_are_counted_told_and_photographed_and_nothing_of_the_users_is_replaced(
    door: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("people").mkdir()
    Path("people/door_0001_without_mask.jpg").write_bytes(b"mine")
    flags = ["--events", "events.jsonl", "--snapshots", "people", "--csv", "faces.csv"]
    assert run_module.main([str(door), *flags]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("2 people, 1 with_mask, 1 without_mask")
    events = [json.loads(line) for line in Path("events.jsonl").read_text().splitlines()]
    assert [(event["event"], event["number"], event["verdict"]) for event in events] == [
        ("appears", 1, "without_mask"),
        ("appears", 2, "with_mask"),
        ("leaves", 1, "without_mask"),
        ("leaves", 2, "with_mask"),
    ]
    assert all(event["source"] == str(door) and 0 < event["confidence"] <= 1 for event in events)
    assert events[2]["seen_s"] == pytest.approx(3.9, abs=0.5)
    assert Path("people/door_0001_without_mask.jpg").read_bytes() == b"mine"
    assert sorted(path.name for path in Path("people").iterdir()) == [
        "door_0001_without_mask-2.jpg",
        "door_0001_without_mask.jpg",
        "door_0002_with_mask.jpg",
    ]
    portrait = images.read(Path("people/door_0001_without_mask-2.jpg"))
    assert cv2.Laplacian(portrait, cv2.CV_32F).std() > 10  # not one of the blurred frames
    rows = list(csv.DictReader(Path("faces.csv").read_text().splitlines()))
    assert {(row["track_id"], row["class"]) for row in rows} >= {("1", "without_mask"), ("2", "with_mask")}


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL under Windows")
def test_a_run_that_is_killed_leaves_whole_lines(door: Path, tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    command = [sys.executable, "-m", "detector.run", str(door), "--events", str(events)]
    process = subprocess.Popen(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)})
    deadline = time.monotonic() + 60
    while not (events.is_file() and events.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    text = events.read_text()
    assert text.endswith("}\n")
    assert json.loads(text.splitlines()[0])["event"] == "appears"


def test_a_lost_source_is_told_at_once_under_its_name(tmp_path: Path) -> None:
    with EventSink(tmp_path / "e.jsonl", {"camera 0": Tracker()}) as sink:
        sink.source_changed("camera 0", Change("lost", 1e9))
        lines = (tmp_path / "e.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"event": "lost", "source": "camera 0", "time": 1e9}]


@pytest.mark.parametrize("flag", [("--track",), ("--events", "e.jsonl"), ("--snapshots", "people")])
def test_still_images_are_not_tracked_and_nothing_is_made(
    flag: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_module.main([str(SAMPLE / "hopper_bare.jpg"), *flag]) == 2
    assert "--track follows people from frame to frame" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
