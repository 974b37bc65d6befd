"""The sample in data/: whole, labelled as it is drawn, and made by the script that is said to make it."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from detector.data import voc
from detector.detections import CLASSES
from detector.media import images

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "data"
ANNOTATIONS = sorted((DATA / "annotations").glob("*.xml"))
SCRIPT = ROOT / "tools" / "make_sample.py"


@pytest.fixture(scope="module")
def main() -> Callable[[list[str]], int]:
    """The script's own main; it keeps the masks that it has drawn, so that a second run is short."""
    pytest.importorskip("skimage", reason="scikit-image, with the photographs, is not installed")
    pytest.importorskip("matplotlib", reason="matplotlib, with a photograph, is not installed")
    import make_sample

    return make_sample.main


@pytest.fixture(scope="module")
def remade(main: Callable[[list[str]], int], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sample") / "data"
    assert main(["--out", str(out)]) == 0
    return out


def split() -> dict[str, str]:
    with (DATA / "split.csv").open(encoding="utf-8", newline="") as file:
        return {row["image"]: row["split"] for row in csv.DictReader(file)}


def test_every_picture_has_its_label_file_and_the_other_way_round() -> None:
    pictures = {path.stem for path in (DATA / "images").iterdir()}
    assert len(pictures) >= 20
    assert pictures == {path.stem for path in (DATA / "annotations").iterdir()}


@pytest.mark.parametrize("path", ANNOTATIONS, ids=lambda path: path.stem)
def test_boxes_lie_inside_the_upright_picture_that_the_file_names(path: Path) -> None:
    annotation = voc.read(path)
    picture = DATA / "images" / annotation.filename
    width, height = images.image_size(picture)
    assert picture.stem == path.stem
    assert annotation.size == (width, height) == images.read(picture).shape[1::-1]
    for box in annotation.boxes:
        assert 0 <= box.xmin < box.xmax <= width
        assert 0 <= box.ymin < box.ymax <= height
        assert box.name in CLASSES


def test_both_classes_are_in_both_splits() -> None:
    sides = split()
    assert set(sides) == {path.name for path in (DATA / "images").iterdir()}
    faces = Counter((sides[f"{path.stem}.jpg"], box.name) for path in ANNOTATIONS for box in voc.read(path).boxes)
    assert set(faces) == {(side, name) for side in ("train", "val") for name in CLASSES}
    assert min(faces.values()) >= 5


def test_a_mask_below_the_nose_or_on_the_chin_is_no_mask() -> None:
    worn_wrong = [path for path in ANNOTATIONS if "under_nose" in path.stem or "on_chin" in path.stem]
    assert len(worn_wrong) == 4
    assert {box.name for path in worn_wrong for box in voc.read(path).boxes} == {"without_mask"}


def test_the_sample_has_the_odd_files_that_people_have() -> None:
    sideways = (DATA / "images" / "hopper_sideways_exif.jpg").read_bytes()
    stored = cv2.imdecode(np.frombuffer(sideways, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    assert stored is not None
    upright = images.read(DATA / "images" / "hopper_sideways_exif.jpg")
    assert stored.shape[:2] == upright.shape[1::-1]
    blue, _, red = upright[:100, -60:].mean((0, 1))
    assert blue > red + 50  # upright, the blue backdrop is in the upper right corner
    grey = (DATA / "images" / "cameraman_bare_grey.jpg").read_bytes()
    unchanged = cv2.imdecode(np.frombuffer(grey, np.uint8), cv2.IMREAD_UNCHANGED)
    assert unchanged is not None
    assert unchanged.ndim == 2
    assert any(not path.name.isascii() for path in ANNOTATIONS)
    assert any(not voc.read(path).boxes for path in ANNOTATIONS)


def test_the_sample_is_small() -> None:
    assert sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) < 2_000_000


def test_the_readme_names_every_file_with_its_split_and_faces() -> None:
    lines = (DATA / "README.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    described = {row[0].strip("`"): (row[1], row[2]) for row in rows}
    sides = split()
    assert set(described) == set(sides)
    for path in ANNOTATIONS:
        names = Counter(box.name for box in voc.read(path).boxes)
        counts = [f"{names[name]} {name.removesuffix('_mask')}" for name in CLASSES if names[name]]
        assert described[f"{path.stem}.jpg"] == (", ".join(counts) or "none", sides[f"{path.stem}.jpg"]), path.stem


def test_the_script_makes_the_same_labels_and_split(remade: Path) -> None:
    assert (remade / "split.csv").read_bytes() == (DATA / "split.csv").read_bytes()
    assert sorted(path.name for path in (remade / "annotations").iterdir()) == [path.name for path in ANNOTATIONS]
    for path in ANNOTATIONS:
        assert (remade / "annotations" / path.name).read_bytes() == path.read_bytes(), path.name


def test_the_script_makes_the_same_pictures_up_to_the_codec(remade: Path) -> None:
    for path in sorted((DATA / "images").iterdir()):
        shipped, made = images.read(path), images.read(remade / "images" / path.name)
        assert shipped.shape == made.shape, path.name
        assert np.abs(shipped.astype(int) - made).mean() < 1.5, path.name


def test_the_script_stops_before_it_overwrites_what_someone_changed(
    main: Callable[[list[str]], int], remade: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(remade, tmp_path, dirs_exist_ok=True)
    changed, missing = tmp_path / "annotations" / "pair_one_mask.xml", tmp_path / "images" / "collins_bare.jpg"
    changed.write_text("mine", encoding="utf-8")
    missing.unlink()

    assert main(["--out", str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "pair_one_mask.xml" in message
    assert "--overwrite" in message
    assert changed.read_text(encoding="utf-8") == "mine"
    assert not missing.exists()

    (tmp_path / "images" / "mine.jpg").write_bytes(b"mine")
    assert main(["--out", str(tmp_path), "--overwrite"]) == 0
    assert changed.read_bytes() == (remade / "annotations" / changed.name).read_bytes()
    assert missing.exists()
    assert (tmp_path / "images" / "mine.jpg").read_bytes() == b"mine"


def test_the_script_starts_from_any_folder(tmp_path: Path) -> None:
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    result = subprocess.run(
        [sys.executable, str(SCRIPT), "--help"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--overwrite" in result.stdout
