"""The project's real photographs, where they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detector.data import dataset
from detector.data.loading import load_voc
from detector.data.pairing import pair
from detector.data.progress import silent
from detector.data.report import Report
from detector.detections import CLASSES

DATA = Path(__file__).resolve().parents[2] / "../shared/data"
SETS = ("aizoo", "ilc", "kaggle", "wider")

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not DATA.is_dir(), reason="the real data set is not beside the checkout"),
]


def test_all_sets_are_split_as_decided_and_lose_no_box(tmp_path: Path) -> None:
    report = dataset.build(
        [DATA / name / "annotations" for name in SETS],
        [DATA / name / "images" for name in SETS],
        tmp_path / "out",
        split=DATA / "split.csv",
    )
    assert report.names == {
        "with_mask": 2635 + 2266,
        "without_mask": 577 + 1526,
        "mask_weared_incorrect": 105,
        "with_incorrect_mask": 513,
        "mask": 139,
        "nomask": 1554,
        "face": 8116,
    }
    assert [report.total(split)["images"] for split in ("train", "val")] == [3031, 379]
    for split, count in (("train", 3031), ("val", 379)):
        assert len(list((tmp_path / "out/images" / split).iterdir())) == count
        assert len(list((tmp_path / "out/labels" / split).iterdir())) == count
    assert sum(report.total(split)[name] for split in ("train", "val") for name in CLASSES) == sum(
        report.names.values()
    )
    assert report.dropped == report.mended == report.suspicious == report.warnings == []


def test_boxes_are_those_of_supervision_without_its_shift() -> None:
    supervision = pytest.importorskip("supervision", reason="the other converter is in the extra dev")
    folders = DATA / "kaggle" / "annotations", DATA / "kaggle" / "images"
    ours = {sample.path.name: sample for sample in load_voc([folders[0]], [folders[1]])}
    theirs = supervision.DetectionDataset.from_pascal_voc(str(folders[1]), str(folders[0]))
    assert len(theirs) == len(ours) == 708
    # It takes the files for the VOC kit's, which count from 1: one shift for all boxes, and which one depends on its
    # version. LabelImg counts from 0.
    offsets = [
        ours[Path(path).name].truth.xyxy - np.asarray(found.xyxy, np.float32)
        for path, found in theirs.annotations.items()
        if len(found)
    ]
    shift = np.unique(np.concatenate(offsets), axis=0)
    assert len(shift) == 1
    assert set(shift[0].tolist()) <= {0.0, 1.0}


def test_every_annotation_finds_the_image_beside_it() -> None:
    report = Report()
    folders = [DATA / name / "annotations" for name in SETS], [DATA / name / "images" for name in SETS]
    pairs = pair(*folders, report, silent)
    assert len(pairs) == 3410
    assert all(found.image.stem == found.annotation.stem for found in pairs)
    assert report.dropped == report.mended == []
