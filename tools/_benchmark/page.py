"""The web demo under load: a crowd of programs, and one browser with a camera."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil

from _benchmark.timing import Ratio
from detector.media import images

__all__ = ["crowd", "webcam"]

CLIENTS, SECONDS, WARM_UP_S = 16, 60.0, 10.0
GROWTH_MIB = 15  # less is what memory moves by anyway
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def crowd(picture: Path) -> Iterable[Ratio]:
    """Answers to many programs that send pictures without a pause, and what memory does meanwhile."""
    with tempfile.TemporaryDirectory() as folder, _demo() as (address, process):
        errors: list[str] = []
        taken: list[float] = []
        end = time.monotonic() + SECONDS
        guests = [
            threading.Thread(target=_guest, args=(address, _own_copy(picture, Path(folder), index), end, taken, errors))
            for index in range(CLIENTS)
        ]
        for guest in guests:
            guest.start()
        time.sleep(WARM_UP_S)
        before = process.memory_info().rss / 2**20
        for guest in guests:
            guest.join()
        after = process.memory_info().rss / 2**20
    p50, p95 = np.percentile(taken, (50, 95)) if taken else (0.0, 0.0)
    yield Ratio(
        f"web page: {CLIENTS} programs send pictures for {SECONDS:.0f} s: {len(taken)} answers", f"median {p50:.2f} s",
        "–", f"p95 {p95:.2f} s, {len(errors)} errors{': ' + errors[0] if errors else ''}", "no error",
        bool(taken) and not errors,
    )  # fmt: skip
    yield Ratio(
        f"the same: memory after {WARM_UP_S:.0f} s and at the end", f"{after:.0f} MiB", f"{before:.0f} MiB",
        f"{after - before:+.0f} MiB", "does not grow", after - before < GROWTH_MIB,
    )  # fmt: skip


def webcam(picture: Path, seconds: float = 15.0) -> Iterable[Ratio]:
    """Pictures a second in the live view of a headless Chromium that shares the cores with the server."""
    from playwright.sync_api import sync_playwright

    program = next((path for name in CHROMIUMS if (path := shutil.which(name))), None)
    if program is None:
        yield Ratio("web page: live view", "not measured: there is no Chromium", "–", "–", "10 a second", met=False)
        return
    with tempfile.TemporaryDirectory() as folder, _demo() as (address, _), sync_playwright() as driver:
        camera = Path(folder) / "camera.mjpeg"
        camera.write_bytes(images.encode(images.read(picture)[:480, :640], ".jpg") * 30)
        flags = [
            "--no-sandbox",
            "--disable-gpu",
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
        ]
        browser = driver.chromium.launch(
            executable_path=program, args=[*flags, f"--use-file-for-fake-video-capture={camera}"]
        )
        page = browser.new_page()
        page.goto(address)
        page.get_by_role("tab", name="Webcam").click()
        page.locator("#live button").click()
        view = page.locator("#live .live[data-frames]")
        view.wait_for(timeout=60_000)
        page.wait_for_timeout(3000)
        start, began = int(view.get_attribute("data-frames") or 0), time.monotonic()
        page.wait_for_timeout(1000 * seconds)
        rate = (int(view.get_attribute("data-frames") or 0) - start) / (time.monotonic() - began)
        browser.close()
    yield Ratio(
        f"web page: camera at 640x480, browser on the same cores, {seconds:.0f} s", f"{rate:.1f} a second", "–", "–",
        "10 a second", rate >= 10,
    )  # fmt: skip


@contextmanager
def _demo() -> Iterator[tuple[str, psutil.Process]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(  # noqa: S603 - this interpreter and our own command
        [sys.executable, "-m", "detector.demo", "--port", str(port)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        while line := process.stdout.readline():
            if "Ctrl-C ends it" in line:
                break
        yield f"http://127.0.0.1:{port}", psutil.Process(process.pid)
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _own_copy(picture: Path, folder: Path, index: int) -> Path:
    """A picture that no other guest sends: the same size, a few pixels further."""
    path = folder / f"guest-{index}.jpg"
    images.write(path, np.roll(images.read(picture), 4 * index, axis=1))
    return path


def _guest(address: str, picture: Path, end: float, taken: list[float], errors: list[str]) -> None:
    from gradio_client import Client, handle_file

    try:
        client = Client(address, verbose=False)
        while time.monotonic() < end:
            began = time.monotonic()
            _, record = client.predict(handle_file(picture), "One pass", 0.25, 0.6, api_name="/look")
            taken.append(time.monotonic() - began)
            if "engines" not in record:
                errors.append(str(record))
    except Exception as error:
        errors.append(f"{type(error).__name__}: {error}")
