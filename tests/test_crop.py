from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from detector import crop
from detector.data.sample import Sample
from detector.detections import Detections
from detector.engines.crops import cut
from detector.errors import OutputError
from detector.media import images
from detector.training.two_step.crop_writer import BACKGROUND_PER_IMAGE, BACKGROUND_SCORES, write_crops

Floats = np.typing.NDArray[np.float32]


class Finder:
    """Finds what it is told to: no network is needed to see which boxes are taken."""

    def __init__(self, boxes: list[list[float]], scores: list[float]) -> None:
        self.conf = 0.25
        self._found = np.array(boxes, np.float32), np.array(scores, np.float32)

    def __call__(self, _image: images.Image) -> tuple[Floats, Floats]:
        assert self.conf == BACKGROUND_SCORES[0]
        return self._found

    def batch(self, _images: object) -> list[tuple[Floats, Floats]]:
        return []

    def close(self) -> None: ...


@pytest.fixture
def item(tmp_path: Path) -> Sample:
    rows, columns = np.mgrid[:200, :300]  # each place has its colour, and a JPEG keeps it
    picture = np.stack([rows, columns * 0.8, 255 - rows], axis=2).astype(np.uint8)
    images.write(tmp_path / "a.png", picture)
    boxes = np.array([[50, 50, 90, 100], [200, 100, 230, 130], [5, 5, 12, 12]], np.float32)
    truth = Detections(boxes, np.ones(3, np.float32), np.array([0, 1, 1]))
    ignored = np.array([[250, 20, 290, 60]], np.float32)
    return Sample(tmp_path / "a.png", "a.png", "", (300, 200), truth, ignored)


def test_faces_are_cut_as_the_engine_cuts_them_and_small_ones_are_left_out(item: Sample, tmp_path: Path) -> None:
    counts = write_crops({"train": [item], "val": [item]}, tmp_path / "out", side=64, margin=0.2)
    assert counts["train"] == counts["val"] == {"with_mask": 1, "without_mask": 1, "background": 1}
    (crop,) = (tmp_path / "out" / "train" / "with_mask").iterdir()
    expected = cut(images.read(item.path), item.truth.xyxy[:1], side=64, margin=0.2)[0]
    assert np.abs(images.read(crop).astype(int) - expected).mean() < 3  # JPEG
    note = json.loads((tmp_path / "out" / "crops.json").read_text())
    assert (note["side"], note["margin"], note["min_side"]) == (64, 0.2, 10)


def test_background_is_what_the_finder_takes_for_a_face_where_none_is(item: Sample, tmp_path: Path) -> None:
    free = [[float(x), 150.0, float(x) + 20, 170.0] for x in range(0, 180, 30)]
    boxes = [[52, 52, 88, 98], [255, 25, 285, 55], [100, 10, 130, 40], [140, 10, 146, 16], *free]
    scores = [0.5, 0.5, 0.9, 0.5, *np.linspace(0.4, 0.2, len(free)).tolist()]
    # on a face, on a region, too sure, too small; then free ones, more than are taken
    counts = write_crops({"train": [item]}, tmp_path / "out", side=32, finder=Finder(boxes, scores))
    assert counts["train"]["background"] == BACKGROUND_PER_IMAGE
    written = sorted((tmp_path / "out" / "train" / "background").iterdir())
    picture = images.read(item.path)
    for path, box in zip(written, free, strict=False):
        expected = cut(picture, np.array([box], np.float32), side=32, margin=0.1)[0]
        assert np.abs(images.read(path).astype(int) - expected).mean() < 3


def test_random_squares_touch_no_face_and_are_the_same_each_time(item: Sample, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_crops({"train": [item] * 5}, tmp_path / name, side=32)
    one, two = (sorted((tmp_path / name).rglob("*.jpg")) for name in ("one", "two"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]
    assert len(list((tmp_path / "one").rglob("background/*.jpg"))) == 5


def test_an_image_that_is_all_face_gives_no_background(tmp_path: Path) -> None:
    images.write(tmp_path / "a.png", np.zeros((50, 50, 3), np.uint8))
    truth = Detections(np.array([[0, 0, 50, 50]], np.float32), np.ones(1, np.float32), np.array([0]))
    item = Sample(tmp_path / "a.png", "a.png", "", (50, 50), truth)
    assert write_crops({"train": [item]}, tmp_path / "out", side=32)["train"]["background"] == 0


def test_what_is_there_is_never_overwritten_and_a_failure_leaves_nothing(item: Sample, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").touch()
    with pytest.raises(OutputError, match="is there and not empty"):
        write_crops({"train": [item]}, out)
    (out / "mine.txt").unlink()
    item.path.write_bytes(b"no image")
    with pytest.raises(Exception, match=r"a\.png"):
        write_crops({"train": [item]}, out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "out"]
    assert not list(out.iterdir())


def test_the_command_cuts_a_yolo_folder_and_says_what_comes_next(
    item: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "yolo"
    for part in ("train", "val"):
        (folder / "images" / part).mkdir(parents=True)
        (folder / "labels" / part).mkdir(parents=True)
        images.write(folder / "images" / part / "a.png", images.read(item.path))
        (folder / "labels" / part / "a.txt").write_text("0 0.2 0.4 0.2 0.3\n1 0.7 0.5 0.1 0.15\n")
    (folder / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [with_mask, without_mask]\n")
    out = tmp_path / "crops"
    flags = ["--data", str(folder / "data.yaml"), "--out", str(out), "--side", "48"]
    assert crop.main(flags) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "train: 1 with_mask, 1 without_mask, 1 background"
    assert printed[-1] == f"next: mask-detector train --engine two-step --crops {out}"
    assert images.read(next(out.rglob("with_mask/*.jpg"))).shape == (48, 48, 3)
    assert crop.main(flags) == 2
    assert "is there and not empty" in capsys.readouterr().err


def test_without_labels_the_sample_is_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert crop.main(["--out", str(tmp_path / "crops"), "--side", "32"]) == 0
    assert capsys.readouterr().out.startswith("train: 15 with_mask, 10 without_mask, ")
    assert crop.main(["--data", "a.yaml", "--val", "0.1"]) == 2
    assert "--data already names images and labels: leave out --val" in capsys.readouterr().err
