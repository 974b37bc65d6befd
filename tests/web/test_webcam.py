"""The live view in a real browser: what it shows, and what it says when the server, the network or the viewer goes."""

from __future__ import annotations

import base64
import json
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from detector.media import images

from .conftest import ROOT, Demo, eventually, free_port, started

pytestmark = pytest.mark.slow

SENTENCE = "3 faces: 1 with a mask, 2 without"


def watch(page: Any) -> None:
    """Start the camera and wait for the first answers."""
    page.get_by_role("tab", name="Webcam").click()
    page.locator("#live .start").click()
    goes_on(page)


def frames(page: Any) -> int:
    return int(page.locator("#live .live").get_attribute("data-frames") or 0)


def goes_on(page: Any) -> None:
    seen = frames(page)
    eventually(lambda: frames(page) >= seen + 5, 60)


def state(page: Any) -> str:
    return str(page.locator("#live .live").get_attribute("data-state"))


def test_the_camera_is_watched_live_and_stops_on_request(page: Any, demo: Demo) -> None:
    watch(page)
    assert page.locator("#live .sentence").inner_text() == SENTENCE
    eventually(lambda: "people so far: 3" in page.locator("#live .status").inner_text())
    vermillion = """canvas => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      let count = 0;
      for (let i = 0; i < data.length; i += 4) count += data[i] === 213 && data[i + 1] === 94 && data[i + 2] === 0;
      return count; }"""
    assert page.locator("#live canvas").evaluate(vermillion) > 200
    page.locator("#live .spoken", has_text=re.compile(f"^{SENTENCE}$")).wait_for(
        state="attached"
    )  # no rate is read out
    page.locator("#live .start").click()
    page.locator("#live .status", has_text="Stopped.").wait_for()
    seen = frames(page)
    page.wait_for_timeout(500)
    assert frames(page) == seen
    eventually(lambda: demo.left() == [], 30)


@pytest.mark.parametrize("goes", ["network", "server"])
def test_when_the_network_or_the_server_hangs_the_live_view_says_so_and_goes_on_afterwards(
    goes: str, page: Any, demo: Demo
) -> None:
    watch(page)
    if goes == "network":
        page.context.set_offline(True)
    else:
        demo.process.send_signal(signal.SIGSTOP)
    try:
        page.locator("#live .sentence", has_text="No answer from the server").wait_for()
        assert "No answer" in page.locator("#live .spoken").inner_text()
    finally:
        page.context.set_offline(False)
        demo.process.send_signal(signal.SIGCONT)
    goes_on(page)
    assert page.locator("#live .sentence").inner_text() == SENTENCE


def test_a_live_view_goes_on_by_itself_when_the_server_was_started_again(browser: Any, tmp_path: Path) -> None:
    port, context = free_port(), browser.new_context()
    page = context.new_page()
    with started(tmp_path / "first", port=port) as demo:
        page.goto(demo.address)
        watch(page)
        demo.process.kill()
        page.locator("#live .sentence", has_text="No answer from the server").wait_for()
    with started(tmp_path / "second", port=port):
        goes_on(page)
    context.close()


def test_the_live_view_pauses_while_another_tab_of_the_page_is_open(page: Any) -> None:
    watch(page)
    page.get_by_role("tab", name="Video").click()
    eventually(lambda: state(page) == "paused")
    tab = page.locator("[role=tab][data-tab-id=webcam]")
    assert "paused" in tab.evaluate("tab => getComputedStyle(tab, '::after').content")
    assert page.title().startswith("Paused")
    seen = frames(page)
    page.wait_for_timeout(500)
    assert frames(page) == seen
    tab.click()
    goes_on(page)
    assert not page.title().startswith("Paused")


@pytest.mark.parametrize(("width", "height"), [(390, 844), (844, 390), (1366, 768)])
def test_sentence_picture_and_stop_are_in_one_view(width: int, height: int, page: Any) -> None:
    page.set_viewport_size({"width": width, "height": height})
    watch(page)
    for name in ("sentence", "stage canvas", "start"):
        place = page.locator(f"#live .{name}").bounding_box()
        assert min(place["x"], place["y"]) > -1, name
        assert place["x"] + place["width"] <= width, name
        assert place["y"] + place["height"] <= height, name


def test_the_network_sees_the_picture_that_is_not_mirrored_and_the_viewer_chooses(page: Any) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.post_data or "") if "component_" in request.url else None)
    watch(page)
    camera = images.read(ROOT / "data/images/video_call_three.jpg")[:, 130:770]  # as Chromium cuts it out
    seen = images.decode(base64.b64decode(json.loads(sent[-1])["data"]["jpeg"]), "sent")
    assert alike(seen, camera)
    assert alike(shown(page), camera[:, ::-1])
    page.locator("#live .mirror").uncheck()
    goes_on(page)
    assert alike(shown(page), camera)


def test_a_bare_face_that_stays_is_told_by_sound_or_flash_where_that_was_asked_for(page: Any) -> None:
    view = page.locator("#live .live")
    watch(page)
    page.wait_for_timeout(2500)
    assert view.get_attribute("data-beeps") is None
    assert "alarmed" not in view.get_attribute("class")
    page.locator("#live .alarm").select_option("flash")
    eventually(lambda: "alarmed" in view.get_attribute("class"))
    page.locator("#live .alarm").select_option("sound")
    eventually(lambda: int(view.get_attribute("data-beeps") or 0) >= 2)  # the first is a sample
    assert "alarmed" not in view.get_attribute("class")


def test_hidden_faces_cannot_be_seen(page: Any) -> None:
    watch(page)
    before = shown(page).astype(int)
    page.locator("#live .cover").check()
    goes_on(page)
    middle = (slice(130, 190), slice(290, 345))  # a bare face
    changed = np.abs(shown(page).astype(int) - before)
    assert changed[middle].mean() > 10
    assert changed[-30:, 300:340].mean() < 10


def test_another_camera_can_be_chosen_while_the_first_is_watched(chromium: Callable[..., Any], demo: Demo) -> None:
    with chromium("--use-fake-device-for-media-stream=device-count=2") as browser:
        page = browser.new_page()
        page.goto(demo.address)
        watch(page)
        names = page.locator("#live .camera option").all_inner_texts()
        assert len(set(names)) == 2
        page.locator("#live .camera").select_option(names[1])
        goes_on(page)
        assert page.locator("#live .camera").evaluate("field => field.selectedOptions[0].label") == names[1]


def test_the_live_view_fills_the_screen(page: Any) -> None:
    watch(page)
    page.locator("#live .whole").click()
    eventually(lambda: page.evaluate("document.fullscreenElement?.className.includes('full')"))
    goes_on(page)


def shown(page: Any) -> images.Image:
    """The picture on the page."""
    address = page.locator("#live canvas").evaluate("canvas => canvas.toDataURL('image/png')")
    return images.decode(base64.b64decode(address.partition(",")[2]), "shown")


def alike(one: images.Image, other: images.Image) -> bool:
    """Whether two pictures show the same, in whatever size, boxes drawn or not."""
    small = [cv2.resize(each, (64, 24), interpolation=cv2.INTER_AREA) for each in (one, other)]
    return float(np.corrcoef(small[0].ravel(), small[1].ravel())[0, 1]) > 0.8
