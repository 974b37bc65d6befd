"""Whom the real page lets in: names, origins, passwords, cookies."""

from __future__ import annotations

import http.client
import json
import re
import socket
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio")
pytest.importorskip("resource")

import httpx
from gradio.tunneling import BINARY_FILENAME

from detector.media import images

from .attacked import Attacked, attacked
from .conftest import ROOT, eventually

pytestmark = pytest.mark.slow

PICTURE = images.encode(images.read(ROOT / "data/images/pair_one_mask.jpg"), ".jpg")
PASSWORD = "correct horse"  # noqa: S105 - of a page that lives for a minute
LINK = "f00ba7.gradio.live"
PROXY = "faces.example.org"
OPEN = {
    "/",
    "/login",
    "/login/",
    "/static/{path}",
    "/assets/{path}",
    "/svelte/{path}",
    "/theme.css",
    "/favicon.ico",
    "/robots.txt",
    "/manifest.json",
    "/gradio_api/theme.css",
    "/gradio_api/app_id",
    "/gradio_api/user",
    "/gradio_api/app_id/",
    "/gradio_api/user/",
    "/gradio_api/login_check",
    "/gradio_api/login_check/",
}
"""What the form to log in needs, and nothing of a visitor's."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """A page for this computer."""
    with attacked(tmp_path_factory.mktemp("page")) as running:
        yield running


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """A page with a password, a share link and a proxy before it. A script plays the program that opens the tunnel."""
    folder = tmp_path_factory.mktemp("guarded")
    tunnel = folder / "hf" / "gradio" / "frpc" / BINARY_FILENAME
    tunnel.parent.mkdir(parents=True)
    tunnel.write_text(f"#!/bin/sh\necho 'start proxy success: http://{LINK}'\nexec sleep 600\n", encoding="ascii")
    tunnel.chmod(tunnel.stat().st_mode | stat.S_IXUSR)
    env = {"HF_HOME": str(folder / "hf"), "GRADIO_SHARE_SERVER_ADDRESS": "127.0.0.1:9"}
    with attacked(folder, "--auth", f"guest:{PASSWORD}", "--share", "--allow-host", PROXY, env=env) as running:
        yield running


@cache
def routes() -> list[tuple[str, str]]:
    """All that Gradio would serve, (method, path). Asked in a process of its own: it leaves event loops open."""
    code = (
        "import gradio, json; from gradio.routes import App\n"
        "with gradio.Blocks() as blocks: print(json.dumps(App.create_app(blocks).openapi()['paths']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = [(method.upper(), path) for path, methods in json.loads(done.stdout).items() for method in methods]
    assert len(found) > 80
    return found


def filled(path: str) -> str:
    """A path without its gaps."""
    return "/".join("x" if part.startswith("{") else part.partition("{")[0] for part in path.split("/"))


def one_line(answer: httpx.Response) -> bool:
    return 400 <= answer.status_code < 500 and len(answer.text.splitlines()) == 1 and len(answer.text) < 200


FOREIGN_HOSTS = [
    "evil.example",
    "evil.example:7860",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "evil@127.0.0.1",
    "127.0.0.1, evil.example",
    "127.0.0.1/evil",
    "evil.example:80:80",
    "[::1",
    "",
    "8.8.8.8",
    "[2001:db8::1]",
    "0",
    "localhost evil.example",
    "127.0.0.1:99999999",
    "xn--lcalhost-54a",
]


def test_a_name_that_is_not_the_pages_opens_no_route(page: Attacked) -> None:
    with page.client() as client:
        for method, path in [*routes(), ("HEAD", "/"), ("OPTIONS", "/"), ("GET", "/gradio_api/file=x")]:
            answer = client.request(method, filled(path), headers={"Host": "evil.example"})
            assert answer.status_code == 403, (method, path, answer.text[:200])
            assert method == "HEAD" or one_line(answer)


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_a_name_cannot_be_written_so_that_it_looks_like_the_pages(host: str, page: Attacked) -> None:
    with page.client() as client:
        for path in ("/", "/config", "/static/x"):
            answer = client.get(path, headers={"Host": host})
            assert answer.status_code in {400, 403}
            assert one_line(answer)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]:8080", "LOCALHOST:9", "localhost.", "127.0.0.1:1"])
def test_the_pages_own_names_open_it(host: str, page: Attacked) -> None:
    with page.client() as client:
        assert client.get("/", headers={"Host": host}).status_code == 200
        assert client.get("/", headers={"Host": host, "X-Forwarded-Host": "evil.example"}).status_code == 403


def test_gradio_takes_no_name_from_a_header(page: Attacked) -> None:
    with page.client() as client:
        assert "evil.example" not in client.get("/", headers={"X-Gradio-Server": "http://evil.example"}).text


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
    ],
)
def test_a_request_says_once_whom_it_asks(head: bytes, page: Attacked) -> None:
    with page.connect(head) as connection:
        assert connection.recv(100).split()[1] in {b"400", b"403"}


FOREIGN = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://localhost"},
    {"Origin": "https://127.0.0.1.evil.example"},
    {"Origin": "file://"},
    {"Origin": ""},
    {"Origin": "http://[::1"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    {"Sec-Fetch-Site": "same-site"},
    {"Referer": "http://evil.example/page"},
    {"Referer": "http://localhost:3000/"},
]


@pytest.mark.parametrize("size", [2, 33 << 20])
def test_a_refusal_comes_at_once_and_can_be_read_by_who_still_sends(size: int, page: Attacked) -> None:
    host, port = page.address.removeprefix("http://").split(":")
    head = f"POST /gradio_api/run/look HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: null\r\n"
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(f"{head}Content-Length: {size}\r\n\r\n".encode())
        answer = connection.recv(1 << 16)
        connection.sendall(bytes(size))
        answer += b"".join(iter(lambda: connection.recv(1 << 16), b""))
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert int(answer.lower().partition(b"content-length: ")[2].split()[0]) == len(answer.partition(b"\r\n\r\n")[2])


def test_who_is_refused_and_sends_on_without_end_is_hung_up_on(page: Attacked) -> None:
    host, port = page.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(f"POST /nothing HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 9\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))  # the body never comes
    assert answer.startswith(b"HTTP/1.1 404 ")


def test_a_post_of_another_sites_page_reaches_no_route(page: Attacked) -> None:
    before = page.uploads()
    with page.client() as client:
        for path in sorted({filled(path) for method, path in routes() if method == "POST"}):
            answer = client.post(path, files={"files": ("a.jpg", PICTURE)}, headers={"Origin": "http://evil.example"})
            assert answer.status_code == 403, (path, answer.text[:200])
    assert page.uploads() == before


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_a_foreign_origin_is_known_however_it_shows(headers: dict[str, str], page: Attacked) -> None:
    before = page.uploads()
    with page.client() as client:
        for path in ("/gradio_api/upload", "/gradio_api/queue/join"):
            assert one_line(client.post(path, files={"files": ("a.jpg", PICTURE)}, headers=headers))
            assert client.post(path, headers=headers).status_code == 403
    assert page.uploads() == before


def test_a_link_on_another_site_leads_to_the_front_door_only(page: Attacked) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    with page.client() as client:
        assert client.get("/?__theme=dark", headers=link).status_code == 200
        for path in ("/logout", "/config", "/gradio_api/info", "/gradio_api/file=x"):
            assert client.get(path, headers=link).status_code == 403, path


def test_the_pages_own_post_is_taken(page: Attacked) -> None:
    with page.client() as client:
        own = {"Origin": page.address, "Referer": f"{page.address}/", "Sec-Fetch-Site": "same-origin"}
        answer = client.post("/gradio_api/upload", files={"files": ("a.jpg", PICTURE)}, headers=own)
        assert answer.status_code == 200
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'self'" in answer.headers["Content-Security-Policy"]


def test_a_share_link_and_a_proxy_that_is_allowed_open_the_page(guarded: Attacked) -> None:
    assert f"for others:       https://{LINK}" in guarded.said()
    with guarded.client() as client:
        for name in (LINK, PROXY):
            through = {"Host": name, "Origin": f"https://{name}", "X-Forwarded-Proto": "https"}
            assert client.get("/", headers=through).status_code == 200
            behind = {"Origin": f"https://{name}", "X-Forwarded-Host": name}
            assert client.get("/", headers=behind).status_code == 200
            assert "frame-ancestors" not in client.get("/", headers=through).headers.get("content-security-policy", "")
        assert client.get("/", headers={"Host": "other.gradio.live"}).status_code == 403
        assert client.get("/", headers={"Host": f"not{PROXY}"}).status_code == 403


WRONG_COOKIES = ["", "x", "None", "null", "0", "a" * 5000, '" "', "guest"]


@pytest.mark.parametrize("cookie", WRONG_COOKIES, ids=lambda value: value[:10] or "none")
def test_without_a_login_no_route_answers(cookie: str, guarded: Attacked) -> None:
    with guarded.client() as client:
        names = ["access-token", "access-token-unsecure", f"access-token-{client.get('/gradio_api/app_id').text}"]
        headers = {"Cookie": "; ".join(f"{name}={cookie}" for name in names)} if cookie else {}
        closed = [(method, path) for method, path in routes() if path not in OPEN]
        assert len(closed) > 60
        asked = closed if cookie in {"", "x"} else [("GET", "/config"), ("POST", "/gradio_api/upload")]
        for method, path in [*asked, ("GET", f"/gradio_api/file={ROOT}/README.md"), ("DELETE", "/config")]:
            answer = client.request(method, filled(path) if "{" in path else path, headers=headers, json={})
            assert answer.status_code == 401, (method, path, answer.status_code, answer.text[:200])
        assert "looker" not in client.get("/", headers=headers).text


def log_in(client: httpx.Client, password: str, address: str = "") -> httpx.Response:
    headers = {"X-Forwarded-For": address} if address else {}
    return client.post("/login", data={"username": "guest", "password": password}, headers=headers)


def guess(page: Attacked, tries: int, addresses: list[str]) -> Counter[int]:
    """Guess from many connections at once; how often each status was the answer."""

    def work(number: int) -> int:
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Forwarded-For": addresses[number % len(addresses)],
        }
        with closing(http.client.HTTPConnection(page.host, page.port, timeout=60)) as connection:
            connection.request("POST", "/login", f"username=guest&password=wrong{number}", headers)
            answer = connection.getresponse()
            assert answer.status != 429 or int(answer.headers["Retry-After"]) >= 1
            return answer.status

    with ThreadPoolExecutor(16) as crowd:
        return Counter(crowd.map(work, range(tries)))


def test_guessing_is_slowed_and_the_door_stays_open_for_the_right_password(guarded: Attacked) -> None:
    with guarded.client() as friend, guarded.client() as newcomer:
        assert log_in(friend, PASSWORD, "198.51.100.7").status_code == 200
        # A browser sends the cookie marked "Secure" over https only; the other one is for plain http.
        assert "looker" in friend.get("/").text
        began = time.monotonic()
        answers = guess(guarded, 300, ["203.0.113.5"])
        # Five at once, then after 1, 2, 4, 8 ... seconds.
        assert answers[400] <= 5 + (time.monotonic() - began) ** 0.5 + 3, answers
        assert answers[429] >= 200
        assert log_in(newcomer, PASSWORD, "203.0.113.6").status_code == 200, "another address is not held up"
        assert "looker" in friend.get("/").text, "who is in stays in"
        eventually(lambda: log_in(newcomer, PASSWORD, "203.0.113.5").status_code == 200, 60)
    assert "wrong1" not in guarded.said()
    assert PASSWORD not in guarded.said()


def test_who_logs_out_ends_no_other_visit(guarded: Attacked) -> None:
    with guarded.client() as one, guarded.client() as other:
        for client in (one, other):
            assert log_in(client, PASSWORD, "198.51.100.8").status_code == 200
        assert one.get("/logout").status_code == 302
        assert one.get("/config").status_code == 401
        assert other.get("/config").status_code == 200


def test_many_addresses_together_cannot_guess_faster_than_one_a_second(guarded: Attacked) -> None:
    with guarded.client() as friend:
        assert log_in(friend, PASSWORD, "198.51.100.7").status_code == 200
        began, held = time.monotonic(), guarded.megabytes()
        answers = guess(guarded, 500, [f"2001:db8:{number:x}::1" for number in range(500)])
        assert answers[400] <= 35 + (time.monotonic() - began), answers
        assert answers[429] > 300
        assert log_in(friend, PASSWORD, "198.51.100.7").status_code == 200, "who was right before is not held up"
        assert guarded.megabytes() - held < 100


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9", "socks4://x", "http://a:b:c", "x:y"])
def test_a_proxy_in_the_environment_and_an_ipv6_address_do_not_matter(proxy: str, tmp_path: Path) -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("there is no IPv6 here")
    nowhere = dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"), proxy)
    with attacked(tmp_path, host="::1", env={**nowhere, "NO_PROXY": "", "no_proxy": ""}) as running:
        assert f"http://[::1]:{running.port}/" in running.said()
        with running.client() as client:
            assert client.get("/", headers={"Origin": running.address}).status_code == 200
            assert client.get("/", headers={"Host": "evil.example"}).status_code == 403


def test_after_a_kill_the_page_starts_again_at_once_and_old_logins_are_void(tmp_path: Path) -> None:
    held: list[Any] = []
    with attacked(tmp_path, "--auth", f"guest:{PASSWORD}") as first:
        client = first.client()
        assert log_in(client, PASSWORD).status_code == 200
        held = [first.connect(b"GET / HTTP/1.1\r\n") for _ in range(20)]
        first.process.kill()
        first.process.wait()
    with attacked(tmp_path, "--auth", f"guest:{PASSWORD}", port=first.port):
        assert client.get("/config").status_code == 401
        assert log_in(client, PASSWORD).status_code == 200
        assert client.get("/config").status_code == 200
    client.close()
    for connection in held:
        connection.close()


def test_a_link_shows_the_products_own_title_sentence_and_picture(page: Attacked) -> None:
    text = httpx.get(page.address).text
    assert "Gradio" not in "".join(re.findall(r"<title>.*?</title>|<meta[^>]*>", text))
    found = dict(re.findall(r'<meta property="og:(\w+)" content="([^"]*)"', text))
    assert found["title"] == "Mask detector"
    assert "who wears a mask" in found["description"]
    picture = httpx.get(found["image"])
    assert picture.headers["content-type"] == "image/jpeg"
    assert images.decode(picture.content, "preview").shape == (630, 1200, 3)
