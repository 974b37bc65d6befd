"""What a page leaves behind when it is killed, and what it does when the disk is full."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from detector.staging import LOCK, NEW, PREFIX
from detector.web.uploads import own_folder

from .caller import META, Caller
from .conftest import ROOT, eventually, started

SIX = ROOT / "data/images/video_call_six.jpg"
MEGABYTE = 2**20
HEAD = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.mp4"\r\n\r\n'
TAIL = b"\r\n--x--\r\n"


def pages(place: Path) -> list[Path]:
    return sorted(place.glob(f"{PREFIX}*"))


def test_what_a_killed_page_has_left_goes_when_the_next_one_starts(tmp_path: Path) -> None:
    with started(tmp_path) as first:
        with Caller(first.address) as anna:
            anna.look_at(SIX)
        first.process.kill()
        first.process.wait()
        assert first.left() == ["faces.jpg"]
        with started(tmp_path) as second:
            assert second.left() == []
            assert len(pages(tmp_path)) == 1
    assert pages(tmp_path) == []


def test_a_page_that_is_alive_keeps_its_files_when_another_starts_and_ends(tmp_path: Path) -> None:
    with started(tmp_path) as first, Caller(first.address) as anna:
        anna.look_at(SIX)
        with started(tmp_path):
            assert len(pages(tmp_path)) == 2
        assert first.left() == ["faces.jpg"]
        assert "6 faces" in anna.change()


def left_behind(place: Path, name: str = PREFIX + "dead") -> Path:
    """A folder as a killed page leaves it."""
    folder = place / name
    (folder / NEW).mkdir(mode=0o700, parents=True)
    for file in (folder / LOCK, folder / NEW / "door.jpg"):
        file.touch()
    return folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary folder of this computer."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_dead_pages_folder_is_swept(place: Path) -> None:
    dead = left_behind(place)
    with own_folder() as folder:
        assert pages(place) == [folder.parent]
        assert not dead.exists()
        assert folder.parent.stat().st_mode & 0o777 == 0o700
    assert pages(place) == []


@pytest.mark.parametrize("why", ["no lock", "a link as lock", "another name", "a link"])
def test_a_folder_that_may_be_somebody_elses_is_left_alone(why: str, place: Path) -> None:
    folder = left_behind(place, "another" if why in {"another name", "a link"} else PREFIX + "dead")
    if why == "no lock":
        (folder / LOCK).unlink()
    elif why == "a link as lock":
        (folder / LOCK).rename(folder / "other")
        (folder / LOCK).symlink_to("other")
    elif why == "a link":
        (place / f"{PREFIX}dead").symlink_to(folder)
    with own_folder():
        pass
    assert (folder / NEW / "door.jpg").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a folder away")
def test_another_users_folder_is_left_alone(place: Path) -> None:
    folder = left_behind(place)
    os.chown(folder, 12345, 12345)
    with own_folder():
        pass
    assert (folder / NEW / "door.jpg").exists()


def test_links_in_a_dead_pages_folder_are_not_followed(place: Path) -> None:
    private = place / "private"
    private.mkdir()
    (private / "letter.txt").touch()
    (left_behind(place) / "link").symlink_to(private)
    with own_folder() as folder:
        assert pages(place) == [folder.parent]
    assert (private / "letter.txt").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m,mode=0777", "tmpfs", str(disk)]
    if not sys.platform.startswith("linux") or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small file system is not allowed here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_said_in_one_line_and_the_page_goes_on(small_disk: Path) -> None:
    with started(small_disk) as page, Caller(page.address) as anna, Caller(page.address) as ben:
        assert "6 faces" in anna.look_at(SIX)
        large = {"files": ("large.mp4", bytes(12 * MEGABYTE))}
        refused = ben.http.post("/gradio_api/upload", files=large)
        assert (refused.status_code, len(refused.text.splitlines())) == (507, 1)
        assert "no room for more files" in refused.text
        filler = small_disk / "filler"
        halfway = threading.Event()

        def body() -> Iterator[bytes]:
            yield HEAD + bytes(MEGABYTE)
            eventually(lambda: any(part.stat().st_size for part in small_disk.glob("*/new/tmp*")))
            with filler.open("wb") as file:
                while file.write(bytes(4096)) and file.tell() < 14 * MEGABYTE and _free(small_disk):
                    file.flush()
            halfway.set()
            yield bytes(3 * MEGABYTE) + TAIL

        mime = {
            "content-type": "multipart/form-data; boundary=x",
            "content-length": str(len(HEAD + TAIL) + 4 * MEGABYTE),
        }
        refused = ben.http.post("/gradio_api/upload", content=body(), headers=mime)
        assert halfway.is_set()
        assert (refused.status_code, len(refused.text.splitlines())) == (507, 1), refused.text
        assert "full" in refused.text
        eventually(lambda: not list(small_disk.glob("*/new/tmp*")))
        assert "6 faces" in anna.change()
        assert ben.http.get("/").status_code == 200
        example = ben.serve("picture", "look", {"example": 0, "engine": "One pass"}).json()
        assert sum(face["confidence"] > 0.25 for face in example["faces"]) == 6
        filler.unlink()
        assert "6 faces" in ben.look_at(SIX)


def _free(disk: Path) -> int:
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


def test_a_full_disk_ends_a_video_with_one_line(small_disk: Path, clip: Path) -> None:
    with started(small_disk) as page, Caller(page.address) as anna:
        video = {"path": anna.upload(clip, "door.mp4"), "orig_name": "door.mp4", **META}
        filler = small_disk / "filler"
        with filler.open("wb") as file:
            while _free(small_disk) > 8192:
                file.write(bytes(4096))
                file.flush()
        answer = anna.ask("watch", [video, "One pass", 0.25, 0.6])
        assert "problem" in answer, answer[-300:]
        filler.unlink()
        assert "20 frames" in anna.ask("watch", [video, "One pass", 0.25, 0.6])


def test_uploads_that_nobody_looks_at_are_bounded_and_go(small_disk: Path) -> None:
    hasty = {"uploads.AWAITED_S": 20}  # not a minute
    with started(small_disk, limits=hasty) as page, Caller(page.address) as mallory, Caller(page.address) as anna:
        said = []
        for number in range(12):
            files = {"files": ("noise.mp4", bytes([number]) * MEGABYTE)}
            said.append(mallory.http.post("/gradio_api/upload", files=files).status_code)
        assert set(said) == {200, 507}
        assert said.count(200) in {7, 8}
        assert _free(small_disk) > 7 * MEGABYTE
        eventually(lambda: page.left() == [], 90)
        assert "6 faces" in anna.look_at(SIX)


def test_an_upload_that_breaks_off_goes(tmp_path: Path) -> None:
    def body() -> Iterator[bytes]:
        yield HEAD + bytes(MEGABYTE)
        eventually(lambda: any(tmp_path.glob("*/new/tmp*")))
        raise ConnectionAbortedError

    with started(tmp_path) as page, Caller(page.address) as mallory:
        mime = {"content-type": "multipart/form-data; boundary=x", "content-length": str(4 * MEGABYTE)}
        with pytest.raises(ConnectionAbortedError):
            mallory.http.post("/gradio_api/upload", content=body(), headers=mime)
        mallory.http.close()
        eventually(lambda: page.left() == [])
