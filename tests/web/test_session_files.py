"""Who is remembered, whose files are kept, and that nothing else is ever deleted."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from detector.web import sessions as sessions_module
from detector.web import uploads
from detector.web.sessions import Sessions
from detector.web.uploads import OWNED, FullError, Store


@pytest.fixture(autouse=True)
def nothing_is_young(monkeypatch: pytest.MonkeyPatch) -> None:
    """In these tests a file is not taken for one that is just arriving."""
    monkeypatch.setattr(uploads, "YOUNG_S", 0)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A page's own folder."""
    folder = tmp_path / "page"
    folder.mkdir()
    (folder / OWNED).touch()
    return folder


def upload(place: Path, number: int = 1, size: int = 7) -> Path:
    """A file as Gradio files an upload."""
    path = place / f"{number:064x}" / "door.jpg"
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes(size))
    return path


def hold(sessions: Sessions, name: str, path: Path | None) -> None:
    sessions.hold(sessions.meet(name), "picture", path)


def test_a_file_goes_with_the_last_visitor_who_holds_it(place: Path) -> None:
    sessions, shared = Sessions(Store(place)), upload(place)
    for name in ("anna", "ben"):
        hold(sessions, name, shared)
    sessions.leave("anna")
    assert shared.exists()
    hold(sessions, "ben", None)
    assert not shared.parent.exists()


def test_what_one_visitor_names_and_lets_go_stays_with_who_sent_it(place: Path) -> None:
    sessions, path = Sessions(Store(place)), upload(place)
    sessions.store.await_([str(path)], "anna's browser")
    hold(sessions, "mallory", path)
    hold(sessions, "mallory", None)
    hold(sessions, "mallory", None)
    assert path.exists()
    sessions.hold(sessions.meet("anna", "anna's browser"), "picture", path)
    hold(sessions, "mallory", path)
    sessions.leave("mallory")
    assert path.exists()
    sessions.leave("anna")
    assert not path.exists()


def test_an_upload_that_no_page_shows_goes_after_a_minute(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions, path = Sessions(Store(place)), upload(place)
    sessions.store.await_([str(path)], "anna")
    sessions.sweep()
    assert path.exists()
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 61)
    sessions.sweep()
    assert not path.exists()


def test_what_is_just_arriving_is_not_swept(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "YOUNG_S", 60)
    path, part = upload(place), place / "tmpabc"
    part.touch()
    Sessions(Store(place)).sweep()
    assert path.exists()
    assert part.exists()


def test_parts_of_an_upload_that_broke_off_go_with_the_last_that_arrives(place: Path) -> None:
    store, part = Store(place), place / "tmpabc"
    with store.arriving("anna", 10):
        with store.arriving("ben", 10):
            part.touch()
        assert part.exists()
    assert not part.exists()
    assert (place / OWNED).exists()


def test_a_part_that_has_not_grown_for_long_goes_while_others_arrive(place: Path) -> None:
    store, broken, growing = Store(place), place / "tmpabc", place / "tmpdef"
    broken.touch()
    growing.touch()
    os.utime(broken, (time.time() - 51,) * 2)
    os.utime(growing, (time.time() - 20,) * 2)
    with store.arriving("anna", 10):
        store.sweep()
        assert (broken.exists(), growing.exists()) == (False, True)


@pytest.mark.parametrize("away", ["folder", "link in", "link of a folder", "part"])
def test_what_lies_elsewhere_is_never_deleted(away: str, place: Path, tmp_path: Path) -> None:
    sessions, private = Sessions(Store(place)), tmp_path / "private" / "letter.txt"
    private.parent.mkdir()
    private.write_text("private")
    path = private
    if away == "link in":
        path = upload(place).with_name("link.txt")
        path.symlink_to(private)
    elif away == "link of a folder":
        (place / f"{2:064x}").symlink_to(private.parent)
        path = place / f"{2:064x}" / "letter.txt"
    elif away == "part":
        path = place / "tmplink"
        path.symlink_to(private)
    hold(sessions, "mallory", path)
    hold(sessions, "mallory", None)
    sessions.sweep()
    assert private.read_text() == "private"


def test_in_a_folder_that_others_use_too_only_what_was_held_here_goes(tmp_path: Path) -> None:
    sessions, mine, theirs = Sessions(Store(tmp_path)), upload(tmp_path, 1), upload(tmp_path, 2)
    (tmp_path / "result-theirs").mkdir()
    hold(sessions, "anna", mine)
    sessions.leave("anna")
    sessions.sweep()
    assert (mine.exists(), theirs.exists(), (tmp_path / "result-theirs").exists()) == (False, True, True)


def test_an_open_page_is_not_forgotten_for_any_number_of_programs(place: Path) -> None:
    sessions, path = Sessions(Store(place), callers=3), upload(place)
    with sessions.page("anna"):
        hold(sessions, "anna", path)
        sessions.meet("anna").picture = "hers"
        for number in range(10):
            hold(sessions, f"program {number}", upload(place, 10 + number))
        assert sessions.meet("anna").picture == "hers"
        assert path.exists()
        assert len(sessions) == 4
        sessions.sweep()
        assert len(list(place.iterdir())) == 1 + 1 + 3
    assert not path.exists()


def test_programs_do_not_end_a_video(place: Path) -> None:
    sessions = Sessions(Store(place), callers=2)
    working = sessions.meet("a program")
    with sessions.working(working):
        result = sessions.folder(working)
        for number in range(10):
            sessions.meet(f"program {number}")
        assert not working.stop.is_set()
        assert sessions.meet("a program") is working
    for number in range(10):
        sessions.meet(f"program {number}")
    sessions.sweep()
    assert not result.exists()


def test_pages_are_bounded_too(place: Path) -> None:
    sessions = Sessions(Store(place), pages=2, callers=3)
    pages = [sessions.page(f"page {number}") for number in range(9)]
    for page in pages:
        page.__enter__()
    assert len(sessions) <= 2 + 3
    first = sessions.meet("page 0")
    for page in pages[1:]:
        page.__exit__(None, None, None)
    assert sessions.meet("page 0") is first
    assert not first.gone
    pages[0].__exit__(None, None, None)
    assert first.gone
    assert sessions._sessions.keys() <= {"page 0"}


def test_a_page_that_is_open_twice_is_left_when_both_are_closed(place: Path) -> None:
    sessions = Sessions(Store(place))
    with sessions.page("anna"):
        anna = sessions.meet("anna")
        with sessions.page("anna"):
            pass
        sessions.leave("anna")  # Gradio says this for each connection
        assert not anna.gone
    assert anna.gone


def test_a_program_that_is_away_is_forgotten(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions, path = Sessions(Store(place)), upload(place)
    hold(sessions, "a program", path)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + sessions_module.AWAY_S + 1)
    sessions.sweep()
    assert len(sessions) == 0
    assert not path.exists()


def test_a_session_is_its_first_owners(place: Path) -> None:
    sessions = Sessions(Store(place))
    assert sessions.admits("session", "anna")
    assert sessions.admits("session", "anna")
    assert not sessions.admits("session", "ben")
    sessions.meet("session", "anna").picture = "hers"
    assert sessions.meet("session", "ben").picture is None
    assert sessions.meet("session", "anna").picture == "hers"


def test_a_result_goes_with_its_visitor_and_with_the_next_result(place: Path) -> None:
    sessions = Sessions(Store(place))
    first = sessions.folder(sessions.meet("anna"))
    (first / "door.mp4").write_bytes(b"video")
    second = sessions.folder(sessions.meet("anna"))
    assert (first.exists(), second.exists()) == (False, True)
    sessions.leave("anna")
    assert not second.exists()


def test_requests_without_a_session_share_nothing(place: Path) -> None:
    sessions = Sessions(Store(place))
    one, other = sessions.meet(None), sessions.meet(None)
    one.picture = "mine"
    assert other.picture is None


def test_a_result_stays_until_its_video_is_closed_though_the_visitor_has_left(place: Path) -> None:
    sessions, results = Sessions(Store(place)), []
    begun, go_on = threading.Event(), threading.Event()

    def work() -> None:
        anna = sessions.meet("anna")
        with sessions.working(anna):
            results.append(sessions.folder(anna))
            begun.set()
            go_on.wait(10)

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(10)
    sessions.leave("anna")
    sessions.sweep()
    assert results[0].exists()
    go_on.set()
    thread.join(10)
    sessions.sweep()
    assert not results[0].exists()


def test_a_visitor_has_so_much_room_and_all_together_too(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "ROOM_FOR_EACH", 100)
    monkeypatch.setattr(uploads, "ROOM", 150)
    store, path = Store(place), upload(place, size=60)
    store.keep(str(store.key(path)), "her page", "anna")
    with pytest.raises(FullError, match="on this page: remove files"), store.arriving("anna", 50):
        pass
    with store.arriving("anna", 30), pytest.raises(FullError, match="remove files"), store.arriving("anna", 30):
        pass
    with store.arriving("ben", 80), pytest.raises(FullError, match="no room for more"), store.arriving("clara", 20):
        pass
    with store.arriving("clara", 80):
        pass


def test_an_upload_is_a_file_in_a_folder_named_by_a_hash_in_the_store_and_nothing_else(place: Path) -> None:
    store, path = Store(place), upload(place)
    assert store.key(path) == store.key(str(path)) == path.parent.name
    result = store.new_result("her page", "anna") / "film.mp4"
    result.touch()
    (place / "tmpabc").touch()
    others = [place, path.parent, result, place / OWNED, place / "tmpabc", f"{path}\0", f"{path}/", path.name, "", None]
    assert [store.key(each) for each in others] == [None] * len(others)
    readers = {(file, who): store.may_read(str(file), who) for file in (result, path) for who in ("anna", "ben")}
    assert readers == {(result, "anna"): True, (result, "ben"): False, (path, "anna"): True, (path, "ben"): True}
    assert not any(store.may_read(str(each), "anna") for each in others if each not in (None, result))
