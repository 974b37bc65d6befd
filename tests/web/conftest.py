"""The real page: the command in a process of its own, with the shipped weights, and a real browser before it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector.media import images

pytest.importorskip("gradio")

ROOT = Path(__file__).resolve().parents[2]
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]
OURS = (".mask-detector", "lock")
"""What lies in a page's folder beside the files of visitors."""


@dataclass
class Demo:
    """A running page."""

    address: str
    temporary: Path
    process: subprocess.Popen[str]

    def left(self) -> list[str]:
        """The files of visitors in its temporary folder."""
        return [path.name for path in self.temporary.rglob("*") if path.is_file() and path.name not in OURS]


def page_command(*flags: object, limits: Mapping[str, float] | None = None) -> list[str]:
    """How to start a page, with other ``limits``, such as ``uploads.AWAITED_S``, where a test need not wait so long."""
    if not limits:
        return [sys.executable, "-m", "detector.demo", *map(str, flags)]
    changes = [f"import detector.web.{name.split('.')[0]}\ndetector.web.{name} = {limits[name]}" for name in limits]
    code = "\n".join([*changes, "import sys; from detector.demo import main; sys.exit(main())"])
    return [sys.executable, "-c", code, *map(str, flags)]


def free_port() -> int:
    """A port that nobody listens on."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def end(process: subprocess.Popen[Any]) -> None:
    """End a page as Ctrl-C does, or, if that takes half a minute, for good."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(30)
    finally:
        process.kill()
        process.wait()


@contextmanager
def started(
    temporary: Path, *flags: object, limits: Mapping[str, float] | None = None, port: int = 0
) -> Iterator[Demo]:
    """Run ``mask-detector demo`` until the ``with`` is left, which ends it as Ctrl-C does."""
    port = port or free_port()
    temporary.mkdir(exist_ok=True)
    process = subprocess.Popen(
        page_command("--port", port, *flags, limits=limits),
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    drain = threading.Thread(target=process.stdout.read)  # a full pipe would stop the page
    try:
        said = ""
        while "Ctrl-C ends it" not in said:
            line = process.stdout.readline()
            assert line, f"it ended: {said}"
            said += line
        drain.start()
        yield Demo(f"http://127.0.0.1:{port}", temporary, process)
    finally:
        try:
            end(process)
        finally:
            if drain.ident:
                drain.join()
            process.stdout.close()


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with started(tmp_path_factory.mktemp("demo")) as running:
        yield running


@pytest.fixture(scope="session")
def chromium() -> Iterator[Callable[..., Any]]:
    """What starts a headless Chromium with further flags."""
    playwright = pytest.importorskip("playwright.sync_api")
    program = next((path for name in CHROMIUMS if (path := shutil.which(name))), None)
    with playwright.sync_playwright() as driver:
        program = program or driver.chromium.executable_path
        if not Path(program).is_file():
            pytest.skip("there is no Chromium here: install chromium, or run playwright install chromium")
        yield lambda *flags: driver.chromium.launch(executable_path=program, args=[*FLAGS, *flags])


@pytest.fixture(scope="session")
def browser(chromium: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser whose camera sees the sample's faces."""
    camera = tmp_path_factory.mktemp("camera") / "faces.mjpeg"
    picture = images.encode(images.read(ROOT / "data/images/video_call_three.jpg"), ".jpg")
    camera.write_bytes(picture * 10)
    running = chromium(f"--use-file-for-fake-video-capture={camera}")
    yield running
    running.close()


@pytest.fixture
def page(browser: Any, demo: Demo) -> Iterator[Any]:
    """The page, opened; whatever it asks for elsewhere fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    outside: list[str] = []
    tab.on("request", lambda request: outside.append(request.url))
    tab.goto(demo.address)
    tab.get_by_role("tab", name="Picture").wait_for(timeout=60_000)
    yield tab
    context.close()
    assert [url for url in outside if not url.startswith((demo.address, "data:", "blob:"))] == []


def eventually(check: Any, seconds: float = 20.0) -> None:
    """Wait until ``check()`` is true."""
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, f"still not after {seconds} s"
        time.sleep(0.1)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds: faces that move, then none."""
    from fractions import Fraction

    from detector.detections import Detections
    from detector.media.encode import VideoSink
    from detector.media.frames import Frame

    path = tmp_path_factory.mktemp("clip") / "door.mp4"
    faces = images.read(ROOT / "data/images/pair_one_mask.jpg")[:480, :640]
    with VideoSink(path, Fraction(10)) as sink:
        for index in range(20):
            picture = np.roll(faces, index, axis=0) if index < 14 else np.full_like(faces, 128)
            sink.write(Frame(picture, index, index / 10, "door"), Detections.empty())
    return path
