"""What the page is made of, without the page."""

from __future__ import annotations

import base64
import sys
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from detector.detections import Detections
from detector.engines import Engine, load_engine
from detector.errors import SourceError
from detector.media import images
from detector.media.encode import VideoSink
from detector.media.frames import Frame
from detector.media.sources import open_source
from detector.web import engine_pool, uploads, video_tab, webcam_tab
from detector.web.answers import sentence
from detector.web.engine_pool import FLOOR, BusyError, EnginePool, filter_detections
from detector.web.fields import Upload, read_picture
from detector.web.sessions import Sessions
from detector.web.uploads import Store
from detector.web.video_job import Moment, VideoJob, Wish, _people
from detector.web.video_tab import VideoTab, columns
from detector.web.webcam_tab import WebcamTab
from tests.media.test_sound import loud_video

from .conftest import ROOT

SIX = ROOT / "data/images/video_call_six.jpg"


@pytest.fixture(scope="module")
def pool() -> Iterator[EnginePool]:
    with load_engine() as engine:
        yield EnginePool(engine)


def faces(*rows: tuple[float, float, float, float, float, int]) -> Detections:
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ([], "No face found"),
        ([0], "1 face: with a mask"),
        ([1], "1 face: without a mask"),
        ([0, 0], "2 faces: all with a mask"),
        ([1, 1, 1], "3 faces: all without a mask"),
        ([0, 1, 0], "3 faces: 2 with a mask, 1 without"),
    ],
)
def test_a_sentence_says_what_was_found(classes: list[int], words: str) -> None:
    assert sentence(faces(*((0, 0, 9, 9, 0.9, kind) for kind in classes))) == words


def test_thresholds_act_on_what_was_found_as_the_engine_would(pool: EnginePool) -> None:
    image = images.read(SIX)
    found = pool.detect(image, "One pass").found
    with load_engine(conf=0.5, iou=0.4) as engine:
        expected = engine(image)
    again = filter_detections(found, 0.5, 0.4)
    np.testing.assert_allclose(again.xyxy, expected.xyxy, atol=1e-3)
    assert again.names == expected.names


def test_of_two_boxes_on_one_face_the_surer_stays() -> None:
    found = faces((0, 0, 10, 10, 0.9, 0), (0, 0, 10, 8, 0.8, 1), (50, 50, 60, 60, 0.3, 1))
    assert filter_detections(found, 0.0, 0.9).confidence.tolist() == pytest.approx([0.9, 0.8, 0.3])
    assert filter_detections(found, 0.0, 0.6).confidence.tolist() == pytest.approx([0.9, 0.3])
    assert len(filter_detections(found, 0.95, 0.6)) == 0


def test_one_visitor_too_many_is_turned_away_and_a_video_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_pool, "WAITING", 1)
    entered, go_on = threading.Event(), threading.Event()

    class Slow:
        conf = 0.0

        def __call__(self, image: Any) -> Detections:
            assert image is picture
            entered.set()
            assert go_on.wait(10)
            return Detections.empty()

    slow = EnginePool(_as_engine(Slow()))
    assert slow.names == ("Two steps",)
    picture = np.zeros((8, 8, 3), np.uint8)
    first = threading.Thread(target=slow.detect, args=(picture, ""))
    first.start()
    assert entered.wait(10)
    with pytest.raises(BusyError, match="try again"):
        slow.detect(picture, "")
    patient: list[Any] = []
    video = threading.Thread(target=lambda: patient.append(slow.detect(picture, "", patient=True)))
    video.start()
    go_on.set()
    first.join(10)
    video.join(10)
    assert len(patient) == 1


def _as_engine(anything: Any) -> Engine:
    return anything  # type: ignore[no-any-return]


def message(viewer: str, **others: object) -> dict[str, Any]:
    jpeg = base64.b64encode(images.encode(images.read(SIX), ".jpg")).decode()
    return {"viewer": viewer, "jpeg": jpeg, "conf": 0.25, "engine": "One pass", **others}


def test_a_camera_picture_is_answered_with_its_faces(pool: EnginePool) -> None:
    answer = WebcamTab(pool).live(message("anna"))
    assert answer["words"] == "6 faces: 3 with a mask, 3 without"
    assert [face[5] for face in answer["faces"]].count(1) == 3
    assert WebcamTab(pool).live(message("anna", conf=0.99))["faces"] == []


def test_a_viewer_s_people_are_followed_and_counted(pool: EnginePool, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(10**6))
    monkeypatch.setattr(webcam_tab.time, "monotonic", lambda: next(clock) / 20)  # asked four times for each picture
    tab = WebcamTab(pool)
    answers = [tab.live(message("anna")) for _ in range(20)]
    assert answers[0]["people"] == 0, "nobody before the verdict is settled"
    assert answers[-1]["people"] == 6
    assert sorted(face[6] for face in answers[-1]["faces"]) == [1, 2, 3, 4, 5, 6]
    assert tab.live(message("ben"))["people"] == 0, "each view counts its own"
    monkeypatch.setattr(webcam_tab, "FOLLOWED", 5)
    assert {face[6] for face in tab.live(message("anna"))["faces"]} == {-1}, "a crowd is not followed"


def test_the_webcam_works_without_the_extra_that_follows_people(
    pool: EnginePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "trackers", None)
    answer = WebcamTab(pool).live(message("anna"))
    assert (answer["people"], answer["words"]) == (None, "6 faces: 3 with a mask, 3 without")


def test_faces_that_are_to_be_hidden_are_hidden_below_the_slider_too(pool: EnginePool) -> None:
    tab = WebcamTab(pool)
    assert tab.live(message("anna"))["cover"] == []
    answer = tab.live(message("anna", conf=0.99, cover=True))
    assert answer["faces"] == []
    assert len(answer["cover"]) >= 6


def test_viewers_make_room_after_a_while_where_somebody_waits(pool: EnginePool) -> None:
    tab = WebcamTab(pool, viewers=1, time_limit=100)
    assert "faces" in tab.live(message("anna"))
    assert "1 people are watching" in tab.live(message("ben"))["wait"]
    tab._viewings["anna"].began -= 101
    assert "faces" in tab.live(message("anna")), "nobody waits any more"
    assert "faces" in tab.live(message("ben"))
    assert tab.live(message("anna"))["over"].startswith("Stopped after 1")
    assert "over" in tab.live(message("anna")), "the same view cannot go on"
    tab._viewings["ben"].last -= 60
    assert "faces" in tab.live(message("clara")), "who is silent has gone"


@pytest.mark.parametrize(
    "wrong", [{"jpeg": "no base64!"}, {"jpeg": None}, {"jpeg": "A" * 3_000_000}, {"jpeg": "AAAA"}, {}]
)
def test_a_camera_picture_that_is_none_ends_the_view(wrong: dict[str, Any], pool: EnginePool) -> None:
    sent = message("anna", **wrong) if wrong else {"viewer": "anna"}
    assert set(WebcamTab(pool).live(sent)) == {"over"}


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tif"])
def test_pictures_of_all_formats_are_read(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"door{suffix}"
    images.write(path, images.read(SIX))
    image, note = read_picture(Upload(path.name, path))
    assert (image.shape, note) == (images.read(SIX).shape, "")


def test_a_picture_that_is_gone_is_asked_for_again(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="choose it again"):
        read_picture(Upload("door.jpg", tmp_path / "door.jpg"))


ANNA: Any = SimpleNamespace(session_hash="anna")


def watch(tab: VideoTab, path: Path) -> tuple[str, str | None, str | None]:
    """The video tab's answer to a program."""
    return tab.watch(Upload(path.name, path), "One pass", 0.25, 0.6, ANNA)


def meanwhile(monkeypatch: pytest.MonkeyPatch, pool: EnginePool, act: Callable[[], object]) -> None:
    """Do something at each look at a frame."""
    detect = pool.detect

    def acting(*seen: Any, **how: Any) -> Any:
        act()
        return detect(*seen, **how)

    monkeypatch.setattr(pool, "detect", acting)


def write_video(path: Path, frames: int, fps: int, side: int = 64) -> Path:
    with VideoSink(path, Fraction(fps)) as sink:
        for index in range(frames):
            picture = np.full((side, side, 3), index % 200, np.uint8)
            sink.write(Frame(picture, index, index / fps, path.name), Detections.empty())
    return path


def test_a_video_that_is_too_long_is_refused_at_once(pool: EnginePool, tmp_path: Path) -> None:
    words, copy, _ = watch(VideoTab(pool, Sessions(Store(tmp_path))), write_video(tmp_path / "day.mp4", 200, 1))
    assert "200 seconds are too long for this page (at most 120)" in words
    assert copy is None


def test_a_video_that_is_stopped_shows_what_was_done(
    pool: EnginePool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = Sessions(Store(tmp_path / "uploads"))
    meanwhile(monkeypatch, pool, lambda: sessions.of(ANNA).stop.set())
    words, copy, table = watch(VideoTab(pool, sessions), write_video(tmp_path / "door.mp4", 30, 10))
    assert "1 frame: no face found" in words
    assert "Stopped at 0:00" in words
    assert Path(copy or "").is_file()
    assert Path(table or "").is_file()


def test_a_video_that_is_removed_while_it_is_worked_on_shows_no_result(
    pool: EnginePool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = Sessions(Store(tmp_path / "uploads"))
    tab, path = VideoTab(pool, sessions), write_video(tmp_path / "door.mp4", 30, 10)
    with monkeypatch.context() as patch:
        meanwhile(patch, pool, lambda: tab.forget(sessions.of(ANNA)))
        assert watch(tab, path)[1:] == (None, None)
    assert tab.progress({}, sessions.of(ANNA)) == {"gone": True}
    assert "30 frames: no face found" in watch(tab, path)[0]


def test_a_video_that_is_removed_takes_its_result_along(
    pool: EnginePool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "YOUNG_S", -1)
    sessions = Sessions(Store(tmp_path / "uploads"))
    tab = VideoTab(pool, sessions)
    copy = Path(watch(tab, write_video(tmp_path / "door.mp4", 5, 10))[1] or "")
    assert copy.is_file()
    tab.forget(sessions.of(ANNA))
    assert not copy.exists()


def test_the_copy_of_a_video_keeps_its_sound(pool: EnginePool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions(Store(tmp_path / "uploads"))
    meanwhile(monkeypatch, pool, lambda: sessions.of(ANNA).stop.set())  # the first picture is enough
    copy = watch(VideoTab(pool, sessions), loud_video(tmp_path / "door.mp4", "aac"))[1]
    with av.open(copy or "") as film:
        assert len(film.streams.audio) == 1


def test_hidden_faces_are_neither_in_the_copy_nor_in_the_preview(pool: EnginePool, clip: Path, tmp_path: Path) -> None:
    job = VideoJob(pool, Upload(clip.name, clip), Wish("One pass", 0.25, 0.6, hide=True))
    previews: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        meanwhile(patch, pool, lambda: previews.append(job.preview()))
        job.run(tmp_path)
    assert (job.problem, job.words) == ("", "1 person, without a mask, in view for 1 s in all")
    with open_source(job.film or "") as copy:
        seen = [frame.image for frame in copy]
    assert len(seen) == 20
    assert previews[0] is None
    assert all(len(filter_detections(pool.detect(image, "").found, 0.3, 0.6)) == 0 for image in (*seen, *previews[1:]))


def test_one_video_too_many_is_told_to_wait(pool: EnginePool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_tab, "WAITING", 1 - video_tab.AT_ONCE)
    sessions, path = Sessions(Store(tmp_path / "uploads")), write_video(tmp_path / "door.mp4", 3, 10)
    tab, said = VideoTab(pool, sessions), []
    ben: Any = SimpleNamespace(session_hash="ben")
    meanwhile(monkeypatch, pool, lambda: said.append(tab.watch(Upload(path.name, path), "One pass", 0.25, 0.6, ben)[0]))
    assert "3 frames" in watch(tab, path)[0]
    assert said == ["problem: Too many videos wait already"] * 3


@pytest.mark.parametrize(
    ("masked", "bare", "words"),
    [
        (7, 6, "13 people, 6 of them without a mask, in view for 4 s in all"),
        (0, 1, "1 person, without a mask, in view for 4 s in all"),
        (0, 2, "2 people, all of them without a mask, in view for 4 s in all"),
        (1, 0, "1 person, with a mask"),
        (3, 0, "3 people, all with a mask"),
    ],
)
def test_the_people_of_a_video_are_said_in_words(masked: int, bare: int, words: str) -> None:
    assert _people(masked, bare, 4.2) == words


def test_of_two_networks_of_one_kind_both_can_be_chosen() -> None:
    picture = images.read(SIX)
    with load_engine() as one, load_engine(imgsz=64) as other:
        both = EnginePool(one, other)
        assert both.names == ("One pass, network 1", "One pass, network 2")
        found = [len(both.detect(picture, name).found) for name in both.names]
        assert found[0] != found[1]
        assert EnginePool(one, one).names == ("One pass",)


def test_a_timeline_keeps_the_most_faces_of_each_moment() -> None:
    moments = [Moment(index / 10, 2 if index == 500 else 0, 1) for index in range(1000)]
    assert columns(moments) == [(2 if slot == 30 else 0, 1) for slot in range(60)]
    assert columns([]) == []


def test_the_floor_of_the_sliders_is_what_the_engines_keep(pool: EnginePool) -> None:
    assert all(engine.conf == FLOOR for engine in pool._engines.values())
