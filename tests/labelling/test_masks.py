from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector import masks
from detector.data import voc
from detector.data.loading import load_voc
from detector.errors import ModelError
from detector.labelling import bare_faces, drawn_folder, landmarks
from detector.media import images

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "data"


@pytest.fixture
def one(tmp_path: Path) -> Path:
    """A set with one bare face, one that wears its mask wrongly by its name, and a picture without a face."""
    for name in ("annotations", "images"):
        (tmp_path / "set" / name).mkdir(parents=True)
    for source, target in (("collins_bare", "a"), ("hopper_mask_under_nose", "b"), ("no_face_coffee", "c")):
        (tmp_path / "set" / "images" / f"{target}.jpg").write_bytes((SAMPLE / "images" / f"{source}.jpg").read_bytes())
        label = voc.read(SAMPLE / "annotations" / f"{source}.xml")
        names = {"a": "nomask", "b": "with_incorrect_mask"}
        boxes = tuple(voc.Box(names[target], *box.xyxy) for box in label.boxes)
        voc.write(
            tmp_path / "set" / "annotations" / f"{target}.xml",
            voc.Annotation(f"{target}.jpg", "images", label.size, boxes),
        )
    return tmp_path / "set"


def flags(folder: Path, out: Path, *more: str) -> list[str]:
    named = ["--annotations", str(folder / "annotations"), "--images", str(folder / "images")]
    return [*named, "--out", str(out), "--share", "1", *more]


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


PROPERLY = ("--worn-wrongly", "0", "--confusers", "0")
WRONGLY = ("--worn-wrongly", "1", "--confusers", "0")
CONFUSED = ("--worn-wrongly", "0", "--confusers", "1")


@pytest.mark.parametrize("style", ["surgical", "cloth", "ffp2", "black", "patterned"])
def test_a_mask_hides_the_lower_face_and_makes_it_with_mask(one: Path, tmp_path: Path, style: str) -> None:
    before, out = snapshot(one), tmp_path / "out"
    assert masks.main(flags(one, out, *PROPERLY, "--style", style)) == 0
    assert snapshot(one) == before
    label = voc.read(out / "annotations" / "a.xml")
    assert [box.name for box in label.boxes] == ["with_mask"]
    assert (label.filename, label.size) == ("a.jpg", (512, 512))
    assert sorted(snapshot(out)) == ["annotations/a.xml", "images/a.jpg", "split.csv"]
    changed = _changed(out, "a")
    face = _face()
    height = face.height
    assert changed[_around(face, (13, 14, 0, 17, 4, 2, 61, 291), 0.02 * height)].mean() > 0.97
    assert changed[_around(face, (33, 133, 159, 145, 362, 263, 386, 374), 0.03 * height)].mean() < 0.02
    rows, columns = np.nonzero(changed)
    left, top, right, bottom = label.boxes[0].xyxy
    outside = (columns < left - 0.1 * height) | (columns > right + 0.1 * height) | (rows > bottom + 0.1 * height)
    assert outside.mean() < 0.01
    assert rows.min() > top + 0.25 * (bottom - top)


@pytest.mark.parametrize("more", [WRONGLY, CONFUSED])
def test_wrong_wear_and_what_is_no_mask_stay_without_mask(one: Path, tmp_path: Path, more: tuple[str, ...]) -> None:
    for seed in range(4):
        out = tmp_path / str(seed)
        assert masks.main(flags(one, out, *more, "--seed", str(seed))) == 0
        assert [box.name for box in voc.read(out / "annotations" / "a.xml").boxes] == ["without_mask"]
        face, changed = _face(), _changed(out, "a")
        if more is WRONGLY:
            assert changed[_around(face, (199, 175), 0.02 * face.height)].mean() > 0.7
            assert changed[_around(face, (4, 5, 195), 0.02 * face.height)].mean() < 0.1
        else:
            assert _changed(out, "a", 8)[_around(face, (13, 14), 0.01 * face.height)].mean() > 0.7


def test_each_confuser_hides_the_mouth(one: Path, tmp_path: Path) -> None:
    for kind in ("hand", "scarf", "bandana", "cup"):
        out = tmp_path / kind
        assert masks.main(flags(one, out, *CONFUSED, "--confuser", kind)) == 0
        face = _face()
        assert _changed(out, "a", 8)[_around(face, (13, 14), 0.01 * face.height)].mean() > 0.7  # skin on skin


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(one: Path, tmp_path: Path) -> None:
    for name, seed in (("x/out", "1"), ("y/out", "1"), ("z/out", "2")):
        (tmp_path / name).parent.mkdir()
        assert masks.main(flags(one, tmp_path / name, "--seed", seed)) == 0
    assert snapshot(tmp_path / "x") == snapshot(tmp_path / "y") != snapshot(tmp_path / "z")


def test_what_was_made_is_read_back_as_labels_of_its_part(tmp_path: Path) -> None:
    out, report, sheet = tmp_path / "made", tmp_path / "report.json", tmp_path / "sheet.jpg"
    more = ["--split", str(SAMPLE / "split.csv"), "--share", "1", "--report", str(report), "--sheet", str(sheet)]
    assert masks.main(["--out", str(out), *more]) == 0
    written = json.loads(report.read_text())
    assert written["pictures"]["written"] == len(list((out / "images").iterdir()))
    assert images.read(sheet).shape[0] > 150
    samples = load_voc(
        [SAMPLE / "annotations", out / "annotations"],
        [SAMPLE / "images", out / "images"],
        split=out / "split.csv",
    )
    made = {sample.path.name: sample for sample in samples if sample.set_name == "made"}
    assert {sample.split for sample in made.values()} == {"train"}
    assert set(made) == {each["image"] for each in written["treated"]}
    rows = (SAMPLE / "split.csv").read_text().splitlines()
    assert len(samples) == len(rows) - 1 + len(made)
    sources = {sample.path.name: sample for sample in samples if sample.set_name == "data"}
    for name, sample in made.items():
        assert sources[name].split == "train"
        assert len(sample.truth) == len(sources[name].truth)
        drawn = [each for each in written["treated"] if each["image"] == name and each["kind"] == "mask"]
        assert sample.truth.names.count("with_mask") == sources[name].truth.names.count("with_mask") + len(drawn)


def test_a_split_beside_the_labels_keeps_what_validates_out(tmp_path: Path) -> None:
    out, report = tmp_path / "made", tmp_path / "report.json"
    assert masks.main(["--out", str(out), "--share", "1", "--report", str(report)]) == 0
    rows = [row.split(",") for row in (SAMPLE / "split.csv").read_text().splitlines()]
    column = rows[0].index("image")
    validates = {row[column] for row in rows if "val" in row}
    assert validates
    drawn = {each["source"].rpartition("/")[2] for each in json.loads(report.read_text())["treated"]}
    assert drawn
    assert not drawn & validates
    made = [line.split(",") for line in (out / "split.csv").read_text().splitlines()]
    assert {row[1] for row in made if row[-1] == "val"} == validates


def test_pictures_of_two_sets_with_one_name_do_not_replace_each_other(one: Path, tmp_path: Path) -> None:
    shutil.copytree(one, tmp_path / "other")
    shutil.copytree(one, tmp_path / "third" / "other")
    more = [
        flag
        for folder in (tmp_path / "other", tmp_path / "third" / "other")
        for flag in ("-a", str(folder / "annotations"), "-i", str(folder / "images"))
    ]
    assert masks.main([*flags(one, tmp_path / "out"), *more]) == 0
    names = ["a.jpg", "other_a.jpg", "set_a.jpg"]
    assert sorted(path.name for path in (tmp_path / "out" / "images").iterdir()) == names


def test_a_dry_run_counts_and_writes_nothing(one: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = snapshot(tmp_path)
    report = ["--report", str(tmp_path / "r.json"), "--sheet", str(tmp_path / "s.jpg")]
    assert masks.main(flags(one, tmp_path / "out", "--dry-run", *report)) == 0
    assert snapshot(tmp_path) == before
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "1 bare face in 1 picture, 1 treated"
    assert printed[-1] == "nothing was written (--dry-run)"


def test_nothing_that_is_there_is_overwritten(one: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for flag, name in (("--out", "out"), ("--report", "r.json"), ("--sheet", "s.jpg")):
        (tmp_path / name).write_text("mine")
        assert masks.main(flags(one, tmp_path / "free", flag, str(tmp_path / name))) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"error: {tmp_path / name}: ")
        assert error.count("\n") == 1
        assert (tmp_path / name).read_text() == "mine"
        assert not (tmp_path / "free").exists()


def test_a_sheet_of_an_unknown_format_is_refused_before_anything_is_drawn(
    one: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert masks.main(flags(one, tmp_path / "out", "--sheet", str(tmp_path / "sheet.xyz"))) == 2
    assert "cannot write .xyz" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_part_without_pictures_and_a_picture_that_cannot_be_read_are_named(
    one: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    split = ["--split", str(SAMPLE / "split.csv"), "--part", "test"]
    assert masks.main(["--out", str(tmp_path / "out"), *split]) == 2
    assert "no image is in --part test: it has train, val" in capsys.readouterr().err
    (one / "images" / "d.jpg").write_bytes(b"no image")
    label = voc.Annotation("d.jpg", "images", (100, 100), (voc.Box("face", 10, 10, 90, 90),))
    voc.write(one / "annotations" / "d.xml", label)
    assert masks.main(flags(one, tmp_path / "out")) == 1
    assert "d.jpg" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out" / "images").iterdir()] == ["a.jpg"]


def test_without_a_bare_face_one_line_says_why(one: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert masks.main(flags(one, tmp_path / "out", "--min-side", "300")) == 2
    assert "no face can be treated: 1 too small" in capsys.readouterr().err
    assert masks.main(flags(one, tmp_path / "out", "--map", "nomask=ignore")) == 2
    assert "no face can be treated: no bare face is labelled" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_face_whose_landmarks_are_nonsense_is_left_as_it_is() -> None:
    mesh = landmarks.FaceMesh()
    coffee = images.read(SAMPLE / "images" / "no_face_coffee.jpg")
    nobody = np.zeros((0, 4))
    assert bare_faces.find(mesh, coffee, (80, 40, 240, 200), nobody) == "no landmarks found"
    picture = images.read(SAMPLE / "images" / "collins_bare.jpg")
    box = voc.read(SAMPLE / "annotations" / "collins_bare.xml").boxes[0].xyxy
    assert not isinstance(bare_faces.find(mesh, picture, box, nobody), str)
    assert bare_faces.find(mesh, picture, box, np.array([box])) == "another face is in its way"
    cut = np.ascontiguousarray(picture[: int(box[1] + 0.6 * (box[3] - box[1]))])
    assert isinstance(bare_faces.find(mesh, cut, box, nobody), str)


def test_a_face_with_a_mask_on_it_is_not_taken_for_a_bare_one(one: Path, tmp_path: Path) -> None:
    (one / "annotations" / "b.xml").write_text((one / "annotations" / "b.xml").read_text().replace("incorrect_", ""))
    out = tmp_path / "out"
    assert masks.main(flags(one, out)) == 0
    assert [path.name for path in (out / "images").iterdir()] == ["a.jpg"]


def test_landmarks_turn_and_lean_with_the_head() -> None:
    angles, mesh = bare_faces.angles, landmarks.FaceMesh()
    label = {name: voc.read(SAMPLE / "annotations" / f"{name}.xml").boxes[0].xyxy for name in NAMES}
    found = {name: angles(mesh(images.read(SAMPLE / "images" / f"{name}.jpg"), label[name])) for name in NAMES}
    assert abs(found["collins_bare"][0]) < 8
    assert abs(found["cameraman_bare_grey"][0]) > 30
    assert abs(found["collins_bare_tilted"][2] - found["collins_bare"][2]) > 8


NAMES = ("collins_bare", "collins_bare_tilted", "cameraman_bare_grey")


def test_a_picture_is_saved_with_about_its_own_quality(tmp_path: Path) -> None:
    quality = drawn_folder.jpeg_quality
    picture = images.read(SAMPLE / "images" / "collins_bare.jpg")
    for value in (60, 75, 90, 95):
        (tmp_path / "a.jpg").write_bytes(images.encode(picture, ".jpg", value))
        assert abs(quality(tmp_path / "a.jpg") - value) <= 1
    images.write(tmp_path / "a.png", picture)
    assert quality(tmp_path / "a.png") == 92


def test_a_mask_in_a_grey_picture_is_grey(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    for name, suffix in (("annotations", ".xml"), ("images", ".jpg")):
        (folder / name).mkdir(parents=True)
        source = SAMPLE / name / f"cameraman_bare_grey{suffix}"
        (folder / name / source.name).write_bytes(source.read_bytes())
    assert masks.main(flags(folder, tmp_path / "out", *PROPERLY, "--style", "patterned")) == 0
    picture = images.read(tmp_path / "out" / "images" / "cameraman_bare_grey.jpg").astype(int)
    assert np.ptp(picture, axis=2).max() <= 4


def test_a_wrong_network_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"no network")
    with pytest.raises(ModelError, match=r"x\.onnx"):
        landmarks.FaceMesh(tmp_path / "x.onnx")
    with pytest.raises(ModelError, match=r"face_ssd\.onnx"):
        landmarks.FaceMesh(ROOT / "weights" / "face_ssd.onnx")


def test_the_help_has_examples() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "detector", "masks", "--help"], capture_output=True, text=True, check=True
    )
    assert "examples:" in done.stdout


def _face() -> Any:
    box = voc.read(SAMPLE / "annotations" / "collins_bare.xml").boxes[0].xyxy
    return landmarks.FaceMesh()(images.read(SAMPLE / "images" / "collins_bare.jpg"), box)


def _changed(out: Path, name: str, least: int = 18) -> np.typing.NDArray[np.bool_]:
    """Where the picture differs from the sample's, by more than a JPEG saved again."""
    after = images.read(out / "images" / f"{name}.jpg").astype(int)
    return np.asarray(np.abs(after - images.read(SAMPLE / "images" / "collins_bare.jpg")).max(axis=2) > least)


def _around(face: Any, points: tuple[int, ...], radius: float) -> np.typing.NDArray[np.bool_]:
    """The pixels within ``radius`` of some landmarks, for the picture of collins_bare."""
    rows, columns = np.mgrid[:512, :512]
    near = [np.hypot(columns - x, rows - y) <= max(radius, 1) for x, y in face.points[list(points), :2]]
    return np.asarray(np.any(near, axis=0))
