from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from detector import unconvert
from detector.data import dataset, voc
from detector.data.voc import Box
from tests.data.conftest import Workspace
from tools import yolo2voc

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


@pytest.fixture
def yolo_folder(workspace: Workspace) -> Path:
    """A YOLO folder of two images, one of them background."""
    workspace.pair("a.jpg", ("mask", 32, 4, 60, 30), ("face", 0, 12, 30, 48))
    workspace.pair("b.png")
    split = workspace.split("a.jpg,train", "b.png,val")
    dataset.build([workspace.annotations()], [workspace.images()], workspace.out, split=split)
    return workspace.out


def test_a_yolo_folder_becomes_xml_that_labelimg_opens(yolo_folder: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "tools/yolo2voc.py", yolo_folder, "--out", tmp_path / "xml"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"2 XML files with 2 boxes in {tmp_path / 'xml'}, 0 skipped\n"
    assert done.stderr == ""
    annotation = voc.read(tmp_path / "xml" / "train" / "a.xml")
    assert (annotation.filename, annotation.folder, annotation.size) == ("a.jpg", "train", (64, 48))
    assert annotation.boxes == (
        Box("with_mask", 32, 4, 60, 30),
        Box("without_mask", 0, 12, 30, 48, truncated=True),
    )
    assert voc.read(tmp_path / "xml" / "val" / "b.xml").boxes == ()


def test_the_script_still_knows_its_flag_force(yolo_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "xml" / "val").mkdir(parents=True)
    (tmp_path / "xml" / "val" / "b.xml").write_text("old", encoding="utf-8")
    assert yolo2voc.main([str(yolo_folder), "--out", str(tmp_path / "xml")]) == 2
    assert yolo2voc.main([str(yolo_folder), "--out", str(tmp_path / "xml"), "--force"]) == 0
    assert voc.read(tmp_path / "xml" / "val" / "b.xml").filename == "b.png"


@pytest.mark.parametrize("size", [(64, 48), (641, 427), (10_000, 12), (13, 9_999)])
def test_voc_to_yolo_to_voc_gives_the_same_boxes(workspace: Workspace, size: tuple[int, int]) -> None:
    width, height = size
    rng = np.random.default_rng(width)
    xs, ys = rng.uniform(0, width - 2, 40), rng.uniform(0, height - 2, 40)
    corners = [(x, y, rng.uniform(x + 1.01, width), rng.uniform(y + 1.01, height)) for x, y in zip(xs, ys, strict=True)]
    corners[::2] = [(int(a), int(b), int(c) + 1, int(d) + 1) for a, b, c, d in corners[::2]]
    workspace.image("a.jpg", width, height)
    workspace.label("a", *(("face" if i % 3 else "mask", *box) for i, box in enumerate(corners)), size=size)
    split = workspace.split("a.jpg,train")
    dataset.build([workspace.annotations()], [workspace.images()], workspace.out, split=split)
    assert unconvert.main([str(workspace.out), "--out", str(workspace.root / "xml")]) == 0
    before = voc.read(workspace.annotations() / "a.xml").boxes
    after = voc.read(workspace.root / "xml" / "train" / "a.xml").boxes
    assert np.abs(np.array([box.xyxy for box in before]) - [box.xyxy for box in after]).max() < 0.01
    assert [box.xyxy for box in before[::2]] == [box.xyxy for box in after[::2]]
    assert [box.name for box in after] == ["without_mask" if i % 3 else "with_mask" for i in range(40)]


def test_the_xml_can_be_converted_again(yolo_folder: Path, workspace: Workspace) -> None:
    assert unconvert.main([str(yolo_folder), "--out", str(workspace.root / "xml")]) == 0
    annotations = [workspace.root / "xml" / split for split in ("train", "val")]
    images = [yolo_folder / "images" / split for split in ("train", "val")]
    again = workspace.root / "again"
    dataset.build(annotations, images, again, split=workspace.root / "split.csv")
    labels = [(path / "labels/train/a.txt").read_bytes() for path in (yolo_folder, again)]
    assert labels[0] == labels[1]


def test_an_existing_xml_is_replaced_only_by_force(
    yolo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "xml" / "val" / "b.xml"
    mine.parent.mkdir(parents=True)
    mine.write_text("my work", encoding="utf-8")
    assert unconvert.main([str(yolo_folder), "--out", str(tmp_path / "xml")]) == 2
    assert "is there already (1 such files)" in capsys.readouterr().err
    assert mine.read_text(encoding="utf-8") == "my work"
    assert not (tmp_path / "xml" / "train").exists()
    assert unconvert.main([str(yolo_folder), "--out", str(tmp_path / "xml"), "--overwrite"]) == 0
    assert voc.read(mine).filename == "b.png"


def test_predictions_keep_the_boxes_that_are_sure_enough(workspace: Workspace) -> None:
    workspace.image("a.jpg")
    labels = workspace.root / "labels"
    labels.mkdir()
    (labels / "a.txt").write_text("1 0.5 0.5 0.5 0.5 0.9\n0 0.2 0.2 0.1 0.1 0.3\n", encoding="utf-8")
    flags = ["--labels", str(labels), "--images", str(workspace.images()), "--names", "mask, no mask"]
    assert unconvert.main([*flags, "--out", str(workspace.root / "xml"), "--conf", "0.5"]) == 0
    assert voc.read(workspace.root / "xml" / "a.xml").boxes == (Box("no mask", 16, 12, 48, 36),)


def test_files_that_cannot_be_converted_are_named_and_the_rest_is_written(
    yolo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (yolo_folder / "labels/train/orphan.txt").write_text("0 0.5 0.5 0.1 0.1\n", encoding="utf-8")
    (yolo_folder / "labels/val/b.txt").write_text("7 0.5 0.5 0.1 0.1\n", encoding="utf-8")
    assert unconvert.main([str(yolo_folder), "--out", str(tmp_path / "xml")]) == 1
    printed = capsys.readouterr()
    assert "1 XML files with 2 boxes" in printed.out
    assert "orphan.txt: no image with this name" in printed.err
    assert "b.txt: class 7, but only 2 names" in printed.err


def test_of_two_images_of_one_name_none_is_taken_without_a_word(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.jpg", "a.png", "b.jpg"):
        workspace.image(name)
    labels = workspace.root / "labels"
    labels.mkdir()
    for stem in ("a", "b"):
        (labels / f"{stem}.txt").write_text("0 0.5 0.5 0.2 0.2\n", encoding="utf-8")
    flags = ["--labels", str(labels), "--images", str(workspace.images()), "--names", "a,b"]
    assert unconvert.main([*flags, "--out", str(workspace.root / "xml")]) == 1
    assert "a.jpg, a.png have this name" in capsys.readouterr().err
    assert [path.name for path in (workspace.root / "xml").iterdir()] == ["b.xml"]


def test_a_folder_without_labels_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert unconvert.main([str(tmp_path), "--names", "a", "--out", str(tmp_path / "xml")]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path / 'labels'}: no .txt label files there: check the folder\n"


def test_nothing_that_can_be_converted_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "images").mkdir()
    (tmp_path / "labels" / "a.txt").write_bytes(b"")
    assert unconvert.main([str(tmp_path), "--names", "a", "--out", str(tmp_path / "xml")]) == 2
    assert "no label file could be converted" in capsys.readouterr().err
    assert not (tmp_path / "xml").exists()


def test_labels_that_labelimg_saved_as_yolo_are_converted(workspace: Workspace) -> None:
    image = workspace.image("a.jpg")
    (image.parent / "classes.txt").write_text("dog\nwith_mask\n", encoding="utf-8")
    (image.parent / "a.txt").write_text("1 0.500000 0.500000 0.500000 0.500000\n", encoding="utf-8")
    out = workspace.root / "xml"
    assert unconvert.main(["--labels", str(image.parent), "--images", str(image.parent), "--out", str(out)]) == 0
    assert [path.name for path in out.iterdir()] == ["a.xml"]
    assert voc.read(out / "a.xml").boxes == (Box("with_mask", 16, 12, 48, 36),)


@pytest.mark.parametrize("flags", [[], ["--labels", "x"], ["--images", "x"]])
def test_without_a_folder_or_both_parts_of_one_it_says_what_to_give(
    flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert unconvert.main([*flags, "--out", "xml"]) == 2
    assert capsys.readouterr().err == "error: nothing to convert: give a YOLO folder, or --labels and --images\n"


def test_an_empty_class_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        unconvert.main(["--names", "a,,b", "--out", "xml"])
    assert "has an empty name" in capsys.readouterr().err
