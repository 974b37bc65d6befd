from __future__ import annotations

from pathlib import Path

import pytest

from detector.data.pairing import name_set, pair
from detector.data.progress import silent
from detector.data.report import Report
from detector.errors import AnnotationError, SourceError
from tests.data.conftest import Workspace

FACE = ("face", 1.0, 1.0, 20.0, 20.0)


def pair_up(annotations: list[Path], images: list[Path]) -> tuple[list[tuple[str, str]], Report]:
    report = Report()
    pairs = pair(annotations, images, report, silent)
    return [(f"{name_set(p.annotation.parent)}/{p.annotation.name}", p.title) for p in pairs], report


def pair_set(workspace: Workspace) -> tuple[list[tuple[str, str]], Report]:
    return pair_up([workspace.annotations()], [workspace.images()])


def test_annotations_find_their_images_by_name(workspace: Workspace) -> None:
    workspace.image("b.JPG")
    workspace.image("a.png")
    workspace.label("a", filename="a.png")
    workspace.label("b", filename="b.JPG")
    pairs, report = pair_set(workspace)
    assert pairs == [("set/a.xml", "set/a.png"), ("set/b.xml", "set/b.JPG")]
    assert not report.dropped + report.mended


def test_an_annotation_with_another_name_finds_the_image_that_it_states(workspace: Workspace) -> None:
    workspace.image("photo.jpg")
    workspace.label("label_1", filename="photo.jpg")
    assert pair_set(workspace)[0] == [("set/label_1.xml", "set/photo.jpg")]


def test_the_image_of_the_same_name_wins_over_the_stated_one(workspace: Workspace) -> None:
    workspace.image("a.jpg")
    workspace.image("b.jpg")
    workspace.label("a", filename="b.jpg")
    pairs, report = pair_set(workspace)
    assert pairs == [("set/a.xml", "set/a.jpg")]
    assert "states the file name 'b.jpg'" in report.mended[0].reason
    assert [note.file for note in report.dropped] == ["set/b.jpg"]


@pytest.mark.parametrize("stated", ["", "a", "a.jpg", "a.jpeg", r"C:\photos\a.jpg", "/home/ann/a.jpg"])
def test_harmless_ways_to_state_the_file_name_are_not_reported(workspace: Workspace, stated: str) -> None:
    workspace.image("a.jpg")
    workspace.label("a", filename=stated)
    pairs, report = pair_set(workspace)
    assert pairs == [("set/a.xml", "set/a.jpg")]
    assert report.mended == []


@pytest.mark.parametrize(
    ("stated", "suspicious"), [("photo.v2", False), ("photo.v2.jpg", False), ("photo.v1", True), ("photo.heic", False)]
)
def test_a_stated_name_with_a_dot_is_looked_for_as_a_whole_first_and_a_guess_is_pointed_out(
    workspace: Workspace, stated: str, suspicious: bool
) -> None:
    workspace.image("photo.jpg")
    workspace.image("photo.v2.jpg")
    workspace.label("x", filename=stated)
    pairs, report = pair_set(workspace)
    assert pairs == [("set/x.xml", "set/photo.v2.jpg" if "v2" in stated else "set/photo.jpg")]
    assert len(report.suspicious) == suspicious


def test_upper_and_lower_case_matter_only_between_images_that_differ_in_nothing_else(workspace: Workspace) -> None:
    for name in ("img_1.JPG", "B.png", "b.png"):
        workspace.image(name)
    for stem in ("IMG_1", "B", "b"):
        workspace.label(stem, filename="")
    pairs, report = pair_set(workspace)
    assert sorted(pairs) == [("set/B.xml", "set/B.png"), ("set/IMG_1.xml", "set/img_1.JPG"), ("set/b.xml", "set/b.png")]
    assert not report.dropped


def test_the_annotation_in_the_same_case_comes_first(workspace: Workspace) -> None:
    workspace.image("img.jpg")
    for stem in ("IMG", "img"):
        workspace.label(stem, filename="")
    pairs, report = pair_set(workspace)
    assert pairs == [("set/img.xml", "set/img.jpg")]
    assert [note.file for note in report.dropped] == ["set/IMG.xml"]


def test_a_stated_name_cannot_lead_out_of_the_image_folder(workspace: Workspace) -> None:
    workspace.image("inside.jpg")
    workspace.image("secret.jpg", folder="other")
    workspace.label("x", filename="../../other/images/secret.jpg")
    pairs, report = pair_set(workspace)
    assert pairs == []
    assert "no image has its name" in report.dropped[0].reason


def test_two_images_of_one_name_are_told_apart_by_the_stated_suffix(workspace: Workspace) -> None:
    workspace.image("a.jpg")
    workspace.image("a.png")
    workspace.label("a", filename="a.png")
    assert pair_set(workspace)[0] == [("set/a.xml", "set/a.png")]


def test_the_first_annotations_belong_to_the_first_images(workspace: Workspace) -> None:
    for folder in ("one", "two"):
        workspace.image("a.jpg", folder=folder)
        workspace.label("a", folder=folder)
    sets = ("two", "one")
    pairs, _ = pair_up([workspace.annotations(name) for name in sets], [workspace.images(name) for name in sets])
    assert pairs == [("one/a.xml", "one/a.jpg"), ("two/a.xml", "two/a.jpg")]


def test_with_other_numbers_of_folders_all_images_are_searched(workspace: Workspace) -> None:
    workspace.image("a.jpg", folder="one")
    workspace.image("b.jpg", folder="two")
    workspace.label("a")
    workspace.label("b")
    pairs, _ = pair_up([workspace.annotations()], [workspace.images("one"), workspace.images("two")])
    assert pairs == [("set/a.xml", "one/a.jpg"), ("set/b.xml", "two/b.jpg")]


def test_among_images_of_one_name_the_neighbouring_folder_wins(workspace: Workspace) -> None:
    for folder in ("one", "two", "three"):
        workspace.image("a.jpg", folder=folder)
    workspace.label("a", folder="one")
    workspace.label("a", folder="two")
    images = [workspace.images(name) for name in ("one", "two", "three")]
    pairs, report = pair_up([workspace.annotations("two"), workspace.annotations("one")], images)
    assert pairs == [("one/a.xml", "one/a.jpg"), ("two/a.xml", "two/a.jpg")]
    assert [note.file for note in report.dropped] == ["three/a.jpg"]


def test_an_ambiguous_annotation_is_dropped_and_reported(workspace: Workspace) -> None:
    workspace.image("a.jpg", folder="one")
    workspace.image("a.jpg", folder="two")
    workspace.label("a")
    pairs, report = pair_up([workspace.annotations()], [workspace.images("one"), workspace.images("two")])
    assert pairs == []
    assert "2 images have this name" in report.dropped[0].reason


def test_of_two_annotations_for_one_image_the_second_is_dropped(workspace: Workspace) -> None:
    workspace.image("a.jpg")
    workspace.label("a")
    workspace.label("copy of a", filename="a.jpg")
    pairs, report = pair_set(workspace)
    assert pairs == [("set/a.xml", "set/a.jpg")]
    assert "belongs to a.xml already" in report.dropped[0].reason


def test_what_finds_no_partner_is_reported_on_both_sides(workspace: Workspace) -> None:
    workspace.image("a.jpg")
    workspace.label("b")
    pairs, report = pair_set(workspace)
    assert pairs == []
    assert [(note.kind, note.file) for note in report.dropped] == [("annotation", "set/b.xml"), ("image", "set/a.jpg")]


def test_annotations_may_lie_beside_their_images(workspace: Workspace) -> None:
    workspace.image("a.jpg")
    workspace.label("a").rename(workspace.images() / "a.xml")
    assert pair_up([workspace.images()], [workspace.images()])[0] == [("set/a.xml", "set/a.jpg")]


def test_an_accented_name_is_found_however_the_file_system_writes_it(workspace: Workspace) -> None:
    workspace.image("cafe\u0301.jpg")
    workspace.label("caf\u00e9")
    assert len(pair_set(workspace)[0]) == 1


def test_hidden_files_are_passed_over(workspace: Workspace) -> None:
    workspace.image("a.jpg")
    workspace.label("a")
    (workspace.annotations() / "._a.xml").write_bytes(b"\0\5\x16\7")
    (workspace.images() / "._a.jpg").write_bytes(b"\0\5\x16\7")
    assert pair_set(workspace)[1].dropped == []


@pytest.mark.parametrize(
    ("folder", "name"), [("kaggle/images", "kaggle"), ("kaggle/JPEGImages", "kaggle"), ("photos", "photos")]
)
def test_a_set_is_called_like_its_folder(folder: str, name: str, tmp_path: Path) -> None:
    assert name_set(tmp_path / folder) == name


def test_a_missing_folder_is_an_error_that_names_it(workspace: Workspace) -> None:
    workspace.image("a.jpg")
    with pytest.raises(AnnotationError, match=r"annotations: cannot be read .*--annotations"):
        pair_set(workspace)
    workspace.label("a")
    with pytest.raises(SourceError, match="nowhere"):
        pair_up([workspace.annotations()], [workspace.root / "nowhere"])


def test_folders_without_files_are_errors(workspace: Workspace) -> None:
    workspace.label("a")
    workspace.images().mkdir(parents=True)
    with pytest.raises(AnnotationError, match="no images there: check --images"):
        pair_set(workspace)
    workspace.image("a.jpg")
    (workspace.annotations() / "a.xml").unlink()
    with pytest.raises(AnnotationError, match=r"no \.xml files there: check --annotations"):
        pair_set(workspace)


def test_only_unreadable_annotations_are_an_error_with_the_first_reason(workspace: Workspace) -> None:
    workspace.image("a.jpg")
    workspace.label("a").write_bytes(b"")
    with pytest.raises(AnnotationError, match=r"no annotation can be used; set/a\.xml: the file is empty"):
        pair_set(workspace)
