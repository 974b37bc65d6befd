"""A real disk that is full: a small file system in memory, where the system lets this process mount one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "data"

pytestmark = pytest.mark.slow


def mount(*flags: object) -> bool:
    """Whether it could be done."""
    if not sys.platform.startswith("linux"):
        return False
    return subprocess.run(["mount", *map(str, flags)], capture_output=True, check=False).returncode == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 200 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    if not mount("-t", "tmpfs", "-o", "size=200k", "tmpfs", place):
        pytest.skip("this process may not mount a file system (only root on Linux may)")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def failed_in_one_line(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 2, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "No space left on device" in line
    assert "Traceback" not in done.stderr


def unfinished(disk: Path) -> list[Path]:
    return [path for path in disk.rglob("*") if path.name.startswith(".") or path.suffix == ".part"]


def test_a_recording_and_its_tables_are_kept_up_to_the_full_disk(disk: Path, tmp_path: Path) -> None:
    with av.open(tmp_path / "noise.mp4", "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for _ in range(200):
            frame = av.VideoFrame(160, 120, "yuv420p")
            for plane in frame.planes:
                plane.update(os.urandom(plane.buffer_size))
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    tables = ("--csv", disk / "faces.csv", "--json", disk / "faces.jsonl")
    done = run("-m", "detector.run", "--source", tmp_path / "noise.mp4", "--save", disk / "out", *tables)
    failed_in_one_line(done)
    with av.open(disk / "out" / "noise.mp4") as container:
        assert len(list(container.decode(video=0))) >= 5
    lines = (disk / "faces.jsonl").read_text().splitlines()
    assert [json.loads(line)["frame"] for line in lines] == list(range(len(lines)))
    assert (disk / "faces.csv").read_text().endswith("\n")
    assert not unfinished(disk)


@pytest.mark.parametrize("name", ["images", "voc2yolo", "clean", "prelabel", "masks", "crop", "check"])
def test_a_command_on_a_full_disk_leaves_no_half_and_goes_on_when_there_is_room(disk: Path, name: str) -> None:
    out = disk / "out"
    commands: dict[str, list[object]] = {
        "images": ["-m", "detector.run", "--source", DATA / "images", "--save", out],
        "voc2yolo": ["tools/voc2yolo.py", "-a", DATA / "annotations", "-i", DATA / "images", "-o", out],
        "clean": ["-m", "detector.clean", DATA / "images", "-o", out],
        "prelabel": ["-m", "detector.prelabel", "-i", DATA / "images", "-o", out],
        "masks": ["-m", "detector.masks", "-o", out],
        "crop": ["-m", "detector.crop", "--out", out],
        "check": ["-m", "detector.check", "-o", out],
    }
    filler = disk / "theirs"
    filler.write_bytes(bytes((200 if name != "prelabel" else 180) * 1024 - (8192 if name != "prelabel" else 0)))
    failed_in_one_line(run(*commands[name]))
    assert not unfinished(disk)
    assert name in ("images", "prelabel") or not out.exists()
    if name == "prelabel":
        listed = (out / "prelabels.csv").read_text()
        assert all(path.name in listed for path in out.glob("*.xml"))
    assert filler.stat().st_size > 100_000
    assert mount("-o", "remount,size=50m", disk)
    done = run(*commands[name])
    assert done.returncode in (0, 1), done.stderr
    assert not unfinished(disk)
