from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import pytest

from detector.data import dataset, voc, yolo_labels
from detector.data.loading import load_voc, load_yolo
from detector.data.report import Report
from detector.data.sample import Sample
from detector.errors import AnnotationError, OutputError
from detector.media import images
from tests.data.conftest import BoxLike, Workspace

T = TypeVar("T")
FACE = ("face", 10.0, 12.0, 30.0, 40.0)
MASK = ("mask", 32.0, 4.0, 60.0, 30.0)


def build(workspace: Workspace, *sets: str, **options: object) -> Report:
    names = sets or ("set",)
    if "split" not in options:
        rows = [
            f"{p.name},{'val' if p.stem == 'v' else 'train'}"
            for name in names
            for p in workspace.images(name).iterdir()
        ]
        options["split"] = workspace.split(*dict.fromkeys(rows))
    folders = [workspace.annotations(name) for name in names], [workspace.images(name) for name in names]
    return dataset.build(*folders, workspace.out, **options)  # type: ignore[arg-type]


def load(workspace: Workspace, report: Report | None = None, **options: object) -> list[Sample]:
    return load_voc([workspace.annotations()], [workspace.images()], report=report, **options)  # type: ignore[arg-type]


def reasons(report: Report) -> list[str]:
    return [f"{note.kind} {note.file}: {note.reason}" for note in (*report.dropped, *report.mended, *report.suspicious)]


def test_a_labelled_image_becomes_ground_truth_in_pixels(workspace: Workspace) -> None:
    workspace.pair("a.jpg", FACE, MASK)
    (sample,) = load(workspace)
    assert (sample.path, sample.title) == (workspace.images() / "a.jpg", "set/a.jpg")
    assert (sample.set_name, sample.size, sample.split) == ("set", (64, 48), None)
    assert sample.truth.xyxy.tolist() == [list(FACE[1:]), list(MASK[1:])]
    assert sample.truth.names == ["without_mask", "with_mask"]
    assert sample.truth.confidence.tolist() == [1, 1]


def test_a_yolo_folder_has_everything_that_training_needs(workspace: Workspace) -> None:
    source = workspace.pair("a.jpg", FACE, MASK)
    workspace.pair("v.png", FACE)
    report = build(workspace)
    files = sorted(path.relative_to(workspace.out).as_posix() for path in workspace.out.rglob("*") if path.is_file())
    assert files == [
        "data.yaml",
        "images/train/a.jpg",
        "images/val/v.png",
        "labels/train/a.txt",
        "labels/val/v.txt",
        "report.json",
        "report.txt",
    ]
    assert (workspace.out / "images/train/a.jpg").read_bytes() == source.read_bytes()
    assert (workspace.out / "labels/train/a.txt").read_text(encoding="utf-8") == (
        "1 0.31250000 0.54166667 0.31250000 0.58333333\n0 0.71875000 0.35416667 0.43750000 0.54166667\n"
    )
    assert (workspace.out / "report.txt").read_text(encoding="utf-8") == report.text()


def test_data_yaml_holds_no_path_so_that_the_folder_can_be_moved(workspace: Workspace) -> None:
    workspace.pair("a.jpg", FACE)
    build(workspace)
    text = (workspace.out / "data.yaml").read_text(encoding="utf-8")
    assert text == "train: images/train\nval: images/val\nnames:\n  0: with_mask\n  1: without_mask\n"


def test_no_file_names_a_path_of_this_machine(workspace: Workspace) -> None:
    workspace.pair("a.jpg", FACE)
    workspace.image("unlabelled.jpg")
    workspace.annotations().joinpath("broken.xml").write_bytes(b"<annotation>")
    build(workspace)
    for name in ("data.yaml", "report.txt", "report.json"):
        assert str(workspace.root) not in (workspace.out / name).read_text(encoding="utf-8")


def test_a_box_outside_the_image_is_clipped_and_reported(workspace: Workspace) -> None:
    workspace.pair("a.jpg", ("face", -5, 10, 70, 60), ("face", -5, 0, 30, 40))
    report = Report()
    assert load(workspace, report)[0].truth.xyxy.tolist() == [[0, 10, 64, 48], [0, 0, 30, 40]]
    assert reasons(report) == [
        "box set/a.jpg: 1 (face -5 10 70 60): clipped to the image",
        "box set/a.jpg: 2 (face -5 0 30 40): clipped to the image",
    ]


def test_swapped_corners_are_put_in_order_and_reported(workspace: Workspace) -> None:
    workspace.pair("a.jpg", ("face", 30, 40, 10, 12))
    report = Report()
    assert load(workspace, report)[0].truth.xyxy.tolist() == [[10, 12, 30, 40]]
    assert reasons(report) == ["box set/a.jpg: 1 (face 30 40 10 12): corners put in order"]


def test_a_box_that_needs_both_repairs_is_reported_with_both(workspace: Workspace) -> None:
    workspace.pair("a.jpg", ("face", 70, 40, 10, 12))
    report = Report()
    assert load(workspace, report)[0].truth.xyxy.tolist() == [[10, 12, 64, 40]]
    assert [note.reason.split(": ")[1] for note in report.mended] == ["corners put in order", "clipped to the image"]


@pytest.mark.parametrize(
    "corners",
    [(10, 10, 10, 20), (10, 10, 20, 10.5), (64, 0, 90, 48), (-9, -9, 0.5, 20), (0, 0, 0, 0), (0.1, 0.2, 0.4, 0.6)],
)
@pytest.mark.parametrize("others", [(), (FACE,)])
def test_an_image_with_a_box_of_less_than_a_pixel_is_left_out_and_named(
    workspace: Workspace, corners: tuple[float, ...], others: tuple[BoxLike, ...]
) -> None:
    workspace.pair("a.jpg", ("face", *corners), *others)  # type: ignore[arg-type]
    workspace.pair("b.jpg", FACE)
    report = Report()
    assert [sample.title for sample in load(workspace, report)] == ["set/b.jpg"]
    assert [(note.kind, note.file) for note in report.dropped] == [("box", "set/a.jpg"), ("image", "set/a.jpg")]
    assert "under 1 px" in report.dropped[0].reason
    assert "would count as background" in report.dropped[1].reason


def test_an_image_with_a_box_that_is_ignored_is_not_trained_on_and_in_evaluation_its_region_is_ignored(
    workspace: Workspace,
) -> None:
    workspace.pair("a.jpg", FACE, ("blurred", *MASK[1:]))
    workspace.pair("b.jpg", ("blurred", *MASK[1:]))
    workspace.pair("c.jpg", FACE, ("sign", *MASK[1:]))
    names = {"blurred": "ignore", "sign": "background"}
    first, second, third = load(workspace, class_map=names)
    assert first.ignored.tolist() == second.ignored.tolist() == [list(MASK[1:])]
    assert third.ignored.tolist() == []
    report = build(workspace, class_map=names)
    assert list(report.files["train"]) == ["c.jpg"]
    assert [note.file for note in report.dropped] == ["set/a.jpg", "set/b.jpg"]
    assert "mapped to ignore" in report.dropped[0].reason


def test_a_photo_that_was_labelled_lying_is_turned_with_its_labels(
    workspace: Workspace, lay_on_side: Callable[[Path], None]
) -> None:
    lay_on_side(workspace.image("a.jpg"))  # stored 64 x 48, upright 48 x 64
    workspace.label("a", FACE)
    report = Report()
    (sample,) = load(workspace, report)
    assert sample.size == (48, 64)
    assert sample.truth.xyxy.tolist() == [[48 - 40, 10, 48 - 12, 30]]
    assert [note.reason for note in report.mended] == [
        "labelled lying on its side: its boxes were turned upright with the image"
    ]


def test_a_photo_whose_size_does_not_tell_how_it_was_labelled_is_pointed_out(
    workspace: Workspace, lay_on_side: Callable[[Path], None]
) -> None:
    lay_on_side(workspace.image("a.jpg", 48, 48))
    workspace.label("a", FACE, size=(48, 48))
    report = Report()
    assert load(workspace, report)[0].truth.xyxy.tolist() == [list(FACE[1:])]
    assert "EXIF orientation 6" in report.suspicious[0].reason


def test_what_pillow_refuses_is_copied_as_a_png_that_it_reads(workspace: Workspace) -> None:
    pillow = pytest.importorskip("PIL.Image", reason="what Pillow refuses is known where it is installed")
    gif, damaged = workspace.pair("gif.jpg", FACE, seed=1), workspace.pair("damaged.png", FACE, seed=2)
    with pillow.open(gif) as image:
        image.convert("P").save(gif, "GIF")
    data = bytearray(damaged.read_bytes())
    data[33:33] = b"\0\0\0\5tEXta\0bcdWRONG"[:17]
    damaged.write_bytes(data)
    before = {path: path.read_bytes() for path in (gif, damaged)}
    report = build(workspace)
    assert sorted(report.files["train"]) == ["damaged.png", "gif.png"]
    assert all("copied as a new PNG" in note.reason for note in report.mended)
    for path in before:
        copy = workspace.out / "images/train" / f"{path.stem}.png"
        with pillow.open(copy) as image:
            image.verify()
            assert image.format == "PNG"
        assert np.array_equal(images.read(copy), images.read(path))
    assert {path: path.read_bytes() for path in before} == before


def test_a_data_yaml_changed_by_hand_keeps_the_folder_from_being_replaced(workspace: Workspace) -> None:
    workspace.pair("a.jpg", FACE)
    build(workspace)
    (workspace.out / "data.yaml").write_text("train: images/train\n", encoding="utf-8")
    with pytest.raises(OutputError, match=r"its data\.yaml was changed"):
        build(workspace)


def test_two_images_of_a_yolo_folder_with_one_label_file_are_pointed_out(tmp_path: Path) -> None:
    theirs = Workspace(tmp_path)
    for name in ("a.jpg", "a.png", "b.jpg"):
        theirs.image(name)
    theirs.images().with_name("labels").mkdir()
    theirs.images().with_name("labels").joinpath("a.txt").write_text("0 .5 .5 .2 .2\n", encoding="utf-8")
    (tmp_path / "data.yaml").write_text("train: set/images\nval: set/images\nnames: [mask, face]\n", encoding="utf-8")
    report = Report()
    assert len(load_yolo(tmp_path / "data.yaml", part="train", report=report)) == 3
    assert [(note.file, note.reason.split(":")[0]) for note in report.suspicious] == [
        ("set/images/a.png", "has the same label file as set/images/a.jpg")
    ]


def test_a_yolo_folder_of_predictions_with_other_names_is_adopted_as_plain_boxes(tmp_path: Path) -> None:
    theirs = Workspace(tmp_path)
    for name, rows in {
        "a": "0 .5 .5 .2 .2 0.9\n0 .5 .5 .2 .2 0.8\n",
        "b": "1 .1 .1 .3 .1 .3 .3\n",
        "c": "0 .5 .5 0 0\n",
    }.items():
        for part in ("train", "val"):
            theirs.image(f"{part}_{name}.jpg", folder=part)
            theirs.images(part).with_name("labels").mkdir(exist_ok=True)
            theirs.images(part).with_name("labels").joinpath(f"{part}_{name}.txt").write_text(rows, encoding="utf-8")
    data = tmp_path / "data.yaml"
    data.write_text("train: ../train/images\nval: val/images\nnames: [no-mask, cloth]\n", encoding="utf-8")
    report = dataset.adopt(data, tmp_path / "run", class_map={"cloth": "with_mask"})
    assert sorted(report.files["train"]) == ["train_a.jpg", "train_b.jpg"]
    labels = [(tmp_path / f"run/labels/train/train_{name}.txt").read_text(encoding="utf-8") for name in "ab"]
    assert [text.split()[0] for text in labels] == ["1", "0"]
    assert [len(text.split()) for text in labels] == [5, 5]
    lost = {note.file for note in report.dropped if note.kind == "image"}
    assert lost == {"train/images/train_c.jpg", "val/images/val_c.jpg"}


def test_the_same_box_twice_is_dropped_once(workspace: Workspace) -> None:
    workspace.pair("a.jpg", FACE, ("nomask", *FACE[1:]), FACE)
    report = Report()
    assert len(load(workspace, report)[0].truth) == 1
    assert [note.reason.split(": ")[1] for note in report.dropped] == ["the same again"] * 2


def test_one_face_with_both_classes_is_kept_and_pointed_out(workspace: Workspace) -> None:
    workspace.pair("a.jpg", FACE, ("mask", *FACE[1:]))
    report = Report()
    assert len(load(workspace, report)[0].truth) == 2
    assert "labelled with both classes" in report.suspicious[0].reason


def test_an_image_without_faces_becomes_background(workspace: Workspace) -> None:
    workspace.pair("a.jpg", FACE)
    workspace.pair("empty.jpg")
    report = build(workspace)
    assert (workspace.out / "labels/train/empty.txt").read_bytes() == b""
    assert report.counts["set", "train"]["background"] == 1


@pytest.mark.parametrize(
    ("stated", "kind", "reason"),
    [
        ((48, 64), "suspicious", "on its side"),
        ((128, 96), "suspicious", "scaled copy"),
        ((100, 100), "suspicious", "another image"),
        ((0, 0), "mended", "no size"),
        (None, "mended", "no size"),
    ],
)
def test_a_wrong_size_is_reported_and_the_boxes_stay(
    workspace: Workspace, stated: tuple[int, int] | None, kind: str, reason: str
) -> None:
    workspace.image("a.jpg")
    workspace.label("a", FACE, size=stated)
    report = Report()
    assert load(workspace, report)[0].truth.xyxy.tolist() == [list(FACE[1:])]
    (note,) = getattr(report, kind)
    assert reason in note.reason
    assert len(reasons(report)) == 1


def test_labels_of_a_photo_lying_on_its_side_fit_the_upright_image(
    workspace: Workspace, lay_on_side: Callable[[Path], None]
) -> None:
    source = workspace.pair("a.jpg", ("face", 6, 16, 42, 64))
    lay_on_side(source)
    workspace.label("a", ("face", 6, 16, 42, 64), size=(48, 64))
    assert reasons(build(workspace)) == []
    copy = workspace.out / "images/train/a.jpg"
    assert copy.read_bytes() == source.read_bytes()
    # What a training library decodes from the copy, with OpenCV's own orientation:
    height, width = cv2.imdecode(np.frombuffer(copy.read_bytes(), np.uint8), cv2.IMREAD_COLOR).shape[:2]
    (box,) = yolo_labels.read_labels(workspace.out / "labels/train/a.txt")
    assert box.xyxy(width, height) == (6, 16, 42, 64)


@pytest.mark.parametrize("name", ["cut.jpg", "cut.png", "cut.webp"])
def test_a_truncated_image_is_dropped_and_reported(workspace: Workspace, name: str) -> None:
    workspace.pair("a.jpg", FACE)
    path = workspace.pair(name, FACE)
    path.write_bytes(path.read_bytes()[:-20])
    report = Report()
    assert [sample.path.name for sample in load(workspace, report)] == ["a.jpg"]
    (reason,) = reasons(report)
    assert re.fullmatch(rf"image set/{name}: the file is cut short \(\d+ bytes, .* missing\): copy it again", reason)


def test_a_jpeg_with_bytes_after_its_end_is_whole(workspace: Workspace) -> None:
    path = workspace.pair("a.jpg", FACE)
    path.write_bytes(path.read_bytes() + bytes(1000))
    assert len(load(workspace)) == 1


@pytest.mark.parametrize("content", [b"", b"not an image", b"GIF89a"])
def test_a_file_that_is_no_image_is_dropped_and_reported(workspace: Workspace, content: bytes) -> None:
    workspace.pair("a.jpg", FACE)
    workspace.pair("bad.jpg", FACE).write_bytes(content)
    report = Report()
    assert len(load(workspace, report)) == 1
    assert [(note.kind, note.file) for note in report.dropped] == [("image", "set/bad.jpg")]


def test_an_image_too_small_to_train_on_is_dropped_and_reported(workspace: Workspace) -> None:
    workspace.pair("a.jpg", FACE)
    workspace.image("tiny.png", 30, 9)
    workspace.label("tiny", ("face", 1, 1, 8, 8), filename="tiny.png", size=(30, 9))
    report = Report()
    assert len(load(workspace, report)) == 1
    assert "30x9 px: smaller than 10 px" in report.dropped[0].reason


def test_an_image_that_ultralytics_cannot_read_is_dropped_and_reported(workspace: Workspace) -> None:
    workspace.pair("a.jpg", FACE)
    workspace.pair("b.gif", FACE)
    report = build(workspace)
    assert reasons(report) == ["image set/b.gif: .gif cannot be trained on: convert it to JPEG or PNG"]


def test_a_webp_lying_on_its_side_is_dropped_and_reported(workspace: Workspace) -> None:
    pillow = pytest.importorskip("PIL.Image", reason="writes a WebP with an orientation")
    workspace.pair("a.jpg", FACE)
    path = workspace.pair("b.webp", FACE)
    with pillow.open(path) as image:
        exif = image.getexif()
        exif[0x0112] = 6
        image.save(path, exif=exif)
    report = build(workspace)
    assert [note.reason.split(":")[0] for note in report.dropped] == [
        "a WebP with an EXIF orientation may be trained on lying"
    ]


def test_a_suffix_that_ultralytics_skips_is_replaced(workspace: Workspace) -> None:
    source = workspace.pair("a.jfif", FACE)
    build(workspace)
    assert (workspace.out / "images/train/a.jpg").read_bytes() == source.read_bytes()


def test_images_that_would_share_a_label_file_get_names_of_their_own(workspace: Workspace) -> None:
    for name, folder in (("a.jpg", "one"), ("A.jpg", "two"), ("a.png", "two"), ("b.jpg", "two")):
        workspace.pair(name, FACE, folder=folder)
    report = build(workspace, "one", "two")
    assert report.files["train"] == {
        "one_a.jpg": "one/a.jpg",
        "two_A.jpg": "two/A.jpg",
        "two_a-2.png": "two/a.png",
        "b.jpg": "two/b.jpg",
    }
    assert len(list((workspace.out / "labels/train").iterdir())) == 4


def test_an_unreadable_annotation_costs_its_image_and_no_more(workspace: Workspace) -> None:
    workspace.pair("a.jpg", FACE)
    workspace.image("b.jpg")
    (workspace.annotations() / "b.xml").write_bytes(b"<annotation>")
    report = Report()
    assert [sample.path.name for sample in load(workspace, report)] == ["a.jpg"]
    assert [(note.kind, note.file) for note in report.dropped] == [("annotation", "set/b.xml"), ("image", "set/b.jpg")]


def test_an_unknown_class_name_is_an_error_that_counts_and_helps(workspace: Workspace) -> None:
    workspace.pair("a.jpg", ("cat", 1, 1, 9, 9), ("cat", 20, 1, 29, 9), ("dog", 1, 20, 9, 29), FACE)
    with pytest.raises(AnnotationError, match=r"'cat' \(2 boxes\), 'dog' \(1 boxes\): .*--map NAME=CLASS") as caught:
        load(workspace)
    assert "\n" not in str(caught.value)


def test_ignored_classes_leave_no_boxes(workspace: Workspace) -> None:
    workspace.pair("a.jpg", ("cat", 1, 1, 9, 9), FACE)
    report = Report()
    assert load(workspace, report, class_map={"Cat": "ignore"})[0].truth.names == ["without_mask"]
    assert "cat: 1 boxes -> ignore" in report.text()


def test_a_map_for_a_name_that_no_box_has_is_a_warning(workspace: Workspace) -> None:
    workspace.pair("a.jpg", FACE)
    report = Report()
    load(workspace, report, class_map={"cta": "ignore"})
    assert report.warnings == ["--map cta: no box has this name"]


def test_boxes_that_somebody_was_not_sure_of_are_used_and_counted(workspace: Workspace) -> None:
    workspace.pair("a.jpg", FACE)
    workspace.image("b.jpg")
    boxes = (voc.Box(*FACE, difficult=True), voc.Box("without_mask", 30, 30, 50, 45, difficult=True))
    voc.write(workspace.annotations() / "b.xml", voc.Annotation("b.jpg", "images", (64, 48), boxes))
    report = Report()
    assert [len(sample.truth) for sample in load(workspace, report)] == [1, 2]
    assert report.warnings == ["2 boxes in 1 images are marked as difficult and used like any other: set/b.jpg"]


def test_corrections_come_before_the_class_map(workspace: Workspace) -> None:
    workspace.pair("a.jpg", FACE)
    workspace.pair("b.jpg", FACE)
    fixes = workspace.root / "fixes.csv"
    fixes.write_text(
        "set,image,action,xmin,ymin,xmax,ymax,name,reason\n"
        "set,a.jpg,class,11,12,30,41,mask,wears one\n"
        "set,a.jpg,add,40,2,60,30,No-Mask,left out\n"
        "set,b.jpg,drop,,,,,,a drawing\n"
        "set,c.jpg,drop,,,,,,not here\n"
        "set,a.jpg,remove,0,0,4,4,,nothing there\n",
        encoding="utf-8",
    )
    report = Report()
    (sample,) = load(workspace, report, corrections=fixes)
    assert sample.truth.names == ["with_mask", "without_mask"]
    assert report.corrected == {"class": 1, "add": 1, "drop": 1}
    assert [(note.file, note.reason.split(",")[0]) for note in report.suspicious] == [
        ("set/a.jpg", "line 6"),
        ("set/c.jpg", "line 5 and all for this image: no such image is used"),
    ]


def test_images_outside_the_split_file_are_left_out_and_reported(workspace: Workspace) -> None:
    for name in ("a.jpg", "b.jpg", "v.jpg", "x.jpg"):
        workspace.pair(name, FACE)
    split = workspace.split(
        "set,a.jpg,train", "set,v.jpg,val", "set,b.jpg,test", "set,z.jpg,val", header="set,image,split"
    )
    report = build(workspace, split=split)
    assert report.files == {"train": {"a.jpg": "set/a.jpg"}, "val": {"v.jpg": "set/v.jpg"}}
    assert [note.file for note in report.dropped] == ["set/x.jpg", "set/b.jpg"]
    assert report.warnings[0] == "1 images of the file of --split are not there or not labelled: set/z.jpg"


def test_near_duplicates_on_both_sides_of_a_split_file_are_a_warning(workspace: Workspace) -> None:
    for name in ("a.jpg", "v.jpg"):
        workspace.pair(name, FACE, MASK)
    split = workspace.split("a.jpg,7,train", "v.jpg,7,val", header="image,group,split")
    assert build(workspace, split=split).warnings == ["1 groups of the file of --split are in train and in val: 7"]


def test_load_keeps_every_split_of_the_file(workspace: Workspace) -> None:
    workspace.pair("a.jpg", FACE)
    workspace.pair("b.jpg", FACE)
    split = workspace.split("a.jpg,test", "b.jpg,train")
    assert [sample.split for sample in load(workspace, split=split)] == ["test", "train"]


def test_a_class_without_boxes_is_a_warning(workspace: Workspace) -> None:
    workspace.pair("a.jpg", FACE)
    assert build(workspace).warnings == [
        "no box of with_mask in train: label some",
        "no image in val: both train and val are needed",
    ]


def test_nothing_left_to_train_on_is_an_error_and_writes_nothing(workspace: Workspace) -> None:
    workspace.pair("a.jpg", FACE)
    with pytest.raises(AnnotationError, match="no line of the file of --split has set set"):
        build(workspace, split=workspace.split("other.jpg,train"))
    assert not workspace.out.exists()


def test_the_same_input_gives_the_same_bytes(workspace: Workspace, tree_hash: Callable[[Path], dict[str, str]]) -> None:
    for index in range(12):
        workspace.pair(f"{index}.jpg", FACE, *([MASK] if index % 2 else []), seed=index)
    build(workspace, split=None, val=0.25, seed=3)
    first = tree_hash(workspace.out)
    build(workspace, split=None, val=0.25, seed=3)
    assert tree_hash(workspace.out) == first
    workspace.out = workspace.root / "elsewhere" / "other name"
    build(workspace, split=None, val=0.25, seed=3)
    assert tree_hash(workspace.out) == first


def test_the_sources_are_not_touched(workspace: Workspace, tree_hash: Callable[[Path], dict[str, str]]) -> None:
    workspace.pair("a.jpg", FACE)
    before = (
        tree_hash(workspace.root),
        [path.stat().st_mtime_ns for path in sorted((workspace.root / "set").rglob("*"))],
    )
    build(workspace, split=None)
    after = (
        tree_hash(workspace.root / "set"),
        [p.stat().st_mtime_ns for p in sorted((workspace.root / "set").rglob("*"))],
    )
    assert after == ({name.removeprefix("set/"): value for name, value in before[0].items()}, before[1])
    assert not (workspace.images() / "a.jpg").samefile(workspace.out / "images/train/a.jpg")


def interrupt_while(stage: str, error: BaseException) -> Callable[[Sequence[T], str], Iterable[T]]:
    """A progress bar in whose ``stage`` something goes wrong after the first item."""

    def progress(items: Sequence[T], title: str) -> Iterable[T]:
        for index, item in enumerate(items):
            if title == stage and index == 1:
                raise error
            yield item

    return progress


@pytest.mark.parametrize("stage", ["reading annotations", "checking images", "comparing images", "writing"])
def test_an_interrupted_build_leaves_nothing(workspace: Workspace, stage: str) -> None:
    for index in range(3):
        workspace.pair(f"{index}.jpg", FACE, seed=index)
    workspace.out = workspace.root / "not" / "yet" / "there"
    with pytest.raises(KeyboardInterrupt):
        build(workspace, split=None, progress=interrupt_while(stage, KeyboardInterrupt()))
    assert [path.name for path in workspace.root.iterdir()] == ["set"]


def test_a_failed_rebuild_leaves_the_old_folder(
    workspace: Workspace, tree_hash: Callable[[Path], dict[str, str]]
) -> None:
    for name in ("a.jpg", "b.jpg"):
        workspace.pair(name, FACE)
    build(workspace)
    before = tree_hash(workspace.out)
    workspace.label("a", MASK)
    with pytest.raises(OutputError, match="No space left"):
        build(workspace, progress=interrupt_while("writing", OSError(28, "No space left on device")))
    assert tree_hash(workspace.out) == before
    assert sorted(path.name for path in workspace.root.iterdir()) == ["out", "set", "split.csv"]


def test_a_rebuild_replaces_its_own_folder_and_the_caches_in_it(workspace: Workspace) -> None:
    workspace.pair("a.jpg", FACE)
    build(workspace)
    (workspace.out / "labels" / "train.cache").write_bytes(b"ultralytics")
    workspace.label("a", MASK)
    build(workspace)
    assert (workspace.out / "labels/train/a.txt").read_text(encoding="utf-8").startswith("0 ")
    assert not (workspace.out / "labels" / "train.cache").exists()


def test_a_folder_of_the_users_is_not_replaced(workspace: Workspace) -> None:
    workspace.pair("a.jpg", FACE)
    workspace.out.mkdir()
    (workspace.out / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(OutputError, match="not made by mask-detector convert"):
        build(workspace)
    assert (workspace.out / "thesis.txt").read_text(encoding="utf-8") == "years of work"


def test_a_file_of_the_users_in_the_folder_keeps_it_from_being_replaced(workspace: Workspace) -> None:
    workspace.pair("a.jpg", FACE)
    build(workspace)
    (workspace.out / "images/train/mine.jpg").write_bytes(b"")
    with pytest.raises(OutputError, match=r"images/train/mine\.jpg was not made by"):
        build(workspace)


def test_labels_changed_by_hand_keep_the_folder_from_being_replaced(workspace: Workspace) -> None:
    workspace.pair("a.jpg", FACE)
    build(workspace)
    (workspace.out / "labels/train/a.txt").write_text("0 0.5 0.5 0.1 0.1\n", encoding="utf-8")
    with pytest.raises(OutputError, match="labels were changed"):
        build(workspace)


def test_an_empty_folder_is_used(workspace: Workspace) -> None:
    workspace.pair("a.jpg", FACE)
    workspace.out.mkdir()
    build(workspace)
    assert (workspace.out / "data.yaml").is_file()


def test_a_file_in_the_place_of_the_folder_is_refused(workspace: Workspace) -> None:
    workspace.pair("a.jpg", FACE)
    workspace.out.write_text("", encoding="utf-8")
    with pytest.raises(OutputError, match="is a file"):
        build(workspace)


def test_a_link_to_the_folder_stays_a_link(workspace: Workspace) -> None:
    workspace.pair("a.jpg", FACE)
    (workspace.root / "real").mkdir()
    workspace.out.symlink_to(workspace.root / "real")
    build(workspace)
    assert workspace.out.is_symlink()
    assert (workspace.root / "real" / "data.yaml").is_file()


def test_the_report_counts_sets_splits_and_classes(workspace: Workspace) -> None:
    workspace.pair("a.jpg", FACE, MASK, folder="one")
    workspace.pair("v.jpg", FACE, folder="two")
    report = build(workspace, "one", "two")
    lines = report.text().splitlines()
    assert [line.split() for line in lines[:5]] == [
        ["set", "split", "images", "background", "with_mask", "without_mask"],
        ["one", "train", "1", "0", "1", "1"],
        ["two", "val", "1", "0", "0", "1"],
        ["all", "train", "1", "0", "1", "1"],
        ["all", "val", "1", "0", "0", "1"],
    ]
    content = json.loads((workspace.out / "report.json").read_bytes())
    assert content["sets"][0] == {
        "set": "one",
        "split": "train",
        "images": 1,
        "background": 0,
        "with_mask": 1,
        "without_mask": 1,
    }
    assert content["warnings"] == ["no box of with_mask in val: label some"]


@pytest.mark.skipif(os.name == "nt", reason="Windows does not allow such a name")
def test_a_line_break_in_a_file_name_does_not_break_the_report(workspace: Workspace) -> None:
    workspace.pair("a.jpg", FACE)
    workspace.image("b\nc.jpg")
    assert "image set/b\\nc.jpg: no annotation" in build(workspace, split=workspace.split("a.jpg,train")).text()


def test_images_are_not_decoded_when_the_split_is_given(workspace: Workspace) -> None:
    path = workspace.pair("a.jpg", FACE)
    data = bytearray(path.read_bytes())
    scan = data.index(b"\xff\xda")
    data[scan + 14 : -2] = bytes(len(data) - scan - 16)  # header and end are there, the pixels are not
    path.write_bytes(data)
    assert images.image_size(path) == (64, 48)
    assert build(workspace).counts["set", "train"]["images"] == 1
