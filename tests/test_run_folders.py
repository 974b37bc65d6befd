"""``mask-detector run`` on folders: not written into, thinned, one class only, cut into faces, watched."""

from __future__ import annotations

import json
import shutil
import threading
import time
from fractions import Fraction
from pathlib import Path

import cv2
import pytest

from detector import run as command
from detector.detections import Detections
from detector.media import images
from detector.media.encode import VideoSink
from detector.media.frames import Frame
from detector.media.sources import open_source, open_sources
from detector.media.watching import WatchedFolder

SAMPLE = Path(__file__).resolve().parents[1] / "data" / "images"
PAIR, BARE = "pair_one_mask.jpg", "hopper_bare_dark.jpg"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in (PAIR, BARE):
        shutil.copy(SAMPLE / name, folder / name)
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("sources", "target"),
    [
        (["photos"], "photos"),
        (["photos"], "photos/../photos/"),
        (["photos"], "not-there/../photos"),
        (["photos"], "link"),
        (["link"], "photos"),
        (["links"], "photos"),
        (["photos/*.jpg"], "photos"),
        (["photos/**/*.jpg"], "photos/new/deeper"),
        ([f"photos/{PAIR}"], "photos"),
        ([f"other/{PAIR}", f"photos/{BARE}"], "photos"),
        (["other", "photos"], "./photos"),
    ],
)
def test_results_are_never_written_where_images_are_read(
    sources: list[str],
    target: str,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(photos, "other")
    Path("link").symlink_to("photos")
    Path("links").mkdir()
    Path("links", PAIR).symlink_to(photos / PAIR)
    before, flag = names(tmp_path), "--crops" if target == "./photos" else "--save"
    assert command.main([*sources, flag, target]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith(f"error: {flag} {Path(target)}: ")
    assert said[0].endswith(" is read from there: choose another folder")
    assert names(tmp_path) == before


def test_a_folder_in_another_letter_case_is_the_same_folder_where_the_file_system_says_so(photos: Path) -> None:
    other = photos.with_name("PHOTOS")
    assert open_source(photos).reads_from(other) == other.exists()  # type: ignore[attr-defined]


def test_a_folder_below_the_images_can_be_written_to(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([str(photos), "--save", str(photos / "out")]) == 0
    assert names(photos / "out") == [BARE, PAIR]
    assert f"wrote 2 images into {photos / 'out'}" in capsys.readouterr().err
    assert command.main([str(photos)]) == 0
    assert "2 images in" in capsys.readouterr().out


def test_only_one_class_is_drawn_cut_out_and_counted(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, crops, found = tmp_path / "out", tmp_path / "crops", tmp_path / "found.jsonl"
    flags = ["--only", "with_mask", "--save", str(out), "--crops", str(crops), "--json", str(found)]
    assert command.main([str(photos), *flags]) == 0
    assert "1 face, 1 with_mask, 0 without_mask" in capsys.readouterr().out
    assert names(out) == [PAIR]
    assert names(crops) == [f"with_mask/{Path(PAIR).stem}_1.jpg"]
    lines = [json.loads(line) for line in found.read_text().splitlines()]
    faces = {Path(line["source"]).name: [face["class"] for face in line["faces"]] for line in lines}
    assert faces == {BARE: [], PAIR: ["with_mask"]}
    left, top, right, bottom = next(face["box"] for line in lines for face in line["faces"])
    height, width = images.read(crops / "with_mask" / f"{Path(PAIR).stem}_1.jpg").shape[:2]
    assert right - left < width < 2 * (right - left)
    assert bottom - top < height < 2 * (bottom - top)


def test_crops_are_as_unrecognisable_as_all_else_with_blur(photos: Path, tmp_path: Path) -> None:
    detail = {}
    for flags in ([], ["--blur"]):
        crops = tmp_path / f"crops{len(flags)}"
        assert command.main([str(photos / PAIR), "--crops", str(crops), *flags]) == 0
        pictures = [images.read(path) for path in sorted(crops.rglob("*.jpg"))]
        assert len(pictures) == 2
        detail[len(flags)] = [cv2.Laplacian(picture, cv2.CV_32F).std() for picture in pictures]
    assert all(blurred < plain / 2 for plain, blurred in zip(detail[0], detail[1], strict=True))


def test_of_a_video_every_nth_frame_is_kept_at_its_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video, out = tmp_path / "door.mp4", tmp_path / "out"
    picture = cv2.resize(images.read(SAMPLE / PAIR), (320, 160))
    with VideoSink(video, Fraction(12)) as sink:
        for index in range(24):
            sink.write(Frame(picture, index, index / 12, "door"), Detections.empty())
    assert command.main([str(video), "--every", "3", "--save", str(out)]) == 0
    assert "8 frames in" in capsys.readouterr().out
    with open_source(out / "door.mp4") as copy:
        assert [frame.time for frame in copy] == pytest.approx([index / 4 for index in range(8)])


def test_every_nth_image_is_looked_at(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        shutil.copy(photos / PAIR, photos / f"z{number}.jpg")
    found = tmp_path / "found.jsonl"
    assert command.main([str(photos), "--every", "2", "--json", str(found)]) == 0
    assert "3 images in" in capsys.readouterr().out
    sources = [Path(json.loads(line)["source"]).name for line in found.read_text().splitlines()]
    assert sources == [BARE, "z0.jpg", "z2.jpg"]


def test_a_watched_folder_hands_out_each_image_once_and_when_it_is_whole(photos: Path, tmp_path: Path) -> None:
    whole = (SAMPLE / "collins_bare.jpg").read_bytes()

    def fill() -> None:
        time.sleep(0.3)
        with (photos / "slow.jpg").open("wb") as file:
            for part in (whole[:20_000], whole[20_000:40_000], whole[40_000:]):
                file.write(part)
                file.flush()
                time.sleep(0.9)  # longer than two looks: the file seems to be at rest
        shutil.copy(SAMPLE / "collins_bare_tilted.jpg", tmp_path / "moved.jpg").replace(photos / "moved.jpg")

    filling = threading.Thread(target=fill)
    with WatchedFolder(photos) as source:
        filling.start()
        seen = []
        for frame in source:
            seen.append(Path(frame.name).name)
            if "moved.jpg" in seen:
                break
        filling.join()
    assert seen == [BARE, PAIR, "slow.jpg", "moved.jpg"]
    assert not source.failures


def test_what_is_no_picture_is_named_once_and_the_watch_goes_on(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detector.media.watching.QUIET_S", 1.0)
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff half a picture")
    with WatchedFolder(photos) as source:
        frames = iter(source)
        assert [Path(next(frames).name).name for _ in range(2)] == [BARE, PAIR]
        while not source.failures:
            time.sleep(0.1)
        shutil.copy(photos / PAIR, photos / "z.jpg")
        assert Path(next(frames).name).name == "z.jpg"
    assert len(source.failures) == 1


def test_only_a_folder_can_be_watched(photos: Path) -> None:
    with pytest.raises(command.SourceError, match="--watch waits for images in a folder"):
        list(open_sources([str(photos / PAIR)], watch=True))
