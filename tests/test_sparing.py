"""The two-step engine is scored from a few of its candidates, and every figure is as if all were classified."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from detector.data.loading import load_voc
from detector.data.sample import Sample
from detector.detections import Detections
from detector.engines import load_engine
from detector.engines.two_step import TwoStep
from detector.evaluation.contenders import Contender, find
from detector.evaluation.figures import measure
from detector.media import images
from detector.scoring import Example

DATA = Path(__file__).resolve().parents[1] / "data"
SOME = {"pair_one_mask.jpg", "hopper_surgical_mask.jpg"}


@pytest.fixture(scope="module")
def engine() -> Iterator[TwoStep]:
    with load_engine("two-step", conf=0.013, imgsz=128, threads=1) as engine:  # 100 candidates an image, not 300
        assert isinstance(engine, TwoStep)
        yield engine


@pytest.fixture(scope="module")
def labelled() -> list[Sample]:
    return [image for image in load_voc([DATA / "annotations"], [DATA / "images"]) if image.path.name in SOME]


@pytest.fixture(scope="module")
def everything(engine: TwoStep, labelled: list[Sample]) -> list[Detections]:
    """What is found when all candidates are classified."""
    return [example.found for example in find([Contender("all", engine, engine, steps=engine)], labelled).examples[0]]


def with_truth(labelled: list[Sample], *truths: Detections) -> list[Sample]:
    return [replace(image, truth=truth) for image, truth in zip(labelled, truths, strict=True)]


def relabelled(labelled: list[Sample], everything: list[Detections], case: str) -> list[Sample]:
    """The images with labels that make the engine right, wrong, and right about boxes that it hardly believes in."""
    truths = [image.truth for image in labelled]
    match case:
        case "one label is gone":
            return with_truth(labelled, truths[0], Detections.empty())
        case "all labels are gone":
            return with_truth(labelled, Detections.empty(), Detections.empty())
        case "the other class":
            return with_truth(labelled, *(Detections(t.xyxy, t.confidence, 1 - t.class_id) for t in truths))
        case "boxes a quarter aside":
            aside = [(t.xyxy[:, 2:3] - t.xyxy[:, :1]) / 4 for t in truths]
            return with_truth(
                labelled,
                *(Detections(t.xyxy + a, t.confidence, t.class_id) for t, a in zip(truths, aside, strict=True)),
            )
        case "a face in the middle of all boxes":
            middle = [found[[0, len(found) // 2]] for found in everything]
            return with_truth(labelled, *(Detections(m.xyxy, np.ones(len(m)), m.class_id) for m in middle))
        case "two sets":
            return [replace(labelled[0], set_name="a"), replace(labelled[1], set_name="b", truth=Detections.empty())]
    return labelled


@pytest.mark.parametrize("conf", [0.25, 0.02])
@pytest.mark.parametrize(
    "case",
    [
        "as labelled",
        "one label is gone",
        "all labels are gone",
        "the other class",
        "boxes a quarter aside",
        "a face in the middle of all boxes",
        "two sets",
    ],
)
def test_every_figure_is_as_if_all_candidates_were_classified(
    case: str, conf: float, engine: TwoStep, labelled: list[Sample], everything: list[Detections]
) -> None:
    samples = relabelled(labelled, everything, case)
    (sparing,) = find([Contender("few", engine, engine, conf, engine)], samples, min_side=10).examples
    whole = [Example(image.truth, found, image.ignored) for image, found in zip(samples, everything, strict=True)]
    for part in (slice(None), slice(0, 1), slice(1, 2)) if case == "two sets" else (slice(None),):
        figures = [measure("", examples[part], conf=conf).content() for examples in (sparing, whole)]
        assert figures[0] == figures[1]


def test_few_candidates_are_classified(
    engine: TwoStep, labelled: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    classified = []
    cut = TwoStep._crops

    def counted(*args: object) -> Iterator[object]:
        for crop in cut(*args):  # type: ignore[arg-type]
            classified.append(crop)
            yield crop

    monkeypatch.setattr(TwoStep, "_crops", counted)
    find([Contender("few", engine, engine, 0.25, engine)], labelled, min_side=10)
    candidates = sum(len(engine.finder(images.read(image.path)).scores) for image in labelled)
    assert 0 < 5 * len(classified) < candidates
