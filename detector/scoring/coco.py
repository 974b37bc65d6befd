"""Average precision as COCO defines it, computed by faster-coco-eval, and the same data as files for pycocotools.

Two things differ from a plain COCO run, both by means that COCO itself has: faces under ``min_side`` and boxes marked
as ignored are neither a miss nor a false alarm (COCO's area range and crowd regions), and the "area" that ranges are
cut by is the square of a box's shorter side, since that is what people mean by a face of 10 px.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from detector.boxes import MAX_DETECTIONS
from detector.data.sample import Sample
from detector.detections import CLASSES, Detections
from detector.errors import require_extra
from detector.files import write_file
from detector.scoring.examples import FACE_SIZES, MIN_SIDE, Example, shorter_side

__all__ = ["ClassScore", "export_coco", "score"]

NOTE = (
    "area is the square of a box's shorter side, px. Load both files with COCO(file), not with loadRes, which would "
    "replace the areas; set params.areaRng to [[{least:g}, 1e10]] and params.maxDets to [{most}]."
)


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
    ranges = [(min_side, 1e5), *((max(low, min_side), high) for low, high in FACE_SIZES.values())]
    curves = _precision(examples, ranges)
    precision = curves.mean(axis=1)
    scores = []
    for index, name in enumerate(CLASSES):
        boxes = [e.truth.xyxy[e.truth.class_id == index] for e in examples]
        side = shorter_side(np.concatenate([np.zeros((0, 4), np.float32), *boxes]))
        support, *by_size = (int(((side >= low) & (side < high)).sum()) for low, high in ranges)
        scores.append(
            ClassScore(
                name,
                support,
                float(precision[0, index, 0]),
                float(precision[:, index, 0].mean()),
                dict(zip(FACE_SIZES, precision[0, index, 1:].tolist(), strict=True)),
                dict(zip(FACE_SIZES, by_size, strict=True)),
                tuple(curves[0, :, index, 0].tolist()),
            )
        )
    return tuple(scores)


def export_coco(
    folder: Path, examples: Sequence[Example], images: Sequence[Sample], *, min_side: float, replace: bool = False
) -> tuple[Path, Path]:
    """Write ``ground_truth.json`` and ``detections.json``, from which pycocotools computes the same average precision.

    Both are whole COCO data sets, because pycocotools' ``loadRes`` would replace our areas::

        evaluation = COCOeval(COCO("ground_truth.json"), COCO("detections.json"), "bbox")
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[10**2, 1e10]], ["all"]  # 10 is min_side
        evaluation.params.maxDets = [300]

    Args:
        folder: an existing folder.
        examples: truth and detections of each image.
        images: the images themselves, for their names and sizes.
        min_side: said in the files, for whoever computes with them.
        replace: take the place of files of these names.

    Returns:
        The two files.

    Raises:
        OutputError: a file is there, or cannot be written.
    """
    note = {"description": NOTE.format(least=min_side**2, most=MAX_DETECTIONS)}
    entries = [
        {"id": index, "file_name": image.title, "width": image.size[0], "height": image.size[1]}
        for index, image in enumerate(images, start=1)
    ]
    paths = folder / "ground_truth.json", folder / "detections.json"
    for path, content in zip(paths, (_truth(examples), _found(examples)), strict=True):
        data = json.dumps({"info": note, **content, "images": entries}).encode()
        write_file(path, data, replace=replace)
    return paths


def _precision(examples: Sequence[Example], ranges: Sequence[tuple[float, float]]) -> npt.NDArray[np.float64]:
    """Interpolated precision (IoU 0.5 to 0.95, recall 0 to 1, class, range of sides); NaN where nothing is to find."""
    require_extra("score", "faster_coco_eval")
    import faster_coco_eval as library

    with contextlib.redirect_stdout(None):  # the library reports its progress with print
        truth, found = library.COCO(_truth(examples)), library.COCO(_found(examples))
        evaluation = library.COCOeval_faster(truth, found, iouType="bbox", print_function=lambda *_: None)
        evaluation.params.areaRng = [[low**2, high**2 - 1e-6] for low, high in ranges]
        evaluation.params.areaRngLbl = [f"{low:g}-{high:g}" for low, high in ranges]
        evaluation.params.maxDets = [MAX_DETECTIONS]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = np.asarray(evaluation.eval["precision"], np.float64)[..., 0]
    return np.where(precision < 0, np.nan, precision)


def _truth(examples: Sequence[Example]) -> dict[str, Any]:
    """The labelled faces, and the ignored regions as crowds of either class."""
    crowds = []
    for example in examples:
        count = len(example.ignored)
        boxes, classes = np.concatenate([example.ignored] * 2), np.repeat([0, 1], count)
        crowds.append(Detections(boxes, np.ones(2 * count, np.float32), classes))
    return _dataset(len(examples), _rows([example.truth for example in examples]) + _rows(crowds, iscrowd=1))


def _found(examples: Sequence[Example]) -> dict[str, Any]:
    """The detections, as a data set of their own."""
    return _dataset(len(examples), _rows([example.found for example in examples]))


def _rows(faces: Sequence[Detections], iscrowd: int = 0) -> list[dict[str, Any]]:
    rows = []
    for image_id, found in enumerate(faces, start=1):
        xywh = np.concatenate([found.xyxy[:, :2], found.xyxy[:, 2:] - found.xyxy[:, :2]], axis=1)
        columns = (xywh, shorter_side(found.xyxy), found.confidence, found.class_id)
        for bbox, side, confidence, class_id in zip(*(column.tolist() for column in columns), strict=True):
            rows.append(
                {
                    "image_id": image_id,
                    "category_id": class_id,
                    "bbox": bbox,
                    "area": max(side, 0.0) ** 2,
                    "score": confidence,
                    "iscrowd": iscrowd,
                }
            )
    return rows


def _dataset(images: int, annotations: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "images": [{"id": index} for index in range(1, images + 1)],
        "categories": [{"id": index, "name": name} for index, name in enumerate(CLASSES)],
        "annotations": [dict(annotation, id=index) for index, annotation in enumerate(annotations, start=1)],
    }
