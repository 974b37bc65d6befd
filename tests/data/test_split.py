from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from detector.data import dataset
from detector.data.loading import Split
from detector.data.pairing import Pair
from detector.data.progress import silent
from detector.data.random_split import choose_val, group_near_duplicates, perceptual_hashes
from detector.data.report import Report
from detector.data.voc import Annotation
from detector.errors import AnnotationError, MissingExtraError
from detector.media import images
from tests.data.conftest import Workspace

BOTH, WITH, WITHOUT = frozenset({"with_mask", "without_mask"}), frozenset({"with_mask"}), frozenset({"without_mask"})


def flip(bits: npt.NDArray[np.bool_], count: int) -> npt.NDArray[np.bool_]:
    return bits ^ (np.arange(64) < count)


def sides(split: Path, *images: str) -> tuple[dict[str, str | None], Report]:
    """What the file of a split says of images like ``set/name.jpg``."""
    report = Report()
    label = Annotation("", "", None, ())
    pairs = [Pair(Path(image), Path("a.xml"), image.partition("/")[0], label) for image in images]
    return Split(split).sides(pairs, report), report


def test_a_split_file_is_followed(workspace: Workspace) -> None:
    split = workspace.split("one,a.jpg,train", "two,a.jpg,val", header="set,image,split")
    found, report = sides(split, "one/a.jpg", "two/a.jpg", "three/a.jpg")
    assert found == {"one/a.jpg": "train", "two/a.jpg": "val"}
    assert [note.file for note in report.dropped] == ["three/a.jpg"]


def test_without_a_set_column_the_image_name_decides(workspace: Workspace) -> None:
    assert sides(workspace.split("a.jpg,val"), "any/a.jpg")[0] == {"any/a.jpg": "val"}


def test_an_image_in_two_splits_is_refused(workspace: Workspace) -> None:
    with pytest.raises(AnnotationError, match=r"line 3: a\.jpg is in two splits"):
        Split(workspace.split("a.jpg,val", "a.jpg,train"))


def test_missing_images_are_named_only_for_the_sets_at_hand(workspace: Workspace) -> None:
    split = workspace.split("one,a.jpg,train", "one,b.jpg,val", "two,c.jpg,val", header="set,image,split")
    warnings = ["1 images of the file of --split are not there or not labelled: one/b.jpg"]
    assert sides(split, "one/a.jpg")[1].warnings == warnings


def test_a_group_on_both_sides_is_noticed(workspace: Workspace) -> None:
    rows = ("a.jpg,7,train", "b.jpg,7,val", "c.jpg,8,val", "d.jpg,8,test")
    _, report = sides(workspace.split(*rows, header="image,group,split"), *(f"one/{name}.jpg" for name in "abcd"))
    assert report.warnings == ["1 groups of the file of --split are in train and in val: 7"]


def test_hashes_that_differ_little_share_a_group_even_over_others() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2, (2, 64)).astype(bool)
    assert group_near_duplicates([b, a, flip(a, 8), flip(b, 9), flip(a, 16)]) == [0, 1, 1, 3, 1]


def test_grouping_agrees_with_comparing_every_pair() -> None:
    rng = np.random.default_rng(1)
    hashes = list(rng.integers(0, 2, (700, 64)).astype(bool))
    hashes += [flip(hashes[index], int(index % 12)) for index in range(600)]
    groups = group_near_duplicates(hashes)
    bits = np.stack(hashes)
    near = (bits[:, None] ^ bits[None]).sum(axis=2) <= 8
    same = np.equal.outer(groups, groups)
    assert not (near & ~same).any()
    assert all((near[i] & same[i]).sum() > 1 for i in range(len(groups)) if same[i].sum() > 1)


def test_no_images_make_no_groups() -> None:
    assert group_near_duplicates([]) == []


def test_near_duplicates_stay_on_one_side(workspace: Workspace) -> None:
    pytest.importorskip("imagehash", reason="random splits need the extra labelling")
    for index in range(20):
        path = workspace.pair(f"{index}.jpg", ("face", 1, 1, 20, 20), seed=index)
        workspace.label(f"{index}b", ("face", 1, 1, 20, 20), filename=f"{index}b.png")
        smaller = cv2.resize(images.read(path), (60, 45), interpolation=cv2.INTER_AREA)
        images.write(workspace.images() / f"{index}b.png", np.asarray(smaller // 8 * 7, np.uint8))
    report = dataset.build([workspace.annotations()], [workspace.images()], workspace.out, val=0.3)
    sides = {Path(name).stem: side for side, names in report.files.items() for name in names}
    assert [sides[f"{i}"] for i in range(20)] == [sides[f"{i}b"] for i in range(20)]
    assert sorted(sides.values()).count("val") == 12


def test_a_share_of_the_images_validates() -> None:
    chosen = choose_val(list(range(1000)), [WITH] * 300 + [WITHOUT] * 600 + [BOTH] * 100, 0.1, 0)
    assert [sum(chosen[:300]), sum(chosen[300:900]), sum(chosen[900:])] == [30, 60, 10]


def test_the_seed_decides_the_choice() -> None:
    def choose(seed: int) -> list[bool]:
        return choose_val(list(range(100)), [BOTH] * 100, 0.2, seed)

    assert choose(1) == choose(1)
    assert choose(1) != choose(2)


@pytest.mark.parametrize("seed", range(20))
def test_a_rare_class_is_on_both_sides_where_possible(seed: int) -> None:
    kinds = [WITHOUT] * 30 + [WITH] * 2
    chosen = choose_val(list(range(32)), kinds, 0.1, seed)
    assert sum(chosen[30:]) == 1


def test_a_class_with_one_group_is_for_training() -> None:
    assert not any(choose_val([0] * 5 + list(range(5, 30)), [WITH] * 5 + [WITHOUT] * 25, 0.1, 0)[:5])


def test_an_image_whose_pixels_are_damaged_has_no_hash(workspace: Workspace) -> None:
    pytest.importorskip("imagehash", reason="random splits need the extra labelling")
    good, bad = workspace.image("a.png"), workspace.image("b.png")
    data = bytearray(bad.read_bytes())
    data[60:80] = bytes(20)
    bad.write_bytes(data)
    hashes = perceptual_hashes([good, bad], silent)
    assert hashes[0] is not None
    assert hashes[0].shape == (64,)
    assert hashes[1] is None


def test_a_damaged_image_is_dropped_from_a_random_split(workspace: Workspace) -> None:
    pytest.importorskip("imagehash", reason="random splits need the extra labelling")
    workspace.pair("a.jpg", ("face", 1, 1, 20, 20))
    bad = workspace.pair("b.png", ("face", 1, 1, 20, 20))
    data = bytearray(bad.read_bytes())
    data[60:80] = bytes(20)
    bad.write_bytes(data)
    report = dataset.build([workspace.annotations()], [workspace.images()], workspace.out)
    assert [(note.file, note.reason.split(":")[0]) for note in report.dropped] == [("set/b.png", "damaged")]


def test_a_random_split_without_imagehash_names_the_extra(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.pair("a.jpg", ("face", 1, 1, 20, 20))
    monkeypatch.setitem(sys.modules, "imagehash", None)
    with pytest.raises(MissingExtraError, match=r"imagehash is not installed: .*('imagehash>=|labelling)"):
        dataset.build([workspace.annotations()], [workspace.images()], workspace.out)


@pytest.mark.parametrize("val", [0.0, 1.0, -0.1, float("nan")])
def test_a_share_that_leaves_one_side_empty_is_refused(workspace: Workspace, val: float) -> None:
    with pytest.raises(AnnotationError, match="--val"):
        dataset.build([workspace.annotations()], [workspace.images()], workspace.out, val=val)
