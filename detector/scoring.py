"""Detections against ground truth: average precision as COCO defines it, computed by faster-coco-eval.

Two things differ from a plain COCO run, both by means that COCO itself has: faces under ``min_side`` and boxes marked
as ignored are neither a miss nor a false alarm (COCO's area range and crowd regions), and the "area" that ranges are
cut by is the square of a box's shorter side, since that is what people mean by a face of 10 px.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from detector.detections import CLASSES, Detections
from detector.errors import MissingExtraError

__all__ = ["FACE_SIZES", "ClassScore", "Example", "score"]

FACE_SIZES: dict[str, tuple[float, float]] = {"10-16": (10, 16), "16-32": (16, 32), "32-64": (32, 64), "64+": (64, 1e5)}
"""Ranges of a face's shorter side, px, that results are also given by."""

MAX_DETECTIONS = 300


@dataclass(frozen=True)
class Example:
    """One image's truth and what was found in it.

    Args:
        truth: the labelled faces.
        found: the engine's faces, down to a low confidence (0.01 or less: a curve needs its tail).
        ignored: float32 (M, 4) xyxy, regions where a detection of either class is no false alarm.
    """

    truth: Detections
    found: Detections
    ignored: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 4), np.float32))


@dataclass(frozen=True)
class ClassScore:
    """The figures of one class.

    Args:
        name: the class.
        support: labelled faces that count.
        ap50: average precision at IoU 0.5; NaN where there is no face to find.
        ap50_95: mean of the average precision at IoU 0.5, 0.55, ... 0.95.
        ap50_by_size: ``ap50`` for each range of :data:`FACE_SIZES`.
        support_by_size: labelled faces in each range.
    """

    name: str
    support: int
    ap50: float
    ap50_95: float
    ap50_by_size: dict[str, float]
    support_by_size: dict[str, int]


def score(examples: Iterable[Example], *, min_side: float = 10) -> tuple[ClassScore, ...]:
    """Average precision per class, in the order of ``CLASSES``.

    Args:
        examples: the images; read once.
        min_side: faces whose shorter side is under this many px do not count.

    Raises:
        MissingExtraError: faster-coco-eval is not installed.
    """
    try:
        from faster_coco_eval import COCO, COCOeval_faster
    except ImportError as error:
        raise MissingExtraError("faster-coco-eval", "score") from error
    examples = list(examples)
    ranges = {"all": (min_side, 1e5), **{k: (max(low, min_side), high) for k, (low, high) in FACE_SIZES.items()}}
    truth, found = _truth(examples), _found(examples)
    with contextlib.redirect_stdout(None):  # the library reports its progress with print
        evaluation = COCOeval_faster(COCO(truth), COCO(found), iouType="bbox", print_function=_discard)
        evaluation.params.areaRng = [[low**2, high**2 - 1e-6] for low, high in ranges.values()]
        evaluation.params.areaRngLbl = list(ranges)
        evaluation.params.maxDets = [MAX_DETECTIONS]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = np.asarray(evaluation.eval["precision"])  # (IoU, recall, class, range, 1), -1 where nothing to find
    precision = np.where(precision < 0, np.nan, precision).mean(axis=1)[..., 0]
    counts = [_support(examples, class_id, ranges.values()) for class_id in range(len(CLASSES))]
    return tuple(
        ClassScore(
            name,
            counts[index][0],
            float(precision[0, index, 0]),
            float(precision[:, index, 0].mean()),
            dict(zip(FACE_SIZES, precision[0, index, 1:].tolist(), strict=True)),
            dict(zip(FACE_SIZES, counts[index][1:], strict=True)),
        )
        for index, name in enumerate(CLASSES)
    )


def _truth(examples: Sequence[Example]) -> dict[str, Any]:
    labelled = _annotations([example.truth for example in examples])
    regions = [
        Detections(
            np.tile(e.ignored, (2, 1)), np.ones(2 * len(e.ignored), np.float32), np.repeat([0, 1], len(e.ignored))
        )
        for e in examples
    ]
    ignored = [dict(annotation, iscrowd=1) for annotation in _annotations(regions)]
    return _dataset(len(examples), labelled + ignored)


def _found(examples: Sequence[Example]) -> dict[str, Any]:
    return _dataset(len(examples), _annotations([example.found for example in examples]))


def _annotations(faces: Sequence[Detections]) -> list[dict[str, Any]]:
    rows = []
    for image_id, detections in enumerate(faces, start=1):
        size = detections.xyxy[:, 2:] - detections.xyxy[:, :2]
        xywh = np.concatenate([detections.xyxy[:, :2], size], axis=1).tolist()
        side = size.min(axis=1, initial=np.inf).tolist()
        for box, shorter, confidence, class_id in zip(
            xywh, side, detections.confidence.tolist(), detections.class_id.tolist(), strict=True
        ):
            rows.append(
                {
                    "image_id": image_id,
                    "category_id": class_id,
                    "bbox": box,
                    "area": max(shorter, 0.0) ** 2,
                    "score": confidence,
                    "iscrowd": 0,
                }
            )
    return rows


def _dataset(images: int, annotations: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "images": [{"id": index} for index in range(1, images + 1)],
        "categories": [{"id": index, "name": name} for index, name in enumerate(CLASSES)],
        "annotations": [dict(annotation, id=index) for index, annotation in enumerate(annotations, start=1)],
    }


def _support(examples: Sequence[Example], class_id: int, ranges: Iterable[tuple[float, float]]) -> list[int]:
    boxes = np.concatenate([e.truth.xyxy[e.truth.class_id == class_id] for e in examples] or [np.zeros((0, 4))])
    side = (boxes[:, 2:] - boxes[:, :2]).min(axis=1, initial=np.inf)
    return [int(((side >= low) & (side < high)).sum()) for low, high in ranges]


def _discard(*_: object) -> None:
    """Say nothing: library code does not print."""
