from __future__ import annotations

from pathlib import Path

import pytest

from detector.data.dataset import adopt
from detector.errors import AnnotationError, DetectorError, TrainingError
from detector.training.history import data_note
from detector.training.single_stage.yolo_copy import check_folder
from tests.training.build import copy_of_folder, digest, yolo_folder


def test_the_faces_of_each_class_are_counted_per_split() -> None:
    contents = check_folder(yolo_folder())
    assert contents["train"].count == 20
    assert contents["train"].named == {"with_mask": 15, "without_mask": 10}
    note = data_note("images", contents["train"], contents["val"])
    assert note.startswith("trained on 20 images (15 with_mask, 10 without_mask), chosen on 8 images")


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ("names: [without_mask, with_mask]", "0: with_mask, 1: without_mask, in this order"),
        ("names: {0: with_mask, 1: without_mask, 2: dog}", "dog"),
        ("names: [mask, nomask]", "nomask"),
        ("", "names must list the classes, 0: with_mask"),
    ],
)
def test_other_classes_or_another_order_are_refused_with_the_order_that_is_expected(
    tmp_path: Path, names: str, says: str
) -> None:
    data = tmp_path / "data.yaml"
    data.write_text(f"train: images/train\nval: images/val\n{names}\n")
    with pytest.raises(DetectorError, match=says):
        check_folder(data)


def test_a_class_without_a_single_face_is_refused(tmp_path: Path) -> None:
    data = copy_of_folder(tmp_path / "folder")
    for label in (tmp_path / "folder" / "labels" / "train").iterdir():
        label.write_text("".join(line for line in label.read_text().splitlines(True) if not line.startswith("1 ")))
    with pytest.raises(TrainingError, match="no face is labelled without_mask in train"):
        check_folder(data)


def test_a_class_number_beyond_the_names_is_refused_with_its_file(tmp_path: Path) -> None:
    data = copy_of_folder(tmp_path / "folder")
    label = next(p for p in sorted((tmp_path / "folder" / "labels" / "train").iterdir()) if p.stat().st_size)
    label.write_text("2 0.5 0.5 0.1 0.1\n")
    with pytest.raises(AnnotationError, match=label.name):
        check_folder(data)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("train: [", "not YAML"),
        ("just words", "no entries train, val and names"),
        ("val: nowhere\nnames: [with_mask, without_mask]", "no entry train"),
        ("train: nowhere\nval: nowhere\nnames: [with_mask, without_mask]", "nowhere is not there"),
        ("train: empty\nval: empty\nnames: [with_mask, without_mask]", "no images in train"),
    ],
)
def test_a_data_yaml_that_leads_nowhere_is_one_clear_line(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "empty").mkdir()
    data = tmp_path / "data.yaml"
    data.write_text(content)
    with pytest.raises(AnnotationError, match=says) as caught:
        check_folder(data)
    assert "\n" not in str(caught.value)
    assert str(data) in str(caught.value)


def test_a_missing_data_yaml_is_named(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"not_there\.yaml"):
        check_folder(tmp_path / "not_there.yaml")


def test_an_adopted_folder_is_a_whole_copy_and_the_original_is_untouched(tmp_path: Path) -> None:
    before = digest(yolo_folder().parent)
    assert adopt(yolo_folder(), tmp_path / "run" / "dataset").dropped == []
    assert check_folder(tmp_path / "run/dataset/data.yaml") == check_folder(yolo_folder())
    assert digest(yolo_folder().parent) == before


def test_images_listed_in_text_files_and_in_several_folders_with_equal_names_are_all_adopted(tmp_path: Path) -> None:
    copy_of_folder(tmp_path / "a")
    copy_of_folder(tmp_path / "b")
    images = sorted((tmp_path / "a" / "images" / "val").iterdir())
    (tmp_path / "val.txt").write_text("".join(f"a/images/val/{image.name}\n" for image in images), encoding="utf-8")
    data = tmp_path / "data.yaml"
    data.write_text("train: [a/images/train, b/images/train]\nval: val.txt\nnames: {0: with_mask, 1: without_mask}\n")
    adopt(data, tmp_path / "run")
    contents = check_folder(tmp_path / "run/data.yaml")
    assert (contents["train"].count, contents["val"].count) == (40, 8)
    assert contents["train"].named == {"with_mask": 30, "without_mask": 20}


def test_a_picture_that_is_cut_short_is_left_out_and_named_before_ultralytics_repairs_it(tmp_path: Path) -> None:
    data = copy_of_folder(tmp_path / "folder")
    image = next((tmp_path / "folder" / "images" / "val").glob("*.jpg"))
    image.write_bytes(image.read_bytes()[:-500])
    (note,) = adopt(data, tmp_path / "run").dropped
    assert note.file == f"images/val/{image.name}"
    assert note.reason.startswith("the file is cut short")
    assert check_folder(tmp_path / "run/data.yaml")["val"].count == 7
