from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

SHOW = """
import sys, time
import numpy as np
from detector.detections import Detections
from detector.errors import OutputError
from detector.media.frames import Frame
from detector.media.window import WindowSink
try:
    with WindowSink("mask test window") as window:
        index, end = 0, time.monotonic() + 15
        while not window.closed and time.monotonic() < end:
            window.write(Frame(np.zeros((240, 320, 3), np.uint8), index, None, "x"), Detections.empty())
            if index == 5:
                print("shown", flush=True)
            index += 1
            time.sleep(0.02)
        print("closed" if window.closed else "timeout", flush=True)
        window.write(Frame(np.zeros((240, 320, 3), np.uint8), index, None, "x"), Detections.empty())
        window.wait()
except OutputError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    if not (shutil.which("Xvfb") and shutil.which("xdotool")):
        pytest.skip("Xvfb and xdotool are not installed")
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "800x600x24"]
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as ready:
        number = ready.readline().strip()
    yield f":{number}"
    server.terminate()
    server.wait(timeout=10)


@pytest.mark.parametrize("action", [["key", "q"], ["key", "Escape"], ["windowclose"]])
def test_a_key_or_the_close_button_ends_the_show(display: str, action: list[str]) -> None:
    environment = {**os.environ, "DISPLAY": display}
    command = [sys.executable, "-c", SHOW]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "shown\n"
        find = ["xdotool", "search", "--sync", "--name", "mask test window"]
        if action == ["windowclose"]:
            # What a window manager's close button sends; there is no window manager here to press it.
            window = subprocess.run(find, env=environment, capture_output=True, text=True, check=True).stdout.split()[0]
            subprocess.run([sys.executable, "-c", CLOSE, window], env=environment, check=True)
        else:
            subprocess.run([*find, "windowfocus", *action], env=environment, capture_output=True, check=False)
        assert child.stdout.readline() == "closed\n"
        assert child.wait(timeout=10) == 0


WALL = """
import time
import numpy as np
from detector.detections import Detections
from detector.media.frames import Frame
from detector.media.wall import tiles
from detector.media.window import WindowSink
with WindowSink("mask test wall") as window:
    shown, end = [], time.monotonic() + 15
    window.show, show = lambda image: (shown.append(image.copy()), show(image)), window.show
    left, right, below = tiles(window, ["a", "b", "c"])
    while not right.closed and time.monotonic() < end:
        for tile, (height, width), grey in ((left, (480, 640), 80), (right, (900, 300), 160)):
            tile.write(Frame(np.full((height, width, 3), grey, np.uint8), 0, None, "x"), Detections.empty())
        below.idle()
        print(*(shown[-1][y, x, 0] for x, y in ((320, 200), (960, 200), (700, 200), (320, 600))), flush=True)
        time.sleep(0.02)
    print("closed" if below.closed else "timeout", flush=True)
"""


def test_several_sources_stand_side_by_side_in_one_window_and_a_key_closes_all(display: str) -> None:
    environment = {**os.environ, "DISPLAY": display}
    with subprocess.Popen(
        [sys.executable, "-c", WALL], stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "80 160 0 0\n"  # beside a tall picture and where nothing came yet: black
        find = ["xdotool", "search", "--sync", "--name", "mask test wall"]
        subprocess.run([*find, "windowfocus", "key", "q"], env=environment, capture_output=True, check=False)
        assert child.stdout.read().splitlines()[-1] == "closed"


CLOSE = """
import ctypes, sys
x = ctypes.CDLL("libX11.so.6")
x.XOpenDisplay.restype = ctypes.c_void_p
x.XInternAtom.restype = ctypes.c_ulong
x.XInternAtom.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
display = x.XOpenDisplay(None)
class Message(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int), ("serial", ctypes.c_ulong), ("send", ctypes.c_int), ("display", ctypes.c_void_p),
        ("window", ctypes.c_ulong), ("kind", ctypes.c_ulong), ("format", ctypes.c_int), ("data", ctypes.c_long * 5),
        ("room", ctypes.c_char * 96),
    ]
window = int(sys.argv[1])
message = Message(33, 0, 1, display, window, x.XInternAtom(display, b"WM_PROTOCOLS", 0), 32)
message.data[0] = x.XInternAtom(display, b"WM_DELETE_WINDOW", 0)
x.XSendEvent(ctypes.c_void_p(display), ctypes.c_ulong(window), 0, ctypes.c_long(0), ctypes.byref(message))
x.XSync(ctypes.c_void_p(display), 0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems always have a screen")
@pytest.mark.parametrize("screen", [None, "", ":6543", "nowhere.invalid:0", "nonsense"])
def test_without_a_screen_there_is_one_line_and_the_process_lives(screen: str | None) -> None:
    environment = {key: value for key, value in os.environ.items() if key not in {"DISPLAY", "WAYLAND_DISPLAY"}}
    if screen is not None:
        environment["DISPLAY"] = screen
    environment["WAYLAND_DISPLAY"] = "wayland-0"  # opencv-python's Qt cannot use it
    done = subprocess.run(
        [sys.executable, "-c", SHOW], capture_output=True, text=True, env=environment, cwd=ROOT, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(("no screen", "this OpenCV has no windows"))
    assert done.stdout.strip().endswith("save the results to files instead")
    assert done.stdout.count("\n") == 1
