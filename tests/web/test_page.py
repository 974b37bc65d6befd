"""What a visitor sees: the shipped networks behind the real page in a real browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from detector.engines import load_engine
from detector.media import images

from .conftest import ROOT, Demo, eventually

pytestmark = pytest.mark.slow

SIX = ROOT / "data/images/video_call_six.jpg"


def send(page: Any, path: Path) -> None:
    """Choose a file in the picture tab."""
    page.locator("#picture .choose").set_input_files(str(path))


def answer(page: Any, text: str) -> str:
    """Wait for an answer that contains ``text``; returns all of it."""
    page.locator("#picture .result", has_text=text).wait_for(timeout=30_000)
    return str(page.locator("#picture .result").inner_text())


def saved(page: Any, name: str) -> tuple[str, bytes]:
    """The name and the content of the file that a button saves."""
    with page.expect_download() as download:
        page.get_by_role("button", name=name).click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def watch(page: Any, path: Path) -> None:
    """Choose a file in the video tab and have it looked at."""
    page.locator("#video .choose").set_input_files(str(path))
    page.locator("#video .start").click()


def set_slider(page: Any, value: float) -> None:
    page.locator("#picture [name=conf]").fill(str(value))


def test_a_picture_is_answered_in_words_in_a_table_and_in_a_picture(page: Any) -> None:
    send(page, SIX)
    text = answer(page, "6 faces: 3 with a mask, 3 without")
    assert text.count("with a mask") >= 3
    assert page.locator("#picture tbody tr").count() == 6
    shown = page.locator("#picture figure img")
    assert "6 faces: 3 with a mask, 3 without" in shown.get_attribute("alt")
    assert shown.evaluate("image => image.naturalWidth") == images.read(SIX).shape[1]


def test_what_is_saved_is_what_the_engine_says(page: Any) -> None:
    send(page, SIX)
    answer(page, "6 faces")
    record = json.loads(saved(page, "Save JSON")[1])
    with load_engine() as engine:
        expected = engine(images.read(SIX))
    expected = expected[np.argsort(expected.xyxy[:, 0] + expected.xyxy[:, 2])]
    faces = record["engines"]["One pass"]["faces"]
    assert [face["class"] for face in faces] == expected.names
    np.testing.assert_allclose([face["box"] for face in faces], expected.xyxy, atol=0.01)
    name, jpeg = saved(page, "Save picture")
    assert images.decode(jpeg, "saved").shape == images.read(SIX).shape
    assert name == "video_call_six-masks.jpg"


def test_a_slider_asks_the_server_for_nothing_and_says_what_is_below_it(page: Any) -> None:
    send(page, SIX)
    answer(page, "6 faces")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    set_slider(page, 0.99)
    answer(page, "No face reaches 99 %: 6 are below it")
    assert page.locator("#picture .face").count() == 0
    set_slider(page, 0.3)
    answer(page, "6 faces")
    assert page.locator("#picture .face").count() == 6
    assert asked == []


def test_the_engines_can_be_switched_and_stand_side_by_side(page: Any) -> None:
    send(page, SIX)
    answer(page, "One pass,")
    page.locator("#picture [name=engine]").select_option("Two steps")
    answer(page, "Two steps,")
    page.locator("#picture [name=engine]").select_option("Both, side by side")
    page.locator("#picture figure").nth(1).wait_for()
    captions = page.locator("#picture figcaption").all_inner_texts()
    assert [caption.partition(",")[0] for caption in captions] == ["One pass", "Two steps"]
    assert set(json.loads(saved(page, "Save JSON")[1])["engines"]) == {"One pass", "Two steps"}
    assert page.locator("#picture .frame").nth(1).bounding_box()["width"] > 550, "of 1280 px"


def test_an_example_is_one_click_away_again_and_again(page: Any, demo: Demo) -> None:
    for index, text in ((0, "6 faces: 3 with a mask, 3 without"), (1, "2 faces"), (0, "6 faces")):
        page.locator("#picture .examples button").nth(index).click()
        answer(page, text)
    eventually(lambda: demo.left() == [], 30)
    send(page, ROOT / "data/images/no_face_coffee.jpg")
    answer(page, "No face found")


def test_a_picture_that_is_removed_takes_its_answer_and_its_file_along(page: Any, demo: Demo) -> None:
    send(page, SIX)
    answer(page, "6 faces")
    eventually(lambda: demo.left() == ["video_call_six.jpg"])
    page.get_by_role("button", name="Remove the picture").click()
    assert page.locator("#picture figure").count() == 0
    eventually(lambda: demo.left() == [])


def bad_files() -> dict[str, tuple[bytes, str]]:
    """Files that no one should send, and what the page says of each."""
    faces = images.read(SIX)
    ok, png = cv2.imencode(".png", np.zeros((12_000, 12_000, 1), np.uint8))
    assert ok
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)
    jpeg = images.encode(faces, ".jpg")
    return {
        "notes.jpg": (b"Buy milk, call Anna.\n" * 20, "not an image"),
        "dot.png": (images.encode(faces[:1, :1], ".png"), "1 x 1 pixels are too few"),
        "poster.png": (png.tobytes(), "12000 x 12000 pixels are too many"),
        "phone.heic": (heic, "HEIC and AVIF cannot be read"),
        "half.jpg": (jpeg[: len(jpeg) // 2], "cut short"),
        "nothing.jpg": (b"", "empty"),
    }


@pytest.mark.parametrize("name", ["notes.jpg", "dot.png", "poster.png", "phone.heic", "half.jpg", "nothing.jpg"])
def test_a_file_that_cannot_be_used_gets_one_message_and_the_page_lives_on(
    name: str, page: Any, tmp_path: Path
) -> None:
    data, message = bad_files()[name]
    (tmp_path / name).write_bytes(data)
    send(page, tmp_path / name)
    text = answer(page, message)
    assert len(text.splitlines()) == 1
    assert text.startswith(name)
    assert page.locator("#picture [role=alert]").inner_text() == text
    assert page.locator(".toast-body").count() == 0
    send(page, SIX)
    answer(page, "6 faces")


def test_of_an_animation_the_first_picture_is_looked_at_and_the_page_says_so(page: Any, tmp_path: Path) -> None:
    from PIL import Image

    first = Image.fromarray(images.read(SIX)[..., ::-1])
    first.save(tmp_path / "wave.gif", save_all=True, append_images=[Image.new("RGB", first.size)], duration=200)
    send(page, tmp_path / "wave.gif")
    assert "only its first picture" in answer(page, "6 faces")


def test_a_video_is_worked_through_and_plays_in_the_page(page: Any, clip: Path) -> None:
    page.get_by_role("tab", name="Video").click()
    watch(page, clip)
    words = page.locator("#video .sentence")
    words.wait_for(timeout=60_000)
    assert words.inner_text() == "1 person, without a mask, in view for 1 s in all"
    film = page.locator("#video .stage video")
    eventually(lambda: film.evaluate("video => video.readyState") >= 2)
    assert film.evaluate("video => [video.duration, video.videoWidth]") == [pytest.approx(2.0, abs=0.15), 640]
    eventually(lambda: film.evaluate("video => video.src").startswith("blob:"))  # from now on the page has it itself
    with page.expect_download() as download:
        page.get_by_role("link", name="Save CSV").click()
    rows = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert rows[0].startswith("source,frame,time,")
    assert len(rows) == 1 + 2 * 14
    columns = page.locator("#video .columns")
    box = columns.bounding_box()
    columns.click(position={"x": box["width"] / 2, "y": 5})
    eventually(lambda: 0.8 < film.evaluate("video => video.currentTime") < 1.2)
    page.locator("#video [name=conf]").fill("0.5")
    page.locator("#video .note", has_text="made with other settings").wait_for()
    page.locator("#video [name=conf]").fill("0.25")
    page.locator("#video .note", has_text="20 frames").wait_for()


def test_a_video_shows_how_far_it_is_stops_on_request_and_survives_a_lost_connection(
    page: Any, clip: Path, tmp_path: Path
) -> None:
    import av

    long = tmp_path / "long.mp4"  # twenty times the clip
    with av.open(str(clip)) as source, av.open(str(long), "w") as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        for turn in range(20):
            source.seek(0)
            for packet in source.demux(video=0):
                if packet.dts is not None:
                    later = turn * round(2 / packet.time_base)
                    packet.pts, packet.dts = packet.pts + later, packet.dts + later
                    packet.stream = stream
                    sink.mux(packet)
    page.get_by_role("tab", name="Video").click()
    watch(page, long)
    page.locator("#video .stage img").wait_for(timeout=60_000)
    page.locator("#video .status", has_text="left").wait_for(timeout=60_000)
    page.context.set_offline(True)
    page.locator("#video .status", has_text="No answer from the server").wait_for(timeout=60_000)
    page.context.set_offline(False)
    page.locator("#video .status", has_text="Looking for faces").wait_for(timeout=60_000)
    page.get_by_role("button", name="Stop").click()
    page.locator("#video .note", has_text="Stopped at 0:0").wait_for(timeout=60_000)
    page.get_by_role("button", name="Remove the video").click()
    assert page.locator("#video video").count() == 0


@pytest.mark.parametrize(("share", "message"), [(0.0, "empty"), (0.9, "cut short")])
def test_a_video_that_is_empty_or_has_a_broken_end_gets_a_message(
    share: float, message: str, page: Any, clip: Path, tmp_path: Path
) -> None:
    data = clip.read_bytes()
    (tmp_path / "broken.mp4").write_bytes(data[: int(share * len(data))])
    page.get_by_role("tab", name="Video").click()
    watch(page, tmp_path / "broken.mp4")
    page.locator("#video .result", has_text=message).wait_for(timeout=60_000)


def test_a_file_over_the_limit_is_refused_before_it_is_sent(page: Any, tmp_path: Path) -> None:
    large = tmp_path / "large.mp4"
    with large.open("wb") as file:
        file.truncate(201 * 2**20)
    page.get_by_role("tab", name="Video").click()
    page.locator("#video .choose").set_input_files(str(large))
    page.get_by_text("large.mp4: this file is too large for this page (at most 200 MB)").wait_for()


def test_nothing_of_a_visitor_is_left_when_the_page_is_closed(browser: Any, demo: Demo, clip: Path) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(demo.address)
    send(page, SIX)
    answer(page, "6 faces")
    page.get_by_role("tab", name="Video").click()
    watch(page, clip)
    page.locator("#video .sentence").wait_for(timeout=60_000)
    assert {"door.mp4", "door-masks.mp4", "door-masks.csv"} <= set(demo.left())
    context.close()
    eventually(lambda: demo.left() == [])


def test_the_page_fits_a_phone(browser: Any, demo: Demo) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(demo.address)
    send(page, SIX)
    answer(page, "6 faces")
    assert page.locator("#picture table").evaluate("e => e.getBoundingClientRect().right") <= 390
    for name in ("Picture", "Webcam", "Video"):
        page.get_by_role("tab", name=name).click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
    context.close()


def test_every_control_has_a_name(page: Any) -> None:
    for name in ("Picture", "Webcam", "Video"):
        page.get_by_role("tab", name=name).click()
        page.wait_for_timeout(300)
        nameless = page.evaluate(
            """() => [...document.querySelectorAll("button, select, input:not([type=file])")]
            .filter(e => e.offsetParent && !(e.innerText || e.value && e.type === "submit" || e.ariaLabel || e.title
              || e.labels && e.labels.length || e.getAttribute("aria-labelledby")))
            .map(e => e.outerHTML.slice(0, 120))"""
        )
        assert nameless == [], name
