"""Average precision as COCO defines it, computed by faster-coco-eval.

Two things differ from a plain COCO run, both by means that COCO itself has: faces under ``min_side`` and boxes marked
as ignored are neither a miss nor a false alarm (COCO's area range and crowd regions), and the "area" that ranges are
cut by is the square of a box's shorter side, since that is what people mean by a face of 10 px.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from types import ModuleType

import numpy as np
import numpy.typing as npt

from detector.boxes import MAX_DETECTIONS
from detector.detections import CLASSES
from detector.errors import MissingExtraError
from detector.scoring import coco
from detector.scoring.examples import FACE_SIZES, MIN_SIDE, Example, shorter_side

__all__ = ["ClassScore", "import_coco_eval", "score"]


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
        curve: precision at IoU 0.5 for recall 0, 0.01 ... 1, as COCO interpolates it; NaN where there is no face.
    """

    name: str
    support: int
    ap50: float
    ap50_95: float
    ap50_by_size: dict[str, float]
    support_by_size: dict[str, int]
    curve: tuple[float, ...] = field(repr=False)


def score(examples: Iterable[Example], *, min_side: float = MIN_SIDE) -> tuple[ClassScore, ...]:
    """Average precision per class, in the order of ``CLASSES``.

    Args:
        examples: the images; read once.
        min_side: faces whose shorter side is under this many px do not count.

    Raises:
        MissingExtraError: faster-coco-eval is not installed.
    """
    examples = list(examples)
    ranges = {"all": (min_side, 1e5), **{k: (max(low, min_side), high) for k, (low, high) in FACE_SIZES.items()}}
    curves = _precision(examples, list(ranges.values()))
    precision = curves.mean(axis=1)
    counts = [_support(examples, class_id, ranges.values()) for class_id in range(len(CLASSES))]
    return tuple(
        ClassScore(
            name,
            counts[index][0],
            float(precision[0, index, 0]),
            float(precision[:, index, 0].mean()),
            dict(zip(FACE_SIZES, precision[0, index, 1:].tolist(), strict=True)),
            dict(zip(FACE_SIZES, counts[index][1:], strict=True)),
            tuple(curves[0, :, index, 0].tolist()),
        )
        for index, name in enumerate(CLASSES)
    )


def import_coco_eval() -> ModuleType:
    """The optional package that :func:`score` needs.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import faster_coco_eval
    except ImportError as error:
        raise MissingExtraError("faster-coco-eval", "score") from error
    module: ModuleType = faster_coco_eval
    return module


def _precision(examples: Sequence[Example], ranges: Sequence[tuple[float, float]]) -> npt.NDArray[np.float64]:
    """Interpolated precision (IoU 0.5 to 0.95, recall 0 to 1, class, range of sides); NaN where nothing is to find."""
    library = import_coco_eval()
    with contextlib.redirect_stdout(None):  # the library reports its progress with print
        truth, found = library.COCO(coco.truth(examples)), library.COCO(coco.found(examples))
        evaluation = library.COCOeval_faster(truth, found, iouType="bbox", print_function=_discard)
        evaluation.params.areaRng = [[low**2, high**2 - 1e-6] for low, high in ranges]
        evaluation.params.areaRngLbl = [f"{low:g}-{high:g}" for low, high in ranges]
        evaluation.params.maxDets = [MAX_DETECTIONS]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = np.asarray(evaluation.eval["precision"], np.float64)[..., 0]
    return np.where(precision < 0, np.nan, precision)


def _support(examples: Sequence[Example], class_id: int, ranges: Iterable[tuple[float, float]]) -> list[int]:
    boxes = [e.truth.xyxy[e.truth.class_id == class_id] for e in examples]
    side = shorter_side(np.concatenate([np.zeros((0, 4), np.float32), *boxes]))
    return [int(((side >= low) & (side < high)).sum()) for low, high in ranges]


def _discard(*_: object) -> None:
    """Say nothing: library code does not print."""
