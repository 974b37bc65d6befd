"""The real page under floods: connections, messages and camera pictures that cost it more than those who send them."""

from __future__ import annotations

import base64
import json
import resource
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import psutil
import pytest

pytest.importorskip("gradio")

from detector.media import images

from .attacked import Attacked, attacked
from .conftest import ROOT, eventually

pytestmark = pytest.mark.slow

FILES = 1024
IDLE = 1100
JPEG = images.encode(images.read(ROOT / "data/images/pair_one_mask.jpg")[:480, :640], ".jpg")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """A page that may open 1,024 files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * IDLE:
        pytest.skip("this process may not open enough connections")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * IDLE), hard))
    hasty = {"connections.HEAD_S": 4, "connections.TICK_S": 2}  # twice as fast, so that the tests wait half as long
    with attacked(tmp_path_factory.mktemp("page"), files=FILES, limits=hasty) as running:
        yield running
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def answers(page: Attacked) -> bool:
    """Whether somebody who comes now gets the page."""
    with page.client() as client:
        return client.get("/").status_code == 200


def closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1 << 16) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_connections_that_say_nothing_block_nobody_and_are_closed(page: Attacked) -> None:
    halves = [
        b"",
        b"G",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n",
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 500,
    ]
    with ExitStack() as stack:
        idle = [stack.enter_context(page.connect(halves[number % 4])) for number in range(IDLE)]
        for _ in range(3):
            assert answers(page)
        assert psutil.Process(page.process.pid).num_fds() < FILES - 256
        eventually(lambda: all(closed(connection) for connection in idle), 60)


def test_a_body_that_trickles_is_given_up(page: Attacked) -> None:
    head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: 100000\r\n\r\n"
    kinds = [
        (b"/gradio_api/upload", b"multipart/form-data; boundary=x"),
        (b"/gradio_api/queue/join", b"application/json"),
        (b"/login", b"application/x-www-form-urlencoded"),
    ]
    with ExitStack() as stack:
        slow = [stack.enter_context(page.connect(head % kind)) for kind in kinds for _ in range(20)]
        slow += [stack.enter_context(page.connect(b"GET / HTTP/1.1\r\n")) for _ in range(20)]
        end = time.monotonic() + 60
        while any(not closed(connection) for connection in slow):
            assert time.monotonic() < end
            for connection in slow:
                with suppress(OSError):
                    connection.send(b"a")
            time.sleep(1)
        assert answers(page)


def test_answers_that_nobody_reads_or_ends_leave_room_for_others(page: Attacked) -> None:
    before = page.megabytes()
    with ExitStack() as stack:
        beats = [
            stack.enter_context(
                page.connect(b"GET /gradio_api/heartbeat/s%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % number)
            )
            for number in range(400)
        ]
        got = Counter(connection.recv(12)[9:12] for connection in beats)
        assert got[b"200"] == FILES // 8
        assert got[b"503"] == 400 - FILES // 8
        assert answers(page)
        greedy = b"GET /config HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50
        for _ in range(100):
            stack.enter_context(page.connect(greedy))
        for _ in range(3):
            assert answers(page)
        assert page.megabytes() - before < 200
    with page.client() as client:
        eventually(lambda: _beats(client), 30)


def _beats(client: httpx.Client) -> bool:
    with client.stream("GET", "/gradio_api/heartbeat/mine") as answer:
        return answer.status_code == 200


def test_requests_that_are_too_large_are_refused_without_being_held(page: Attacked) -> None:
    before = page.megabytes()

    def post(kind: str) -> int:
        with page.client() as client:
            body = b'{"data": ["' + b"a" * 2**20 * 9
            content: Any = (body[start : start + 65536] for start in range(0, len(body), 65536))  # chunked: no length
            try:
                form = {"Content-Type": "application/x-www-form-urlencoded"}
                return client.post(kind, content=content, headers=form).status_code
            except httpx.TransportError:
                return 413  # it was closed while we still sent

    routes = ["/gradio_api/queue/join", "/gradio_api/component_server", "/gradio_api/call/look", "/login"] * 8
    with ThreadPoolExecutor(16) as crowd:
        assert set(crowd.map(post, routes)) <= {413, 503}
    with page.client() as client:
        for path, size in (("/gradio_api/queue/join", 2**24), ("/login", 2**17), ("/gradio_api/upload", 2**28)):
            with page.connect(
                b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (path.encode(), size)
            ) as one:
                assert b" 413 " in one.recv(100)
        for length in ("-1", "1e3", "9" * 30, "0x10"):
            with page.connect(
                f"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n".encode()
            ) as one:
                assert one.recv(100)[9:12] in {b"400", b"413"}
        assert client.get("/").status_code == 200
    assert page.megabytes() - before < 300


def test_an_upload_without_a_length_is_refused_once_it_is_too_large(tmp_path: Path) -> None:
    def body(files: int) -> Iterator[bytes]:
        for number in range(files):
            yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="%d.mp4"\r\n\r\n' % number
            yield bytes(400_000) + b"\r\n"
        yield b"--x--\r\n"

    form = {"Content-Type": "multipart/form-data; boundary=x"}
    with attacked(tmp_path, limits={"server.MAX_BYTES": 2**20}) as small, small.client() as client:
        assert client.post("/gradio_api/upload", content=body(2), headers=form).status_code == 200
        with suppress(httpx.TransportError):  # it was closed while we still sent
            assert client.post("/gradio_api/upload", content=body(20), headers=form).status_code == 413
        eventually(lambda: sorted(small.uploads()) == ["0.mp4", "1.mp4"])  # parts of the other are gone
        assert client.get("/").status_code == 200


@pytest.fixture(scope="module")
def live(page: Attacked) -> Any:
    """Send the live view a message; returns the answer."""
    with page.client() as client:
        parts = client.get("/config").json()["components"]
        number = next(part["id"] for part in parts if part["props"].get("elem_id") == "live")

    def send(data: Any, **others: Any) -> httpx.Response:
        body = {"session_hash": "mine", "component_id": number, "fn_name": "live", "data": data, **others}
        with page.client() as client:
            return client.post("/gradio_api/component_server", content=json.dumps(body))

    return send


def picture(data: bytes, viewer: str = "anna") -> dict[str, Any]:
    return {"viewer": viewer, "jpeg": base64.b64encode(data).decode(), "conf": 0.25, "engine": "One pass"}


ODD = [
    None,
    1,
    "text",
    [],
    [{}],
    {},
    {"viewer": {}},
    {"viewer": "😷" * 80, "jpeg": 1},
    {"viewer": "a\0b"},
    {"viewer": "\ud800"},
    {"jpeg": "ä" * 100},
    {"jpeg": {}},
    {"jpeg": "AAAA", "conf": float("nan")},
    {"jpeg": "AAAA", "engine": [1]},
]


@pytest.mark.parametrize("data", ODD, ids=lambda value: ascii(value)[:30])
def test_a_live_message_of_any_shape_gets_one_line(data: Any, live: Any) -> None:
    answer = live(data)
    assert len(answer.text.splitlines()) == 1
    assert (answer.status_code == 200 and set(answer.json()) == {"over"}) or answer.status_code == 400


@pytest.mark.parametrize(
    "others",
    [
        {"component_id": 9999},
        {"component_id": [1]},
        {"component_id": None},
        {"fn_name": 5},
        {"fn_name": "close"},
        {"session_hash": []},
        {"session_hash": "x" * 1000},
        {"session_hash": None},
        {"session_hash": "../x"},
    ],
    ids=str,
)
def test_a_live_message_for_nobody_is_refused(others: dict[str, Any], live: Any) -> None:
    assert live({}, **others).status_code in {400, 404}


BODIES = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"\xff\xfe\x00",
    b"[" * 100_000,
    b'{"a":' * 30_000,
    b'{"data":' + b"[" * 900 + b"]" * 900 + b"}",
    b'{"data":' + b"9" * 6000 + b"}",
    b'{"data":[],"session_hash":"\\u0000"}',
    b'{"fn_index":-1,"data":[],"session_hash":"s"}',
    b'{"fn_index":1e999,"data":[],"session_hash":"s"}',
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:20]))
def test_a_message_of_any_shape_ends_no_request_with_an_error_of_the_server(body: bytes, page: Attacked) -> None:
    with page.client() as client:
        for path in ("queue/join", "call/look", "call/v2/look", "component_server", "cancel"):
            answer = client.post(f"/gradio_api/{path}", content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code < 500, (path, answer.text[:200])
            assert len(answer.text.splitlines()) == 1


def sized(width: int, height: int, *, bits: int = 8, colours: int = 3, kind: int = 0xC0, scans: int = 1) -> bytes:
    """A JPEG whose header says what it likes."""
    whole = JPEG
    at = whole.index(b"\xff\xc0")
    length = struct.unpack_from(">H", whole, at + 2)[0]
    frame = struct.pack(">BBHBHHB", 0xFF, kind, 8 + 3 * colours, bits, height, width, colours)
    frame += b"".join(bytes([number + 1, 0x11, 0]) for number in range(colours))
    rest = whole[at + 2 + length :]
    return whole[:at] + frame + rest[:-2] + rest[rest.index(b"\xff\xda") : -2] * (scans - 1) + b"\xff\xd9"


def bombs() -> dict[str, bytes]:
    """Camera pictures that are small to send and costly to decode."""
    black = np.zeros((4000, 4000, 3), np.uint8)
    return {
        "png": cv2.imencode(".png", black)[1].tobytes(),
        "webp": cv2.imencode(".webp", black)[1].tobytes(),
        "gif": b"GIF89a" + struct.pack("<HH", 65535, 65535) + bytes(100),
        "jpeg of 16 megapixels": cv2.imencode(".jpg", black)[1].tobytes(),
        "jpeg that says 65,500": sized(65_500, 65_500),
        "jpeg one row too high": sized(64, 1921),
        "without a height": sized(640, 0),
        "12 bits": sized(640, 480, bits=12),
        "four colours": sized(640, 480, colours=4),
        "lossless": sized(640, 480, kind=0xC3),
        "arithmetic": sized(640, 480, kind=0xC9),
        "hundreds of scans": sized(1920, 1920, kind=0xC2, scans=300)[:1_400_000],
        "no jpeg at all": b"\xff\xd8" + bytes(1000),
        "header without end": b"\xff\xd8" + b"\xff\xe1\x00\x02" * 100_000,
    }


@pytest.mark.parametrize("name", sorted(bombs()))
def test_a_camera_picture_that_would_cost_much_is_refused_by_its_header(name: str, live: Any, page: Attacked) -> None:
    data = bombs()[name]
    assert len(data) < 1_450_000
    before = page.megabytes()

    def all_refused() -> bool:  # not before there is a place for each: those of the test before may still watch
        with ThreadPoolExecutor(4) as crowd:
            answers = list(crowd.map(lambda number: live(picture(data, f"bomber {number}")), range(4)))
        assert {answer.status_code for answer in answers} == {200}
        said = [set(answer.json()) for answer in answers]
        assert all(each in ({"over"}, {"wait"}) for each in said), said
        return all(each == {"over"} for each in said)

    eventually(all_refused, 30)
    assert page.megabytes() - before < 60


def test_of_one_viewer_one_picture_is_looked_at_at_a_time(live: Any) -> None:
    with ThreadPoolExecutor(12) as crowd:
        said = [answer.json() for answer in crowd.map(lambda _: live(picture(JPEG, "ben")), range(12))]
    assert all(set(each) == {"wait"} or "faces" in each for each in said), said
    assert any("wait" in each for each in said)
    assert "faces" in live(picture(JPEG, "ben")).json()


def test_eight_watch_and_the_ninth_waits(live: Any) -> None:
    eventually(lambda: "faces" in live(picture(JPEG, "viewer 0")).json(), 30)  # who watched before has gone
    time.sleep(6)
    with ThreadPoolExecutor(9) as crowd:
        said = [answer.json() for answer in crowd.map(lambda n: live(picture(JPEG, f"viewer {n}")), range(9))]
    assert sorted("faces" in each for each in said) == [False] + [True] * 8
    assert sum("people are watching" in each.get("wait", "") for each in said) == 1
