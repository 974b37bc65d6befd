from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from detector import check, convert
from detector.boxes import overlap
from detector.data import voc
from detector.data.loading import load_voc
from detector.detections import Detections
from detector.labelling import disagreements
from detector.media import images
from detector.scoring import Example, match
from tests.data.conftest import Workspace
from tests.engines.networks import make_network, raw_head

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "data"
SPLIT = DATA / "split.csv"
PLANTED = ("video_call_six", "pair_one_mask", "hopper_bare", "no_face_coffee")
OTHERS = (
    "collins_bare",
    "collins_ffp2_mask",
    "collins_口罩",
    "hopper_sideways_exif",
    "pair_two_masks",
    "video_call_four",
)


class Planted:
    """A part of the sample with four errors in its labels, and what the shipped network makes of it."""

    def __init__(self, root: Path, main: Callable[[list[str]], int]) -> None:
        self.annotations, self.images = root / "part" / "annotations", root / "part" / "images"
        self.out, self.report = root / "check", root / "report.json"
        self.main = main
        for stem in (*PLANTED, *OTHERS):
            for folder, name in ((self.annotations, f"{stem}.xml"), (self.images, f"{stem}.jpg")):
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copy(DATA / folder.name / name, folder)
        self.removed = self.edit("video_call_six", lambda boxes: boxes[1:])[0]
        self.swapped = self.edit("pair_one_mask", lambda boxes: [replace(boxes[0], name="with_mask"), *boxes[1:]])[0]
        (old,) = self.edit("hopper_bare", lambda boxes: [self.shifted(boxes[0])])
        self.moved = self.shifted(old)
        self.invented = voc.Box("with_mask", 20, 30, 120, 150)
        self.edit("no_face_coffee", lambda _: [self.invented])

    @staticmethod
    def shifted(box: voc.Box) -> voc.Box:
        return replace(box, xmin=box.xmin + 60, xmax=box.xmax + 60)

    def edit(self, stem: str, change: Callable[[list[voc.Box]], list[voc.Box]]) -> tuple[voc.Box, ...]:
        """Change the boxes of a file; returns those that it had."""
        path = self.annotations / f"{stem}.xml"
        before = voc.read(path)
        voc.write(path, replace(before, boxes=tuple(change(list(before.boxes)))))
        return before.boxes

    def check(self, *flags: object) -> int:
        given = ["--annotations", self.annotations, "--images", self.images, "--threads", 1, *flags]
        return self.main([str(flag) for flag in given])


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    made = Planted(tmp_path_factory.mktemp("planted"), check.main)
    assert made.check("--out", made.out, "--report", made.report) == 0
    return made


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "corrections.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def corner_text(box: voc.Box) -> list[str]:
    return [voc.format_number(value) for value in box.xyxy]


def test_each_planted_error_is_found_with_its_kind_and_nothing_stands_before_it(planted: Planted) -> None:
    found = json.loads(planted.report.read_text(encoding="utf-8"))["disagreements"]
    assert {(one["kind"], one["image"]) for one in found[:4]} == {
        ("missed", "video_call_six.jpg"),
        ("class", "pair_one_mask.jpg"),
        ("loose", "hopper_bare.jpg"),
        ("extra", "no_face_coffee.jpg"),
    }
    by_kind = {one["kind"]: one for one in found[:4]}
    assert by_kind["extra"]["label"]["box"] == [20, 30, 120, 150]
    assert by_kind["extra"]["found"] is None
    assert by_kind["missed"]["label"] is None
    assert by_kind["missed"]["found"]["class"] == planted.removed.name
    assert by_kind["class"]["found"]["class"] == planted.swapped.name == "without_mask"
    assert by_kind["loose"]["label"]["box"] == list(planted.moved.xyxy)
    scores = [one["score"] for one in found]
    assert scores == sorted(scores, reverse=True)


def test_the_sample_as_it_is_labelled_has_no_disagreement(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main(["--out", str(tmp_path / "check"), "--threads", "1"]) == 0
    assert "28 images with 38 labels, 0 disagreements" in capsys.readouterr().out
    assert rows(tmp_path / "check") == []
    assert "Shown here, the surest first: none" in (tmp_path / "check" / "sheet.html").read_text(encoding="utf-8")


def test_the_rows_say_what_to_do_and_point_at_the_label(planted: Planted) -> None:
    written = {(row["image"], row["action"]): row for row in rows(planted.out)}
    assert set(written) == {
        ("video_call_six.jpg", "add"),
        ("pair_one_mask.jpg", "class"),
        ("no_face_coffee.jpg", "remove"),
        ("hopper_bare.jpg", "remove"),
        ("hopper_bare.jpg", "add"),
    }
    assert {row["set"] for row in written.values()} == {"part"}
    for key, box in {
        ("pair_one_mask.jpg", "class"): planted.swapped,
        ("no_face_coffee.jpg", "remove"): planted.invented,
        ("hopper_bare.jpg", "remove"): planted.moved,
    }.items():
        assert [written[key][corner] for corner in ("xmin", "ymin", "xmax", "ymax")] == corner_text(box)
    assert written["pair_one_mask.jpg", "class"]["name"] == "without_mask"
    assert written["hopper_bare.jpg", "remove"]["item"] == written["hopper_bare.jpg", "add"]["item"]
    assert "box beside the face, 1 of 2" in written["hopper_bare.jpg", "remove"]["reason"]


def test_after_convert_has_applied_the_rows_every_disagreement_is_gone(
    planted: Planted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corrections = str(planted.out / "corrections.csv")
    folders = ["--annotations", str(planted.annotations), "--images", str(planted.images)]
    flags = ["--split", str(SPLIT), "--corrections", corrections, "--out", str(tmp_path / "set")]
    assert convert.main([*folders, *flags]) == 0
    report = (tmp_path / "set" / "report.txt").read_text(encoding="utf-8")
    assert "corrections applied: add 2, class 1, remove 2" in report
    assert "suspicious: none" in report
    capsys.readouterr()
    assert planted.main(["--data", str(tmp_path / "set" / "data.yaml"), "--dry-run", "--threads", "1"]) == 0
    assert "10 images with 19 labels, 0 disagreements" in capsys.readouterr().out
    truth = load_voc([DATA / "annotations"], [planted.images])
    mended = load_voc([planted.annotations], [planted.images], corrections=Path(corrections))
    for one, other in zip(truth, mended, strict=True):
        same = overlap(one.truth.xyxy, other.truth.xyxy) >= 0.5
        same &= one.truth.class_id[:, None] == other.truth.class_id
        assert same.any(axis=1).all(), one.title
        assert len(one.truth) == len(other.truth)


def test_a_second_round_keeps_the_earlier_rows_and_adds_new_ones(planted: Planted, tmp_path: Path) -> None:
    first = tmp_path / "mine.csv"
    lines = (planted.out / "corrections.csv").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if "hopper_bare" not in line]
    first.write_text("\n".join(kept) + "\n", encoding="utf-8")
    assert planted.check("--corrections", first, "--out", tmp_path / "again") == 0
    again = rows(tmp_path / "again")
    assert [row["action"] for row in again[:3]] == [line.split(",")[3] for line in kept[1:]]
    assert [(row["image"], row["item"]) for row in again[3:]] == [("hopper_bare.jpg", "1")] * 2
    assert planted.check("--corrections", tmp_path / "again" / "corrections.csv", "--out", tmp_path / "last") == 0
    assert len(rows(tmp_path / "last")) == 5


def test_the_page_needs_nothing_else_and_its_button_saves_the_same_rows(planted: Planted) -> None:
    page = (planted.out / "sheet.html").read_text(encoding="utf-8")
    assert not re.findall(r'(?:src|href)="(?!data:|#)|url\(|@import|https?:', page)
    assert page.count('<svg class="picture"') == page.count('href="data:image/jpeg;base64,') == 4
    picture = {kind: len(re.findall(f'<rect class="{kind}" x="[^4]', page)) for kind in ("label", "found")}
    assert picture == {"label": 3, "found": 3}  # neither a label for "missed", nor a face for "extra"
    content = json.loads(re.search(r'id="rows">(.*?)</script>', page, re.DOTALL)[1])
    saved = content["head"] + "".join(content["items"][value] for value in re.findall(r'value="(\d+)" checked', page))
    assert saved.encode() == (planted.out / "corrections.csv").read_bytes()
    for words in ("Face left out", "No face in the box", "Other class", "Box beside the face"):
        assert words in page
    assert re.search(r"Labelled with a mask\. The network sees it without a mask \(\d\d %\)", page)


def test_the_same_labels_give_the_same_bytes(planted: Planted, tmp_path: Path) -> None:
    assert planted.check("--out", tmp_path / "check") == 0
    for name in ("corrections.csv", "sheet.html"):
        assert (tmp_path / "check" / name).read_bytes() == (planted.out / name).read_bytes()


def test_kinds_and_top_choose_what_is_shown_and_the_report_has_all_of_a_kind(
    planted: Planted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.json"
    flags = ["--kinds", "extra,missed", "--top", 1, "--out", tmp_path / "check", "--report", report]
    assert planted.check(*flags) == 0
    assert "2 disagreements: 1 missed, 1 extra" in capsys.readouterr().out
    assert [row["action"] for row in rows(tmp_path / "check")] == ["add"]
    assert json.loads(report.read_text())["counts"] == {"missed": 1, "extra": 1}
    with pytest.raises(SystemExit):
        planted.check("--kinds", "extra,wrong")
    assert "'wrong' is not one of missed, extra, class, loose" in capsys.readouterr().err


def test_a_dry_run_writes_nothing_but_the_report(planted: Planted, tmp_path: Path) -> None:
    flags = ["--dry-run", "--out", tmp_path / "check", "--report", tmp_path / "report.json"]
    assert planted.check(*flags) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
    assert (tmp_path / "report.json").read_bytes() == planted.report.read_bytes()


class Small(Workspace):
    """64 x 48 pictures with labels, and a network that sees the same faces in each."""

    def __init__(self, root: Path, main: Callable[[list[str]], int]) -> None:
        super().__init__(root)
        self._main = main

    def check(self, *faces: tuple[float, ...], flags: tuple[object, ...] = ()) -> list[dict[str, object]]:
        """Faces as left, top, right, bottom, with_mask, without_mask; returns the disagreements."""
        heads = [((l + r) / 2, (t + b) / 2 + 8, r - l, b - t, *scores) for l, t, r, b, *scores in faces]  # noqa: E741
        report = self.root / f"report{len(list(self.root.iterdir()))}.json"
        given = ["--annotations", self.annotations(), "--images", self.images(), "--report", report, "--dry-run"]
        network = make_network(self.root, raw_head(*heads))  # 8: the picture lies in the middle of 64 x 64
        assert self._main([str(flag) for flag in [*given, "--weights", network, *flags]]) == 0
        found: list[dict[str, object]] = json.loads(report.read_text(encoding="utf-8"))["disagreements"]
        return found


@pytest.fixture
def small(tmp_path: Path) -> Small:
    workspace = Small(tmp_path, check.main)
    for seed in range(8):  # most labels are right
        workspace.pair(f"{seed}.jpg", ("mask", 2, 2, 22, 26), ("face", 40, 2, 60, 26), seed=seed)
    return workspace


LEFT, RIGHT = (2, 2, 22, 26, 0.8, 0.01), (40, 2, 60, 26, 0.01, 0.8)


def kinds(found: list[dict[str, object]]) -> list[tuple[object, object]]:
    return [(one["kind"], one["image"]) for one in found]


def test_labels_that_the_network_agrees_with_are_no_disagreement(small: Small) -> None:
    assert small.check(LEFT, RIGHT) == []


def test_a_face_in_an_ignored_region_or_under_an_ignored_label_is_not_left_out(small: Small) -> None:
    small.label("3", ("face", 40, 2, 60, 26), ("sign", 2, 2, 22, 26))
    assert kinds(small.check(LEFT, RIGHT, flags=("--map", "sign=with_mask"))) == []
    assert kinds(small.check(LEFT, RIGHT, flags=("--map", "sign=without_mask"))) == [("class", "3.jpg")]
    assert kinds(small.check(LEFT, RIGHT, flags=("--map", "sign=ignore"))) == []
    small.label("3", ("face", 40, 2, 60, 26))
    assert kinds(small.check(LEFT, RIGHT)) == [("missed", "3.jpg")]
    ignored = small.root / "regions.csv"
    ignored.write_text("set,image,xmin,ymin,xmax,ymax\nset,3.jpg,0,0,30,30\n", encoding="utf-8")
    assert kinds(small.check(LEFT, RIGHT, flags=("--ignore", ignored))) == []


def test_faces_under_the_smallest_side_are_left_alone(small: Small) -> None:
    tiny = (28, 30, 37, 39, 0.8, 0.01)
    assert small.check(LEFT, RIGHT, tiny) == []
    assert kinds(small.check(LEFT, RIGHT, tiny, flags=("--min-side", 8))) == [("missed", f"{i}.jpg") for i in range(8)]


def test_a_torn_network_contradicts_less_than_a_sure_one(small: Small) -> None:
    small.label("3", ("face", 2, 2, 22, 26), ("face", 40, 2, 60, 26))
    (sure,) = small.check(LEFT, RIGHT)
    (torn,) = small.check((*LEFT[:5], 0.6), RIGHT)
    assert sure["kind"] == torn["kind"] == "class"
    assert sure["score"] > 2 * torn["score"]


def test_silence_about_a_face_is_worth_what_the_network_finds_of_that_size(small: Small) -> None:
    for name in "012345":
        small.label(name, ("mask", 2, 2, 22, 26), ("face", 40, 2, 60, 26), ("face", 30, 30, 42, 42))
    small.label("7", ("mask", 2, 2, 22, 26), ("face", 40, 2, 60, 26), ("face", 30, 26, 46, 46))
    # 16 px: all others of this size are found. 12 px: none is, so that nothing follows from it.
    assert kinds(small.check(LEFT, RIGHT)) == [("extra", "7.jpg")]


def test_each_face_belongs_to_the_label_that_the_scores_give_it() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        corners = rng.uniform(0, 60, (12, 2))
        boxes = np.concatenate([corners, corners + rng.uniform(10, 40, (12, 2))], axis=1).astype(np.float32)
        labels = Detections(boxes[:5] + rng.uniform(-4, 4, (5, 4)).astype(np.float32), np.ones(5), np.zeros(5))
        example = Example(labels, Detections(boxes, rng.uniform(0, 1, 12), rng.integers(0, 2, 12)))
        matched = disagreements._Matched(example)
        expected = match([example], min_side=0)
        found = matched.found.confidence[matched.labelled]
        assert sorted(found.tolist()) == sorted(expected.confidence[expected.confidence >= 0].tolist())


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such file names")
def test_a_hostile_file_name_stays_text(small: Small) -> None:
    name = 'a<script>alert(1)<!-- "&,.jpg'
    small.pair(name, ("face", 40, 2, 60, 26), seed=9)
    network = make_network(small.root, raw_head((12, 22, 20, 24, 0.8, 0.01), (50, 22, 20, 24, 0.01, 0.8)))
    flags = ["--annotations", small.annotations(), "--images", small.images(), "--weights", network]
    assert check.main([*map(str, flags), "--out", str(small.out)]) == 0
    page = (small.out / "sheet.html").read_text(encoding="utf-8")
    assert page.count("<script") == 2
    assert "<!--" not in page
    content = json.loads(re.search(r'id="rows">(.*?)</script>', page, re.DOTALL)[1])
    (row,) = csv.DictReader(io.StringIO(content["head"] + content["items"]["1"]))
    assert row["image"] == rows(small.out)[0]["image"] == name


def test_an_image_whose_pixels_are_damaged_is_named_and_the_rest_is_checked(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = small.images() / "4.jpg"
    data = bytearray(damaged.read_bytes())
    table = data.index(b"\xff\xc4") + 4
    length = int.from_bytes(data[table - 2 : table], "big") - 2
    data[table : table + length] = bytes(length)  # without its code table no pixel can be decoded
    damaged.write_bytes(data)
    with pytest.raises(Exception, match=r"4\.jpg"):
        images.read(damaged)
    network = make_network(small.root, raw_head())
    flags = ["--annotations", small.annotations(), "--images", small.images(), "--weights", network, "--dry-run"]
    assert check.main([str(flag) for flag in flags]) == 1
    assert f"left out: {damaged}: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--images", "x"], "--annotations and --images belong together"),
        (["--data", "x.yaml", "--corrections", "y.csv"], "--data already names images and labels"),
        (["--corrections", "nowhere.csv"], "nowhere.csv: cannot be read"),
        (["--out", "taken"], "is there and not empty: remove it or choose another --out"),
        (["--report", "taken/mine.txt"], "exists already"),
        (["--split", str(SPLIT), "--part", "test"], "no image is in --part test: it has train, val"),
        (["--weights", "nowhere.onnx"], "nowhere.onnx"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_what_is_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("my work")
    assert check.main(flags) == 2
    err = capsys.readouterr().err
    assert says in err.splitlines()[-1]
    assert {path.name for path in tmp_path.rglob("*")} == {"taken", "mine.txt"}
