"""The picture tab in a real browser: pasting, phones, full screen, slow and lost connections, settings."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector.media import images

from .conftest import Demo, eventually
from .test_page import SIX, answer, saved, send, set_slider

pytestmark = pytest.mark.slow

COPY = """async (base64) => {
  const data = await (await fetch("data:image/png;base64," + base64)).blob();
  await navigator.clipboard.write([new ClipboardItem({ "image/png": data })]); }"""


@contextmanager
def opened(browser: Any, demo: Demo, **more: Any) -> Iterator[Any]:
    """A page of its own, which may ask elsewhere."""
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"], **more)
    try:
        page = context.new_page()
        page.goto(demo.address)
        page.locator("#picture .drop").wait_for()
        yield page
    finally:
        context.close()


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """A server whose /open pictures every page may have, and whose others none."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            if self.path.startswith("/open"):
                self.send_header("Access-Control-Allow-Origin", "*")
            self.send_header("Content-Type", "text/html" if self.path.endswith(".html") else "image/jpeg")
            self.end_headers()
            self.wfile.write(SIX.read_bytes())

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_picture_is_pasted_from_any_tab(browser: Any, demo: Demo) -> None:
    with opened(browser, demo) as page:
        page.get_by_role("tab", name="Video").click()
        page.evaluate(COPY, base64.b64encode(images.encode(images.read(SIX), ".png")).decode())
        page.keyboard.press("Control+v")
        answer(page, "6 faces")
        assert page.locator("#picture .drop").is_visible()
        page.get_by_role("button", name="Remove the picture").click()
        page.get_by_role("button", name="Paste", exact=True).click()
        answer(page, "6 faces")


def test_a_pictures_address_is_fetched_by_the_browser_or_the_reason_said(
    browser: Any, demo: Demo, elsewhere: str
) -> None:
    with opened(browser, demo) as page:
        for path, said in (
            ("/open/team.jpg", "6 faces: 3 with a mask, 3 without"),
            ("/closed/team.jpg", "127.0.0.1 cannot be reached or does not let other pages have its pictures"),
            ("/open/team.html", "is a page, not a picture"),
        ):
            page.evaluate("text => navigator.clipboard.writeText(text)", elsewhere + path)
            page.keyboard.press("Control+v")
            answer(page, said)
        page.evaluate("text => navigator.clipboard.writeText(text)", "a sentence")
        page.keyboard.press("Control+v")
        answer(page, "is a page, not a picture")


def test_boxes_rows_and_saved_picture_are_numbered_from_left_to_right(page: Any) -> None:
    send(page, SIX)
    answer(page, "6 faces")
    marks = [mark.bounding_box() for mark in page.locator("#picture .face").all()]
    assert [mark["x"] + mark["width"] / 2 for mark in marks] == sorted(mark["x"] + mark["width"] / 2 for mark in marks)
    labels = page.locator("#picture .face").all_inner_texts()
    rows = page.locator("#picture tbody tr").all_inner_texts()
    for number, (label, row) in enumerate(zip(labels, rows, strict=True), 1):
        assert label.split()[0] == row.split()[0] == str(number)
        assert label.split()[-2] == row.split()[-6], "as sure here as there"


def test_on_a_phone_the_answer_is_in_view_at_once(browser: Any, demo: Demo) -> None:
    with opened(browser, demo, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True) as page:
        send(page, SIX)
        answer(page, "6 faces")
        eventually(lambda: 0 <= page.locator("#picture .result > .sentence").bounding_box()["y"] < 200)
        picture = page.locator("#picture .frame").bounding_box()
        assert picture["y"] + picture["height"] < 844


def test_a_picture_fills_the_screen_and_comes_back(page: Any) -> None:
    send(page, SIX)
    answer(page, "6 faces")
    before = page.locator("#picture .frame").bounding_box()["width"]
    page.get_by_role("button", name="Full screen").click()
    eventually(lambda: page.locator("#picture .frame").bounding_box()["width"] > 1.5 * before)
    page.get_by_role("button", name="Close").click()
    eventually(lambda: page.locator("#picture .frame").bounding_box()["width"] == before)


def test_a_large_photo_is_shown_while_it_is_sent_and_saved_in_its_own_size(
    browser: Any, demo: Demo, tmp_path: Path
) -> None:
    photo = np.tile(images.read(SIX), (8, 8, 1))[:3456, :5184]
    images.write(tmp_path / "photo.jpg", photo)
    with opened(browser, demo) as page:
        network = page.context.new_cdp_session(page)
        slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 2_000_000}
        network.send("Network.emulateNetworkConditions", slow)
        send(page, tmp_path / "photo.jpg")
        page.locator("#picture .status", has_text="Sending:").wait_for()
        assert page.locator("#picture .frame img").evaluate("image => image.naturalWidth") == 5184
        network.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": -1})
        answer(page, "faces:")
        assert images.decode(saved(page, "Save picture")[1], "saved").shape == photo.shape


def test_picture_answer_and_settings_survive_a_lost_connection_and_settings_a_reload(browser: Any, demo: Demo) -> None:
    with opened(browser, demo) as page:
        send(page, SIX)
        answer(page, "6 faces")
        page.evaluate("window.before = true")
        page.context.set_offline(True)
        set_slider(page, 0.98)
        assert answer(page, "faces")
        page.locator("#picture [name=engine]").select_option("Two steps")
        answer(page, "No answer from the server")
        assert page.locator("#picture .frame img").is_visible()
        page.context.set_offline(False)
        answer(page, "Two steps,")
        send(page, SIX)
        answer(page, "Two steps,")
        assert page.evaluate("window.before") is True, "the page was loaded anew"
        page.reload()
        page.locator("#picture .drop").wait_for()
        settings = [page.locator(f"#picture [name={name}]").input_value() for name in ("engine", "conf")]
        assert settings == ["Two steps", "0.98"]
        assert page.locator("#picture output").first.inner_text() == "98 %"


def test_what_a_browser_cannot_open_or_shows_otherwise_is_shown_as_the_server_saw_it(page: Any, tmp_path: Path) -> None:
    images.write(tmp_path / "scan.tif", images.read(SIX))
    send(page, tmp_path / "scan.tif")
    answer(page, "6 faces")
    assert page.locator("#picture .frame img").evaluate("image => image.naturalWidth") == images.read(SIX).shape[1]
