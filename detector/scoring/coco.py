"""Examples as COCO's JSON, for faster-coco-eval here and pycocotools anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from detector.boxes import MAX_DETECTIONS
from detector.data.sample import Sample
from detector.detections import CLASSES, Detections
from detector.files import write_file
from detector.scoring.examples import Example, shorter_side

__all__ = ["export_coco", "found", "truth"]

NOTE = (
    "area is the square of a box's shorter side, px. Load both files with COCO(file), not with loadRes, which would "
    "replace the areas; set params.areaRng to [[{least:g}, 1e10]] and params.maxDets to [{most}]."
)


def export_coco(
    folder: Path,
    examples: Sequence[Example],
    images: Sequence[Sample],
    *,
    min_side: float,
    replace: bool = False,
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
    for path, content in zip(paths, (truth(examples), found(examples)), strict=True):
        data = json.dumps({"info": note, **content, "images": entries}).encode()
        write_file(path, data, replace=replace)
    return paths


def truth(examples: Sequence[Example]) -> dict[str, Any]:
    """The labelled faces, and the ignored regions as crowds of either class."""
    labelled = _annotations([example.truth for example in examples])
    regions = [
        Detections(
            np.tile(e.ignored, (2, 1)), np.ones(2 * len(e.ignored), np.float32), np.repeat([0, 1], len(e.ignored))
        )
        for e in examples
    ]
    ignored = [dict(annotation, iscrowd=1) for annotation in _annotations(regions)]
    return _dataset(len(examples), labelled + ignored)


def found(examples: Sequence[Example]) -> dict[str, Any]:
    """The detections, as a data set of their own."""
    return _dataset(len(examples), _annotations([example.found for example in examples]))


def _annotations(faces: Iterable[Detections]) -> list[dict[str, Any]]:
    rows = []
    for image_id, detections in enumerate(faces, start=1):
        size = detections.xyxy[:, 2:] - detections.xyxy[:, :2]
        xywh = np.concatenate([detections.xyxy[:, :2], size], axis=1).tolist()
        side = shorter_side(detections.xyxy).tolist()
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
