"""A session is of the browser that used it first, and of Gradio's routes only those are served that the page needs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file

from detector.media import images

from .caller import META, Caller, record_of
from .conftest import ROOT, Demo, eventually, started

SIX = ROOT / "data/images/video_call_six.jpg"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with started(tmp_path_factory.mktemp("sessions")) as running:
        yield running


@pytest.fixture
def anna(page: Demo) -> Iterator[Caller]:
    """A visitor with a page open and a picture in it."""
    with Caller(page.address) as caller, caller.page_open():
        assert "6 faces" in caller.look_at(SIX)
        yield caller


def uses(caller: Caller) -> list[tuple[str, str, Any]]:
    """Every way to name a session: method, route and body."""
    session, functions = {"session_hash": caller.session}, caller.functions
    data = {"data": ["One pass", 0.3, 0.6], **session}
    live = {"component_id": caller.components["live"], "fn_name": "live", "data": {"viewer": "x"}}
    return [
        ("POST", "run/change", data),
        ("POST", "api/change/", data),
        ("POST", "call/change", data),
        ("POST", "queue/join", {**data, "fn_index": functions["change"]["id"]}),
        ("POST", "queue/join?session_hash=another", {**data, "fn_index": functions["leave"]["id"], "data": []}),
        ("POST", "call/v2/change", {"param_0": "One pass", **session}),
        ("POST", "cancel", {**session, "fn_index": 0, "event_id": "x"}),
        ("POST", "component_server", {**live, **session}),
        ("GET", f"queue/data?session_hash={caller.session}", None),
        ("GET", f"queue/data?session_hash={caller.session}&session_hash=another", None),
        ("GET", f"queue/data?session_hash=another&session_hash={caller.session}", None),
        ("GET", f"queue/data?session%5Fhash={caller.session}", None),
        ("GET", f"heartbeat/{caller.session}", None),
        ("GET", f"heartbeat/%{ord(caller.session[0]):x}{caller.session[1:]}", None),
    ]


@pytest.mark.parametrize("loads", [True, False], ids=["another browser", "a program without a cookie"])
def test_who_knows_a_sessions_hash_neither_sees_nor_ends_it(loads: bool, page: Demo, anna: Caller) -> None:
    with Caller(page.address, loads=loads, session=anna.session) as mallory:
        for method, route, body in uses(anna):
            answer = mallory.http.request(method, f"/gradio_api/{route}", json=body)
            assert answer.status_code == 403, (route, answer.text)
            assert "not yours" in answer.text
        assert "not yours" in mallory.change()
    assert "6 faces" in anna.change()


def test_what_comes_without_a_session_sees_nobodys(page: Demo, anna: Caller) -> None:
    with Caller(page.address) as mallory:
        for body in ({}, {"session_hash": None}):
            answer = mallory.post("run/change", {"data": ["One pass", 0.3, 0.6], **body})
            assert "choose one" in answer.json()["data"][0]
        for wrong in ("", "a b", "a" * 65, "é", 1, [anna.session], {"session_hash": anna.session}):
            answer = mallory.post("run/change", {"data": ["One pass", 0.3, 0.6], "session_hash": wrong})
            assert answer.status_code == 400, wrong


def test_one_browser_may_have_many_pages_and_reload_each(page: Demo) -> None:
    with Caller(page.address) as first, Caller(page.address) as second:
        second.http.cookies = first.http.cookies
        assert "6 faces" in first.look_at(SIX)
        assert "choose one" in second.change()
        cookie = first.http.cookies["mask-detector"]
        assert first.http.get("/").headers.get("set-cookie") is None
        assert first.http.cookies["mask-detector"] == cookie
        assert "6 faces" in first.change()


def test_the_cookie_is_no_scripts_and_not_sent_along_from_elsewhere(page: Demo) -> None:
    for route in ("/", "/config"):
        cookie = httpx.get(page.address + route).headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert "Secure" not in cookie
    behind = httpx.get(page.address, headers={"x-forwarded-proto": "https"})
    assert "; Secure" in behind.headers["set-cookie"]
    assert "set-cookie" not in httpx.get(f"{page.address}/theme.css").headers


def test_a_result_is_served_to_whose_it_is_and_an_upload_to_who_knows_its_hash(page: Demo, clip: Path) -> None:
    with Caller(page.address) as anna, Caller(page.address) as mallory:
        upload = anna.upload(clip, "door.mp4")
        video = {"path": upload, "orig_name": "door.mp4", **META}
        film = record_of(anna.ask("watch", [video, "One pass", 0.25, 0.6]))[1]["path"]
        assert anna.http.get(f"/gradio_api/file={film}").content[4:8] == b"ftyp"
        assert anna.http.get(f"/gradio_api/file={film}", headers={"range": "bytes=0-9"}).status_code == 206
        assert mallory.http.get(f"/gradio_api/file={film}").status_code == 403
        assert mallory.http.get(f"/gradio_api/file/{film}").status_code == 403
        assert mallory.http.get(f"/gradio_api/file={upload}").status_code == 200
        refused = mallory.ask("watch", [{**video, "path": film}, "One pass", 0.25, 0.6])
        assert "door.mp4: is not here: send it again" in refused


def test_a_program_gets_its_video_without_cookie_and_session(page: Demo, clip: Path) -> None:
    with httpx.Client(base_url=page.address, timeout=60) as plain:
        upload = plain.post("/gradio_api/upload", files={"files": ("door.mp4", clip.read_bytes())}).json()[0]
        video = {"path": upload, "orig_name": "door.mp4", **META}
        answer = plain.post("/gradio_api/run/watch", json={"data": [video, "One pass", 0.25, 0.6]}).json()
        assert plain.get(f"/gradio_api/file={answer['data'][1]['path']}").content[4:8] == b"ftyp"


def test_gradios_own_client_gets_its_answers_and_its_video(page: Demo, clip: Path) -> None:
    client = Client(page.address, verbose=False)
    html, _ = client.predict(handle_file(SIX), "One pass", 0.25, 0.6, api_name="/look")
    assert "6 faces" in html
    assert "6 faces" in client.predict("One pass", 0.3, 0.6, api_name="/change")[0]
    film = client.predict({"video": handle_file(clip)}["video"], "One pass", 0.25, 0.6, api_name="/watch")[1]
    path = film["video"] if isinstance(film, dict) else film
    assert Path(path).read_bytes()[4:8] == b"ftyp"


def test_a_hundred_programs_do_not_take_a_visitors_picture(page: Demo, anna: Caller) -> None:
    def ask(number: int) -> str:
        with Caller(page.address, loads=number % 2 == 0) as program:
            return program.ask("change", ["One pass", 0.3, 0.6], "run")

    with ThreadPoolExecutor(4) as crowd:
        assert all("choose one" in answer for answer in crowd.map(ask, range(100)))
    assert "6 faces" in anna.change()
    anna.ask("leave", [], "run")  # her page is still open
    assert "6 faces" in anna.change()


def test_a_page_that_is_closed_takes_its_picture_along(page: Demo) -> None:
    with Caller(page.address) as anna:
        with anna.page_open():
            path = Path(anna.upload(images.encode(images.read(SIX)[:400], ".jpg"), "mine.jpg"))
            anna.look({"path": str(path), "orig_name": "mine.jpg", **META})
            assert path.exists()
        eventually(lambda: not path.exists(), 40)
        assert "choose one" in anna.change()


SERVED_NOT = [
    ("GET", "/gradio_api/file={secret}"),
    ("HEAD", "/gradio_api/file={secret}"),
    ("GET", "/gradio_api/file/{secret}"),
    ("GET", "/gradio_api/file={folder}/../../{up}{secret}"),
    ("GET", "/gradio_api/file=/proc/self/environ"),
    ("GET", "/gradio_api/file=/proc/self/root{secret}"),
    ("GET", "/gradio_api/file=file://{secret}"),
    ("GET", "/gradio_api/file={folder}/.lock"),
    ("GET", "/gradio_api/file={folder}/.mask-detector"),
    ("GET", "/gradio_api/file={folder}"),
    ("GET", "/gradio_api/file=data/images/video_call_six.jpg"),
    ("GET", "/gradio_api/file=.gradio/cached_examples/1"),
    ("GET", "/gradio_api/file={address}/config"),
    ("GET", "/gradio_api/file=https://example.org/"),
    ("GET", "/gradio_api/proxy={address}/config"),
    ("GET", "/gradio_api/proxy=https://example.org/"),
    ("GET", "/gradio_api/deep_link?session_hash={session}"),
    ("GET", "/gradio_api/stream/{session}/run/1/playlist.m3u8"),
    ("GET", "/gradio_api/stream/{session}/run/1/playlist-file"),
    ("GET", "/gradio_api/stream/{session}/run/1/..%2F..%2F.ts"),
    ("POST", "/gradio_api/stream/{session}"),
    ("POST", "/gradio_api/stream/{session}/close"),
    ("GET", "/gradio_api/custom_component/image/client/component/..%2F..%2Fimage.py"),
    ("GET", "/gradio_api/dev/reload"),
    ("GET", "/gradio_api/runs"),
    ("POST", "/gradio_api/run-history/connect"),
    ("POST", "/gradio_api/process_recording"),
    ("POST", "/gradio_api/vibe-edit"),
    ("POST", "/gradio_api/undo-vibe-edit"),
    ("GET", "/gradio_api/vibe-code"),
    ("POST", "/gradio_api/vibe-code"),
    ("POST", "/gradio_api/vibe-starter-queries"),
    ("GET", "/gradio_api/profiling/traces"),
    ("POST", "/gradio_api/profiling/clear"),
    ("GET", "/gradio_api/mcp/sse"),
    ("PUT", "/gradio_api/upload"),
    ("DELETE", "/gradio_api/file={secret}"),
    ("GET", "/static/..%2F..%2F..%2F..%2Froutes.py"),
    ("GET", "/static{secret}"),
    ("GET", "/static/%2F{secret}"),
    ("GET", "/assets/..%2F..%2F..%2Froutes.py"),
    ("GET", "/svelte/..%2F..%2F..%2Froutes.py"),
    ("GET", "/monitoring"),
    ("GET", "/monitoring/summary"),
    ("GET", "/docs"),
]


@pytest.mark.parametrize(("method", "route"), SERVED_NOT)
def test_no_route_serves_another_file_or_does_something_else(
    method: str, route: str, page: Demo, tmp_path: Path
) -> None:
    (tmp_path / "secret.txt").write_text("very private")
    with Caller(page.address) as mallory:
        folder = Path(mallory.upload(SIX)).parents[1]

        def ask(secret: Path) -> httpx.Response:
            place = {"folder": folder, "up": "../" * 9, "address": page.address, "session": mallory.session}
            body = None if method in {"GET", "HEAD"} else {}
            return mallory.http.request(method, route.format(secret=secret, **place), json=body)

        there, nowhere = ask(tmp_path / "secret.txt"), ask(tmp_path / "nothing.txt")
    assert there.status_code in {307, 400, 403, 404, 405}
    assert "private" not in there.text
    assert there.text.replace("secret.txt", "nothing.txt") == nowhere.text
    assert there.status_code == nowhere.status_code


def test_only_the_live_view_can_be_called_on_a_component(page: Demo) -> None:
    with Caller(page.address) as mallory:
        for function in ("preprocess", "postprocess", "move_resource_to_block_cache", "__init__", "ls", "get_config"):
            for component in {*mallory.components.values(), -1, 10**9}:
                body = {"component_id": component, "fn_name": function, "session_hash": mallory.session, "data": "/"}
                if component in mallory.components.values():
                    assert mallory.post("component_server", body).status_code == 404
        blob = {"component_id": "1", "fn_name": "live", "session_hash": "x", "data": "{}"}
        files = {"files": ("x", b"y")}
        answer = mallory.http.post("/gradio_api/component_server", data=blob, files=files)
        assert answer.status_code == 400


@pytest.mark.parametrize(
    "name", ["../../x.jpg", "/etc/x.jpg", "..", ".", "", "a\0b.jpg", "😀" * 80 + ".jpg", "a" * 4000]
)
def test_an_upload_lies_in_its_own_folder_whatever_its_name(name: str, page: Demo) -> None:
    with Caller(page.address) as mallory:
        head = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
        mime = {"content-type": "multipart/form-data; boundary=x"}
        body = head + SIX.read_bytes() + b"\r\n--x--\r\n"
        answer = mallory.http.post("/gradio_api/upload", content=body, headers=mime)
        if answer.status_code == 200:
            path = Path(answer.json()[0])
            assert path.resolve().parents[3] == page.temporary.resolve()
            assert "6 faces" in mallory.look({"path": str(path), "orig_name": name, **META})
        else:
            assert answer.status_code == 400
        eventually(lambda: not list(page.temporary.glob("*/new/tmp*")))


@pytest.mark.parametrize(
    "name", ["😀" * 80 + ".mp4", "a\0b.mp4", "\ud83d.mp4", "../x.mp4", "a" * 5000, "\n", "C:\\x.mp4"]
)
def test_a_video_may_have_any_name(name: str, page: Demo, clip: Path) -> None:
    with Caller(page.address) as anna:
        video = {"path": anna.upload(clip, "door.mp4"), "orig_name": name, **META}
        assert "20 frames" in anna.ask("watch", [video, "One pass", 0.25, 0.6], "run")


def test_nothing_that_is_told_to_strangers_has_a_path_of_this_computer(page: Demo) -> None:
    for route in ("/", "/config", "/gradio_api/info", "/gradio_api/openapi.json", "/theme.css", "/manifest.json"):
        text = httpx.get(page.address + route).text
        for path in (ROOT, page.temporary, Path.home(), Path(images.__file__).parents[2]):
            assert len(path.parts) < 3 or str(path) not in text, route


def test_the_page_answers_only_what_it_can_be_asked(page: Demo) -> None:
    with Caller(page.address) as mallory:
        for wrong in (None, [], "example", 5, {"example": -1}, {"example": 99}, {"example": "0"}, {"path": [0]}):
            for tab, function in (("picture", "look"), ("picture", "drawn"), ("video", "start"), ("video", "progress")):
                assert mallory.serve(tab, function, wrong).json() == {"gone": True}, (function, wrong)


def test_a_request_that_is_no_json_or_endless_gets_one_line(page: Demo) -> None:
    with Caller(page.address) as mallory:
        for body in (b"", b"{", b"\xff", b"[" * 100_000, b'{"data":' + b"1" * 5000 + b"}"):
            assert mallory.http.post("/gradio_api/run/look", content=body).status_code == 400
        large = mallory.http.post("/gradio_api/run/look", content=b" " * (33 * 2**20))
        assert large.status_code == 413
        assert "8 MB" in large.text


def test_a_page_that_two_threads_open_at_once_is_one_visitors(page: Demo) -> None:
    with Caller(page.address) as anna:
        barrier = threading.Barrier(8)

        def ask(_: int) -> str:
            barrier.wait()
            return anna.post("run/change", {"data": ["One pass", 0.3, 0.6], "session_hash": anna.session}).text

        with ThreadPoolExecutor(8) as crowd:
            assert all("choose one" in answer for answer in crowd.map(ask, range(8)))
