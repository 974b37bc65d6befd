"""The web demo under load: a crowd of programs, and one browser with a camera."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil

from _benchmark.ratios import ROOT, Ratio, Settings
from detector.media import images

CLIENTS, SECONDS, WARM_UP_S = 16, 60.0, 10.0
GROWTH_MIB = 15  # less is what memory moves by anyway
WATCHED_S = 15.0
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def page(settings: Settings) -> Iterator[Ratio]:
    """Both, one after the other."""
    yield from _crowd(settings.picture)
    yield _webcam(settings.picture)


def _crowd(picture: Path) -> Iterator[Ratio]:
    """Answers to many programs that send pictures without a pause, and what memory does meanwhile."""
    errors: list[str] = []
    taken: list[float] = []
    with tempfile.TemporaryDirectory() as folder, _demo() as (address, process):
        end = time.monotonic() + SECONDS
        guests = []
        for index in range(CLIENTS):  # each sends a picture of its own: the same size, a few pixels further
            own = Path(folder) / f"guest-{index}.jpg"
            images.write(own, np.roll(images.read(picture), 4 * index, axis=1))
            guests.append(threading.Thread(target=_guest, args=(address, own, end, taken, errors)))
        for guest in guests:
            guest.start()
        time.sleep(WARM_UP_S)
        before = process.memory_info().rss / 2**20
        for guest in guests:
            guest.join()
        after = process.memory_info().rss / 2**20
    p50, p95 = np.percentile(taken, (50, 95)) if taken else (0.0, 0.0)
    yield Ratio(
        f"web page: {CLIENTS} programs send pictures for {SECONDS:.0f} s: {len(taken)} answers",
        wanted="no error",
        met=bool(taken) and not errors,
        ours=f"median {p50:.2f} s",
        ratio=f"p95 {p95:.2f} s, {len(errors)} errors{': ' + errors[0] if errors else ''}",
    )
    yield Ratio(
        f"the same: memory after {WARM_UP_S:.0f} s and at the end",
        wanted="does not grow",
        met=after - before < GROWTH_MIB,
        ours=f"{after:.0f} MiB",
        theirs=f"{before:.0f} MiB",
        ratio=f"{after - before:+.0f} MiB",
    )


def _webcam(picture: Path) -> Ratio:
    """Pictures a second in the live view of a headless Chromium that shares the cores with the server."""
    from playwright.sync_api import sync_playwright

    wanted = "10 a second"
    program = next((path for name in CHROMIUMS if (path := shutil.which(name))), None)
    if program is None:
        return Ratio("web page: live view", wanted, met=False, ours="not measured: there is no Chromium")
    with tempfile.TemporaryDirectory() as folder, _demo() as (address, _), sync_playwright() as driver:
        camera = Path(folder) / "camera.mjpeg"
        camera.write_bytes(images.encode(images.read(picture)[:480, :640], ".jpg") * 30)
        flags = ["--no-sandbox", "--disable-gpu", "--use-fake-ui-for-media-stream"]
        flags += ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={camera}"]
        browser = driver.chromium.launch(executable_path=program, args=flags)
        tab = browser.new_page()
        tab.goto(address)
        tab.get_by_role("tab", name="Webcam").click()
        tab.locator("#live .start").click()
        view = tab.locator("#live .live[data-frames]")
        view.wait_for(timeout=60_000)
        tab.wait_for_timeout(3000)
        start, began = int(view.get_attribute("data-frames") or 0), time.monotonic()
        tab.wait_for_timeout(1000 * WATCHED_S)
        rate = (int(view.get_attribute("data-frames") or 0) - start) / (time.monotonic() - began)
        browser.close()
    what = f"web page: camera at 640x480, browser on the same cores, {WATCHED_S:.0f} s"
    return Ratio(what, wanted, met=rate >= 10, ours=f"{rate:.1f} a second")


@contextmanager
def _demo() -> Iterator[tuple[str, psutil.Process]]:
    """The address of a demo of its own, and its process."""
    command = [sys.executable, "-m", "detector", "demo"]
    process = psutil.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        lines = iter(process.stdout.readline, "")
        address = next(line for line in lines if line.startswith("on this computer: ")).split()[-1]
        next(line for line in lines if "Ctrl-C ends it" in line)
        yield address, process
    finally:
        process.terminate()
        process.communicate(timeout=30)


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
