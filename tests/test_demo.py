"""The demo as a command and for programs: its API, its password, its messages. What a visitor sees is in ``web/``."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("gradio")

import httpx
from gradio_client import Client, handle_file

from detector.engines import load_engine
from detector.media import images

from .web.conftest import ROOT, started

SIX = ROOT / "data/images/video_call_six.jpg"


def command(*flags: object, **environment: str) -> tuple[int, str, str]:
    """Run the command until it ends by itself."""
    done = subprocess.run(
        [sys.executable, "-m", "detector.demo", *map(str, flags)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout, done.stderr


def test_importing_the_demo_does_nothing() -> None:
    code = "import sys, detector.demo; print({'gradio', 'torch', 'ultralytics', 'onnx'} & set(sys.modules) or 'light')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "light"


def test_the_page_is_built_without_torch_and_without_a_server() -> None:
    code = (
        "import sys; from detector.demo import build_demo; from detector.engines import load_engine;"
        "page = build_demo(load_engine());"
        "print(type(page).__name__, page.is_running, {'torch', 'ultralytics'} & set(sys.modules) or 'light')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "Blocks False light"


def test_without_gradio_the_extra_is_named() -> None:
    code = "import sys; sys.modules['gradio'] = None; import detector.demo as d; sys.exit(d.main([]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr.startswith("error: gradio is not installed: run pip install 'gradio>=")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--auth", "guest"], "it must be USER:PASS"),
        (["--auth", ":secret"], "it must be USER:PASS"),
        (["--port", "70000"], "is not a port"),
        (["--weights", "nowhere.onnx"], "nowhere.onnx"),
        (["--host", "192.0.2.1"], "choose another --port or --host"),
    ],
)
def test_a_wrong_flag_gets_one_line(flags: list[str], message: str) -> None:
    code, _, stderr = command(*flags)
    assert code == 2
    assert message in stderr.splitlines()[-1]


def test_a_port_that_is_taken_gets_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, _, stderr = command("--port", taken.getsockname()[1])
    assert code == 2
    assert "choose another --port" in stderr.splitlines()[-1]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    with started(tmp_path_factory.mktemp("api")) as running:
        yield running.address


def test_a_program_gets_the_faces_as_json(address: str) -> None:
    client = Client(address, verbose=False)
    html, record = client.predict(handle_file(SIX), "One pass", 0.25, 0.6, api_name="/look")
    with load_engine() as engine:
        assert [face["class"] for face in record["engines"]["One pass"]["faces"]] == engine(images.read(SIX)).names
    assert "6 faces" in html


def test_many_programs_at_once_all_get_their_own_answer(address: str) -> None:
    names = ["video_call_six.jpg", "pair_one_mask.jpg", "no_face_coffee.jpg", "collins_surgical_mask.jpg"] * 2
    with load_engine() as engine:
        expected = [len(engine(images.read(ROOT / "data/images" / name))) for name in names]

    def ask(name: str) -> list[int]:
        client = Client(address, verbose=False)
        picture = handle_file(ROOT / "data/images" / name)
        records = [client.predict(picture, "One pass", 0.25, 0.6, api_name="/look")[1] for _ in range(3)]
        return [len(record["engines"]["One pass"]["faces"]) for record in records]

    with ThreadPoolExecutor(len(names)) as crowd:
        assert list(crowd.map(ask, names)) == [[count] * 3 for count in expected]


GUARDED = [
    ("GET", "/config"),
    ("GET", "/gradio_api/info"),
    ("GET", "/gradio_api/queue/status"),
    ("GET", "/gradio_api/file={sample}"),
    ("POST", "/gradio_api/upload"),
    ("POST", "/gradio_api/queue/join"),
    ("POST", "/gradio_api/run/look"),
    ("POST", "/gradio_api/call/look"),
    ("POST", "/gradio_api/component_server"),
]


def test_a_password_guards_the_page_and_every_route(tmp_path: Path) -> None:
    with started(tmp_path / "temporary", "--auth", "guest:secret") as running:
        with httpx.Client(base_url=running.address) as stranger:
            assert "6 faces" not in stranger.get("/").text
            assert stranger.post("/login", data={"username": "guest", "password": "wrong"}).status_code == 400
            for method, route in GUARDED:
                answer = stranger.request(method, route.format(sample=SIX), json={})
                assert answer.status_code in {401, 403}, (method, route, answer.status_code, answer.text[:200])
        with pytest.raises(Exception, match="login"):
            Client(running.address, verbose=False, auth=("guest", "wrong")).predict(
                handle_file(SIX), "One pass", 0.25, 0.6, api_name="/look"
            )
        friend = Client(running.address, verbose=False, auth=("guest", "secret"))
        html, _ = friend.predict(handle_file(SIX), "One pass", 0.25, 0.6, api_name="/look")
        assert "6 faces" in html


def test_where_no_link_can_be_had_the_page_is_served_here_and_the_reason_said(tmp_path: Path) -> None:
    nowhere = {"GRADIO_SHARE_SERVER_ADDRESS": "127.0.0.1:9"}  # nothing answers there, whatever the network
    process = subprocess.Popen(
        [sys.executable, "-m", "detector.demo", "--share"],
        env={**os.environ, **nowhere, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.strip())
            if "Ctrl-C ends it" in line:
                break
        said = "\n".join(lines)
        local = next(line for line in lines if line.startswith("on this computer:")).split()[-1]
        assert httpx.get(local).status_code == 200
        assert "no link for others: " in said
        assert "check the internet connection" in said
    finally:
        process.terminate()
        assert process.wait(30) == 130
        process.communicate()
    assert list(tmp_path.iterdir()) == []
