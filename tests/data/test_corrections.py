from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from detector.data.corrections import Correction, correct, read_corrections
from detector.data.pairing import Pair
from detector.data.report import Report
from detector.data.voc import Annotation, Box
from detector.errors import AnnotationError
from detector.media import images

HEADER = "set,image,action,xmin,ymin,xmax,ymax,name,reason\n"
LEFT, RIGHT = Box("face", 0, 0, 20, 20), Box("mask", 30, 0, 50, 20)


def correction(action: str, box: Box | None = None) -> Correction:
    return Correction(None, "a.jpg", action, box, 2)


def corrected(boxes: tuple[Box, ...], *rows: Correction) -> tuple[tuple[Box, ...] | None, Report]:
    """The boxes of a.jpg after the rows, None if it is left out."""
    report = Report()
    label = Annotation("a.jpg", "images", (64, 48), boxes)
    pairs = correct([Pair(Path("a.jpg"), Path("a.xml"), "set", label)], rows, report)
    return (pairs[0].label.boxes if pairs else None), report


def read(tmp_path: Path, rows: str, header: str = HEADER) -> list[Correction]:
    path = tmp_path / "fixes.csv"
    path.write_bytes((header + rows).encode())
    return read_corrections(path)


def test_a_box_is_added() -> None:
    new = Box("nomask", 60, 0, 80, 20)
    assert corrected((LEFT,), correction("add", new))[0] == (LEFT, new)


def test_the_best_overlapping_box_is_removed() -> None:
    near = Box("face", 4, 0, 24, 20)
    assert corrected((near, LEFT), correction("remove", Box("box", 1, 0, 21, 20)))[0] == (near,)


def test_a_class_is_changed_and_the_box_stays() -> None:
    boxes, report = corrected((LEFT, RIGHT), correction("class", Box("face", 31, 1, 50, 20)))
    assert boxes == (LEFT, Box("face", 30, 0, 50, 20))
    assert report.corrected == {"class": 1}


def test_a_box_that_hangs_out_of_the_image_or_has_no_area_is_found(tmp_path: Path) -> None:
    image = tmp_path / "a.jpg"
    images.write(image, np.zeros((48, 64, 3), np.uint8))
    hanging, zero = Box("face", 40, 20, 200, 148), Box("face", 0, 0, 0, 0)
    pair = Pair(image, Path("a.xml"), "set", Annotation("a.jpg", "images", (64, 48), (hanging, zero, LEFT)))
    rows = [correction("class", Box("mask", 40, 20, 64, 48)), correction("remove", Box("box", 0, 0, 0, 0))]
    (found,) = correct([pair], rows, Report())
    assert found.label.boxes == (replace(hanging, name="mask"), LEFT)


def test_an_image_is_dropped() -> None:
    boxes, report = corrected((LEFT,), correction("drop"))
    assert boxes is None
    assert [(note.file, note.reason) for note in report.dropped] == [("set/a.jpg", "dropped by a correction")]


@pytest.mark.parametrize("action", ["remove", "class"])
def test_a_box_that_is_not_there_is_reported(action: str) -> None:
    boxes, report = corrected((LEFT,), correction(action, Box("face", 12, 0, 32, 20)))
    assert boxes == (LEFT,)
    assert not report.corrected
    (note,) = report.suspicious
    assert note.reason == f"line 2, {action} face 12 0 32 20: no label overlaps it by 0.5 IoU"


def test_a_face_that_is_labelled_already_is_not_added_twice() -> None:
    boxes, report = corrected((LEFT,), correction("add", Box("face", 1, 1, 20, 20)))
    assert boxes == (LEFT,)
    assert "a label is there already" in report.suspicious[0].reason


def test_corrections_are_applied_in_their_order() -> None:
    boxes, _ = corrected((), correction("add", LEFT), correction("class", Box("mask", *LEFT.xyxy)))
    assert boxes == (Box("mask", *LEFT.xyxy),)


def test_a_file_is_read_whatever_a_spreadsheet_made_of_it(tmp_path: Path) -> None:
    rows = '"set",a.jpg, add ,1,2,3.5,4,mask,"seen, twice"\r\nset,b.jpg,drop,,,,,,\r\n'
    assert read(tmp_path, rows, "\ufeff" + HEADER) == [
        Correction("set", "a.jpg", "add", Box("mask", 1, 2, 3.5, 4), 2),
        Correction("set", "b.jpg", "drop", None, 3),
    ]


def test_the_set_may_be_left_out(tmp_path: Path) -> None:
    (row,) = read(tmp_path, "a.jpg,drop,,,,,\n", "image,action,xmin,ymin,xmax,ymax,name\n")
    assert row.set_name is None


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("s,a.jpg,delete,1,2,3,4,,", "line 2: unknown action 'delete'"),
        ("s,,drop,,,,,,", "line 2: no image"),
        ("s,a.jpg,add,1,2,3,4,,", "line 2: add needs a class"),
        ("s,a.jpg,remove,1,2,3,,,", "line 2: remove needs pixel numbers"),
        ("s,a.jpg,remove,1,2,3,nan,,", "line 2: remove needs pixel numbers"),
        ("s,a.jpg,remove,1,2,3,1e99,,", "line 2: remove needs pixel numbers"),
        ("s,a.jpg,drop", "line 2 has another number of values"),
        ("s,a.jpg,drop,,,,,,,,", "line 2 has another number of values"),
        ('s,"a.jpg,drop', "not a CSV file"),
    ],
)
def test_a_row_that_cannot_be_understood_is_refused(tmp_path: Path, row: str, reason: str) -> None:
    with pytest.raises(AnnotationError, match=reason) as caught:
        read(tmp_path, row)
    assert "\n" not in str(caught.value)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="add ymax, name"):
        read(tmp_path, "", "image,action,xmin,ymin,xmax\n")


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fixes.csv"
    path.write_bytes((HEADER + "s,é.jpg,drop,,,,,,\n").encode("latin-1"))
    with pytest.raises(AnnotationError, match="not UTF-8"):
        read_corrections(path)


def test_a_missing_file_is_an_error_that_names_the_flag(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"fixes\.csv: cannot be read .*--corrections"):
        read_corrections(tmp_path / "fixes.csv")
