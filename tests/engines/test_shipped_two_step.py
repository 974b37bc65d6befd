"""The two networks that are shipped as the two-step engine, on the sample."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from detector.data import voc
from detector.detections import CLASSES, Detections
from detector.engines import Engine, load_engine
from detector.engines.face_finders import load_finder
from detector.media import images

SAMPLE = Path(__file__).resolve().parents[2] / "data"
PICTURES = sorted((SAMPLE / "images").iterdir())


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with load_engine("two-step") as loaded:
        yield loaded


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """IoU of two boxes."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    common = float(np.prod(np.clip(sides, 0, None)))
    return common / (float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2])) - common)


def labelled(picture: Path) -> tuple[np.ndarray, list[str]]:
    """Boxes (N, 4) and classes of a picture of the sample."""
    objects = voc.read(SAMPLE / "annotations" / f"{picture.stem}.xml").boxes
    return np.array([item.xyxy for item in objects], np.float32).reshape(-1, 4), [item.name for item in objects]


def verdicts(found: Detections, boxes: np.ndarray) -> list[str]:
    """What each labelled face was taken for, or "missed"."""
    answers = []
    for box in boxes:
        overlaps = [overlap(box, other) for other in found.xyxy]
        best = int(np.argmax(overlaps)) if overlaps else -1
        answers.append(found.names[best] if overlaps and overlaps[best] > 0.4 else "missed")
    return answers


def test_nearly_all_faces_of_the_sample_are_found_and_judged_right(engine: Engine) -> None:
    expected: list[str] = []
    said: list[str] = []
    for picture in PICTURES:
        boxes, names = labelled(picture)
        expected += names
        said += verdicts(engine(images.read(picture)), boxes)
    assert set(expected) == set(CLASSES)
    assert said.count("missed") == 0
    assert sum(a == b for a, b in zip(said, expected, strict=True)) >= 0.95 * len(said)


def test_no_face_is_seen_where_there_is_none(engine: Engine) -> None:
    assert len(engine(images.read(SAMPLE / "images" / "no_face_coffee.jpg"))) == 0


def test_the_shipped_face_finder_finds_masked_faces_too() -> None:
    with closing(load_finder("ssd", conf=0.3)) as finder:
        boxes, scores = finder(images.read(SAMPLE / "images" / "video_call_six.jpg"))
    assert len(boxes) == 6
    assert scores.min() > 0.3
