"""icrawler itself, over real sockets, against a server of this machine that plays the search engines and the web."""

from __future__ import annotations

import csv
import hashlib
import html
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from detector import collect

trustme = pytest.importorskip("trustme", reason="the played search engines need TLS certificates")
pytest.importorskip("icrawler", reason="the extra labelling is not installed")

ROOT = Path(__file__).resolve().parents[2]
PHOTOS = [path.read_bytes() for path in sorted((ROOT / "data" / "images").glob("*.jpg"))]
ENGINES = ("www.bing.com", "api.flickr.com", "www.google.com", "image.baidu.com")


class Web:
    """Everything beyond this machine: a proxy that answers itself.

    ``answers`` maps a host, or host and path, to bytes, a status, or a function of the handler. ``results`` are the
    addresses that the engines find for a phrase.
    """

    def __init__(self, folder: Path) -> None:
        self.answers: dict[str, object] = {}
        self.results: dict[str, list[str]] = {}
        self.log: list[tuple[float, str, str]] = []
        authority = trustme.CA()
        self.bundle = folder / "authority.pem"
        authority.cert_pem.write_to_path(str(self.bundle))
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*ENGINES).configure_cert(self.tls)

    def photo(self, number: int, host: str = "images.example") -> str:
        """Put a photograph on the web; returns its address."""
        self.answers[f"{host}/{number}.jpg"] = PHOTOS[number]
        return f"http://{host}/{number}.jpg"

    def asked(self, host: str) -> list[str]:
        return [path for _, name, path in self.log if name == host]

    def answer(self, handler: BaseHTTPRequestHandler, host: str, path: str) -> None:
        self.log.append((time.monotonic(), host, path))
        found = self.answers.get(f"{host}{path}", self.answers.get(host))
        if found is None:
            found = {"www.bing.com": self.bing, "api.flickr.com": self.flickr}.get(host, 404)
        if callable(found):
            found = found(handler, path)
        if isinstance(found, int):
            handler.send_error(found)
        elif isinstance(found, bytes):
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(found)))
            handler.end_headers()
            handler.wfile.write(found)

    def bing(self, _: BaseHTTPRequestHandler, path: str) -> bytes:
        query = parse_qs(urlsplit(path).query)
        first = int(query["first"][0])
        links = self.results.get(query["q"][0], [])[first : first + 20]
        codes = (html.escape(json.dumps({"murl": link}, separators=(",", ":"))) for link in links)
        return "".join(f'<div class="imgpt"><a class="iusc" m="{code}"></a></div>' for code in codes).encode()

    def flickr(self, _: BaseHTTPRequestHandler, path: str) -> bytes:
        query = parse_qs(urlsplit(path).query)
        if query["method"] == ["flickr.photos.search"]:
            links = self.results[query["text"][0]] if query["page"] == ["1"] else []
            photos = [{"id": str(index), "owner": "9@N0", "license": "4"} for index in range(len(links))]
            return json.dumps({"stat": "ok", "photos": {"photo": photos}}).encode()
        link = next(iter(self.results.values()))[int(query["photo_id"][0])]
        return json.dumps({"stat": "ok", "sizes": {"size": [{"label": "Large", "source": link}]}}).encode()


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    played = Web(tmp_path)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            host = address.hostname or self.headers["Host"]
            try:
                played.answer(self, host, self.path.removeprefix(f"http://{host}"))
            except OSError:
                self.close_connection = True

        def do_CONNECT(self) -> None:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self.connection = played.tls.wrap_socket(self.connection, server_side=True)
            self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", buffering=0)
            with self.connection, self.rfile, self.wfile:
                self.handle_one_request()

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            with suppress(OSError, ValueError):  # the client has gone, or was hung up on
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{server.server_address[1]}")
    for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(played.bundle))
    yield played
    server.shutdown()
    thread.join()
    server.server_close()


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def pictures(out: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in (out / "images").rglob("*") if path.is_file())


FLAGS = ("--pause", "0", "--min-side", "50")


def test_each_picture_is_kept_byte_for_byte_with_its_origin(
    web: Web, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    web.results = {"nurse & doctor": [web.photo(0), web.photo(1)], "市场": [web.photo(2)]}
    out = tmp_path / "found"
    flags = ["--phrase", "with_mask=nurse & doctor", "--phrase", "without_mask=市场"]
    assert collect.main(["--out", str(out), *flags, *FLAGS]) == 0
    table = rows(out / "provenance.csv")
    assert [(row["class"], row["phrase"], row["engine"], row["url"]) for row in table] == [
        ("with_mask", "nurse & doctor", "bing", "http://images.example/0.jpg"),
        ("with_mask", "nurse & doctor", "bing", "http://images.example/1.jpg"),
        ("without_mask", "市场", "bing", "http://images.example/2.jpg"),
    ]
    for number, row in enumerate(table):
        assert (out / row["file"]).read_bytes() == PHOTOS[number]
        assert (out / row["file"]).parent == out / "images" / row["class"]
        assert row["sha256"] == hashlib.sha256(PHOTOS[number]).hexdigest()
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row["date"])
    assert len(pictures(out)) == 3
    printed = capsys.readouterr().out
    assert "2 with_mask, 1 without_mask" in printed
    assert printed.count("new (no more results)\n") == 2


def test_the_same_command_goes_on_and_asks_for_nothing_twice(web: Web, tmp_path: Path) -> None:
    web.results = {"nurse": [web.photo(number) for number in range(6)]}
    out = tmp_path / "found"
    command = ["--out", str(out), "--phrase", "with_mask=nurse", *FLAGS]
    assert collect.main([*command, "--max", "2"]) == 0
    assert web.asked("images.example") == ["/0.jpg", "/1.jpg"]
    first = (out / "provenance.csv").read_bytes()
    assert collect.main([*command, "--max", "2"]) == 0  # complete: the engine is not even asked
    assert len(web.asked("www.bing.com")) == 1
    assert collect.main([*command, "--max", "5"]) == 0
    assert web.asked("images.example") == [f"/{number}.jpg" for number in range(5)]
    assert (out / "provenance.csv").read_bytes().startswith(first)
    assert len(pictures(out)) == 5


def test_what_is_no_picture_is_not_kept_and_not_asked_for_again(web: Web, tmp_path: Path) -> None:
    def endless(handler: BaseHTTPRequestHandler, _: str) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(PHOTOS[0] * 50)

    def claims_much(handler: BaseHTTPRequestHandler, _: str) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(10**12))
        handler.end_headers()

    web.answers |= {
        "bad.example/page.jpg": b"<html>not found</html>",
        "bad.example/cut.jpg": PHOTOS[1][:-500],
        "bad.example/gone.jpg": 404,
        "bad.example/busy.jpg": 503,
        "bad.example/endless.jpg": endless,
        "bad.example/huge.jpg": claims_much,
    }
    names = ("page", "cut", "gone", "busy", "endless", "huge")
    links = [f"http://bad.example/{name}.jpg" for name in names]
    web.results = {"nurse": [*links, "file:///etc/passwd.jpg", web.photo(3), web.photo(3, "copy.example")]}
    out = tmp_path / "found"
    command = ["--out", str(out), "--phrase", "with_mask=nurse", "--max-mb", "1", *FLAGS]
    assert collect.main(command) == 0
    assert pictures(out) == [PHOTOS[3]]
    skipped = {urlsplit(row["url"]).path: row["reason"] for row in rows(out / "skipped.csv")}
    assert skipped.pop("/3.jpg").startswith("the same file as images/with_mask/")
    assert skipped == {
        "/page.jpg": "text, perhaps a web page, and no picture",
        "/cut.jpg": "cut short: the end of the file is missing",
        "/gone.jpg": "answers 404",
        "/endless.jpg": "more than 1 MiB",
        "/huge.jpg": "more than 1 MiB",
    }
    web.log.clear()
    assert collect.main(command) == 0
    assert web.asked("bad.example") == ["/busy.jpg"]  # that may have been for now


def test_a_file_that_drips_is_given_up_for_now(web: Web, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def drips(handler: BaseHTTPRequestHandler, _: str) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:  # until the other side hangs up
            handler.wfile.write(b"\xff")
            time.sleep(0.02)

    web.answers["slow.example/a.jpg"] = drips
    web.results = {"nurse": ["http://slow.example/a.jpg", web.photo(0)]}
    began = time.monotonic()
    out = tmp_path / "found"
    assert collect.main(["--out", str(out), "--phrase", "a=nurse", "--timeout", "0.5", *FLAGS]) == 0
    assert time.monotonic() - began < 20
    assert pictures(out) == [PHOTOS[0]]
    assert "without a picture: 1 too slow" in capsys.readouterr().out
    assert not (out / "skipped.csv").exists()  # the next run asks again


def test_small_pictures_are_left(web: Web, tmp_path: Path) -> None:
    web.results = {"nurse": [web.photo(0)]}
    out = tmp_path / "found"
    assert collect.main(["--out", str(out), "--phrase", "a=nurse", "--pause", "0", "--min-side", "5000"]) == 0
    assert [row["reason"].partition(":")[0] for row in rows(out / "skipped.csv")] == ["too small"]
    assert rows(out / "provenance.csv") == []


def test_a_picture_that_lies_there_already_is_never_replaced(web: Web, tmp_path: Path) -> None:
    web.results = {"nurse": [web.photo(0)]}
    out = tmp_path / "found"
    command = ["--out", str(out), "--phrase", "a=nurse", *FLAGS]
    assert collect.main(command) == 0
    (row,) = rows(out / "provenance.csv")
    (out / row["file"]).write_bytes(b"edited by hand")
    header = (out / "provenance.csv").read_text().splitlines()[0]
    (out / "provenance.csv").write_text(header + "\nimages/a/half a row")  # a power cut
    assert collect.main(command) == 0
    assert (out / row["file"]).read_bytes() == b"edited by hand"
    (new,) = rows(out / "provenance.csv")
    assert (out / new["file"]).read_bytes() == PHOTOS[0]


def test_a_folder_of_something_else_is_refused(web: Web, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    assert collect.main(["--out", str(tmp_path / "mine"), "--phrase", "a=b"]) == 2
    assert "not empty, and no collection of this tool" in capsys.readouterr().err
    assert web.log == []


def test_between_two_requests_to_a_host_there_is_a_pause(web: Web, tmp_path: Path) -> None:
    web.results = {"nurse": [web.photo(0), web.photo(1), web.photo(2, "other.example")]}
    flags = ["--pause", "0.4", "--min-side", "50", "--max", "3"]
    assert collect.main(["--out", str(tmp_path / "found"), "--phrase", "a=nurse", *flags]) == 0
    times = {f"{host}{path}": moment for moment, host, path in web.log}
    assert times["images.example/1.jpg"] - times["images.example/0.jpg"] >= 0.4
    assert times["other.example/2.jpg"] - times["images.example/1.jpg"] < 0.4


def test_a_dry_run_sends_and_writes_nothing(web: Web, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert collect.main(["--out", str(tmp_path / "found"), "--dry-run", "--max", "7"]) == 0
    assert web.log == []
    assert not (tmp_path / "found").exists()
    printed = capsys.readouterr().out
    assert "with_mask: person wearing surgical mask: 7 to collect, 0 there" in printed
    assert "without_mask: " in printed


def test_the_licence_is_asked_of_the_engine(web: Web, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    web.results = {"nurse": [web.photo(0)]}
    command = ["--out", str(tmp_path / "found"), "--phrase", "a=nurse", "--licence", "publicdomain", *FLAGS]
    assert collect.main(command) == 0
    assert "filterui:license-L1" in unquote(web.asked("www.bing.com")[0])
    assert rows(tmp_path / "found" / "provenance.csv")[0]["licence"] == "searched for as publicdomain"
    assert collect.main([*command, "--search", "baidu"]) == 2
    assert "baidu cannot filter by it: use --search bing" in capsys.readouterr().err


def test_flickr_states_the_page_and_the_licence_of_each_picture(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    web.results = {"nurse": [web.photo(0), web.photo(1)]}
    flags = ["--phrase", "a=nurse", "--search", "flickr", "--licence", "commercial"]
    command = ["--out", str(tmp_path / "found"), *flags, *FLAGS]
    monkeypatch.delenv("FLICKR_APIKEY", raising=False)
    assert collect.main(command) == 2
    assert "set the variable FLICKR_APIKEY" in capsys.readouterr().err
    monkeypatch.setenv("FLICKR_APIKEY", "a key")
    assert collect.main(command) == 0
    table = rows(tmp_path / "found" / "provenance.csv")
    assert [(row["page"], row["licence"]) for row in table] == [
        (f"https://www.flickr.com/photos/9@N0/{index}", "CC BY 2.0") for index in (0, 1)
    ]
    assert parse_qs(urlsplit(web.asked("api.flickr.com")[0]).query)["license"] == ["4,5,6,7,8,9,10"]


@pytest.mark.parametrize("engine", ["bing", "google", "baidu"])
def test_a_page_that_icrawler_cannot_read_is_said(
    engine: str, web: Web, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    web.answers |= dict.fromkeys(ENGINES, b'{"antiFlag": 1, "message": "Forbid spider access"}')
    assert collect.main(["--out", str(tmp_path / "found"), "--phrase", "a=nurse", "--search", engine, *FLAGS]) == 1
    printed = capsys.readouterr()
    assert printed.err == f"warning: {engine} gave no results for 1 of 1 phrases: see --help about the engines\n"
    assert len(web.log) == 1


def test_without_internet_it_says_so_in_one_line_and_leaves_nothing(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody listens there
    assert collect.main(["--out", str(tmp_path / "found"), "--phrase", "a=nurse"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: www.bing.com cannot be reached (")
    assert "check the internet connection; the same command goes on where it stopped" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "found").exists()
    assert web.log == []


def test_a_connection_that_is_lost_on_the_way_ends_the_run_and_keeps_what_is_there(
    web: Web, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def hang_up(handler: BaseHTTPRequestHandler, _: str) -> None:
        handler.connection.close()

    lost = [f"http://lost-{number}.example/a.jpg" for number in range(12)]
    web.answers |= {f"lost-{number}.example": hang_up for number in range(12)}
    web.results = {"nurse": [web.photo(0), *lost]}
    assert collect.main(["--out", str(tmp_path / "found"), "--phrase", "a=nurse", *FLAGS]) == 2
    printed = capsys.readouterr()
    assert "10 hosts in a row do not answer" in printed.err
    assert pictures(tmp_path / "found") == [PHOTOS[0]]
    assert printed.out.splitlines()[0] == "a: nurse: 1 new (stopped); without a picture: 10 no answer"


def test_an_engine_that_has_enough_of_us_ends_the_run(
    web: Web, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    web.answers["www.bing.com"] = 429
    assert collect.main(["--out", str(tmp_path / "found"), "--phrase", "a=nurse", *FLAGS]) == 2
    assert "error: www.bing.com answers 429 (Too Many Requests): wait some hours" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a nurse", "line 1 has no class"),
        ("[with_mask]\n# none", "no phrases"),
        ("[../mine]\nnurse", "line 1: '../mine' cannot be a folder"),
    ],
)
def test_a_list_of_phrases_that_makes_no_sense_is_refused(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my.txt").write_text(text)
    assert collect.main(["--out", str(tmp_path / "found"), "--phrases", str(tmp_path / "my.txt")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "my.txt" in error


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process")
def test_after_ctrl_c_table_and_files_agree_and_the_same_command_goes_on(web: Web, tmp_path: Path) -> None:
    web.results = {"nurse": [web.photo(number) for number in range(12)]}
    out = tmp_path / "found"
    flags = ["--phrase", "a=nurse", "--pause", "0.2", "--min-side", "50", "--max", "12"]
    command = [sys.executable, "-m", "detector.collect", "--out", str(out), *flags]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and len(web.asked("images.example")) < 4:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "stopped\n")
    table = rows(out / "provenance.csv")
    assert 2 <= len(table) < 12
    assert sorted(row["file"] for row in table) == sorted(
        path.relative_to(out).as_posix() for path in (out / "images").rglob("*.*")
    )
    flags[3] = "0"
    done = subprocess.run(command[:5] + flags, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert "12 a" in done.stdout
    assert pictures(out) == sorted(PHOTOS[:12])
