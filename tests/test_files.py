from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from detector import files, staging
from detector.errors import OutputError

ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def child(code: str, *args: object) -> Iterator[subprocess.Popen[str]]:
    """A process that has said one line, killed at the end."""
    head = "import sys, time\nfrom pathlib import Path\nfrom detector import files, staging\n"
    command = [sys.executable, "-c", head + code, *map(str, args)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "go\n"
        yield process
        process.kill()


IN_A_STAGING_FOLDER = """
with staging.staging_folder(Path(sys.argv[1])) as stage:
    (stage / "new").mkdir()
    (stage / "new" / "photo.jpg").write_bytes(b"somebody")
    print("go", flush=True)
    time.sleep(60)
"""
IN_A_FOLDER = """
with files.new_folder(Path(sys.argv[1])) as folder:
    (folder / "photo.jpg").write_bytes(b"somebody")
    print("go", flush=True)
    time.sleep(60)
"""


def test_what_a_dead_process_left_is_swept_and_what_a_living_one_works_on_is_not(tmp_path: Path) -> None:
    with child(IN_A_STAGING_FOLDER, tmp_path) as living:
        files.make_folder(tmp_path)
        assert len(list(tmp_path.rglob("photo.jpg"))) == 1
        living.kill()
        living.wait()
        files.make_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_sweep_touches_nothing_of_the_users_and_follows_no_link(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "lock").touch()
    (photos / "precious.jpg").write_bytes(b"1")
    place = tmp_path / "out"
    (place / ".mask-detector-notes").mkdir(parents=True)
    (place / ".mask-detector-notes" / "mine.txt").write_text("no lock: not ours")
    (place / ".mask-detector-linked").symlink_to(photos, target_is_directory=True)
    (place / ".mask-detector-file").write_text("a file")
    (place / ".mask-detector-dead").mkdir()
    (place / ".mask-detector-dead" / "lock").symlink_to(photos / "precious.jpg")
    with child(IN_A_STAGING_FOLDER, place) as dead:
        (next(place.glob("*/new")) / "linked").symlink_to(photos, target_is_directory=True)
        dead.kill()
        dead.wait()
    before = set(tmp_path.rglob("*"))
    files.make_folder(place)
    gone = before - set(tmp_path.rglob("*"))
    assert {path.name for path in gone if path.parent == place} == {
        path.parents[1].name for path in gone if path.stem == "photo"
    }
    assert len([path for path in gone if path.parent == place]) == 1
    assert (photos / "precious.jpg").read_bytes() == b"1"
    assert (place / ".mask-detector-notes" / "mine.txt").exists()
    assert (place / ".mask-detector-linked").is_symlink()


def test_a_second_run_for_the_same_folder_is_refused_before_its_work(tmp_path: Path) -> None:
    with (
        child(IN_A_FOLDER, tmp_path / "out") as first,
        pytest.raises(OutputError, match=r"out: another run is writing it: wait for that, or choose another --out"),
        files.new_folder(tmp_path / "out", "--out"),
    ):
        raise AssertionError("the first is still at work")
    first.wait()
    with files.new_folder(tmp_path / "out") as folder:
        (folder / "mine").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


def overtaken(folder: Path, may_replace: Callable[[Path], object] | None = None) -> None:
    with files.new_folder(folder, may_replace=may_replace) as new:
        (new / "mine").touch()
        folder.mkdir()
        (folder / "theirs").touch()


def test_a_folder_that_somebody_made_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is there and not empty"):
        overtaken(tmp_path / "out")
    with pytest.raises(OutputError, match="was made by another run meanwhile"):
        overtaken(tmp_path / "new", lambda _: None)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == [
        "new",
        "new/theirs",
        "out",
        "out/theirs",
    ]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no such signal")
def test_a_kill_between_the_two_moves_of_a_replacement_does_not_lose_the_old_folder(tmp_path: Path) -> None:
    code = """
import os, signal
rename = Path.rename
def one_rename(self, target):
    rename(self, target)
    os.kill(os.getpid(), signal.SIGKILL)
print("go", flush=True)
with files.new_folder(Path(sys.argv[1]), may_replace=lambda _: None) as folder:
    (folder / "new").touch()
    Path.rename = one_rename
"""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("precious")
    with child(code, tmp_path / "out") as process:
        assert process.wait(60) == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    files.make_folder(tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["out", "out/old"]
    assert (tmp_path / "out" / "old").read_text() == "precious"


def test_two_runs_at_once_in_a_folder_that_is_added_to_are_refused(tmp_path: Path) -> None:
    code = "with files.alone(Path(sys.argv[1])):\n    print('go', flush=True)\n    time.sleep(60)"
    with (
        child(code, tmp_path) as first,
        pytest.raises(OutputError, match="another run is at work there: wait until it has ended"),
        files.alone(tmp_path),
    ):
        raise AssertionError("the first is still at work")
    first.wait()
    assert staging.was_abandoned(tmp_path)
    with files.alone(tmp_path):
        assert not staging.was_abandoned(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_many_processes_never_take_the_same_name(tmp_path: Path) -> None:
    code = """
print("go", flush=True)
time.sleep(max(0, float(sys.argv[3]) - time.time()))
for number in range(100):
    files.write_file(Path(sys.argv[1]) / "door.jpg", f"{sys.argv[2]} {number}".encode(), free=True)
"""
    start = time.time() + 5
    commands = [child(code, tmp_path, who, start) for who in range(3)]
    processes = [command.__enter__() for command in commands]
    assert [process.wait(120) for process in processes] == [0, 0, 0]
    for command in commands:
        command.__exit__(None, None, None)
    assert len(list(tmp_path.iterdir())) == 300
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 300


@pytest.mark.parametrize("there", ["file", "folder", "dangling link"])
def test_a_file_never_replaces_what_is_there_unless_it_may(tmp_path: Path, there: str) -> None:
    path = tmp_path / "a.csv"
    if there == "file":
        path.write_bytes(b"precious")
    elif there == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputError, match=r"a\.csv: exists already: remove it or choose another name"):
        files.write_file(path, b"new")
    assert files.write_file(path, b"new", free=True) == tmp_path / "a-2.csv"
    assert not (tmp_path / "nowhere").exists()
    assert there != "file" or path.read_bytes() == b"precious"
    if there != "folder":
        files.write_file(path, b"new", replace=True)
        assert path.read_bytes() == b"new"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a-2.csv", "a.csv"]


def test_a_file_system_without_hard_links_has_whole_files_and_replaces_nothing_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    files.write_file(tmp_path / "a", b"1")
    with pytest.raises(OutputError, match="exists already"):
        files.write_file(tmp_path / "a", b"2")
    assert files.write_file(tmp_path / "a", b"2", free=True) == tmp_path / "a-2"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"1", "a-2": b"2"}


def test_a_result_whose_name_was_taken_during_the_work_is_kept_under_the_next(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "r.json").write_bytes(b"theirs")
    files.write_late(tmp_path / "r.json", b"mine")
    assert caplog.messages == [
        f"{tmp_path / 'r.json'} was made by another run meanwhile: this result is in {tmp_path / 'r-2.json'}"
    ]
    assert (tmp_path / "r.json").read_bytes() == b"theirs"
    assert (tmp_path / "r-2.json").read_bytes() == b"mine"


def test_where_files_cannot_be_locked_nothing_is_taken_for_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(fcntl, "flock", unsupported)
    with staging.staging_folder(tmp_path) as stage:
        staging.sweep(tmp_path)
        assert stage.is_dir()
        files.write_file(tmp_path / "a", b"1")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def stopped_within(done: list[str]) -> None:
    with staging.uninterrupted():
        signal.raise_signal(signal.SIGINT)
        done.append("still here")
    done.append("too late")


def test_ctrl_c_comes_after_a_short_block_and_not_within() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        stopped_within(done)
    assert done == ["still here"]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.skipif(os.name == "nt", reason="Windows has a shell of its own")
def test_a_line_for_the_shell_says_the_same_words_again() -> None:
    words = ["labelImg", Path("my photos/it's"), "a;b", "plain"]
    line = files.shell_line(*words)
    assert line.endswith(" plain")
    said = subprocess.run(["bash", "-c", f"printf '%s\\n' {line}"], capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == [str(word) for word in words]
