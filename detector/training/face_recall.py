"""How many faces a face finder finds, at a given number of false ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["FaceRecall", "Found", "measure", "overlaps"]

Floats = npt.NDArray[np.float32]

SAME_FACE = 0.5
"""IoU from which a box and a label are one face."""


@dataclass(frozen=True)
class Found:
    """One image's labels and what was found there.

    Args:
        truth: float32 (F, 4), the labelled faces, xyxy px.
        xyxy: float32 (N, 4), the boxes that were found.
        score: float32 (N,).
    """

    truth: Floats
    xyxy: Floats
    score: Floats


@dataclass(frozen=True)
class FaceRecall:
    """The share of faces that are found at so many false ones.

    Args:
        recall: 0 to 1; NaN where there is no face.
        threshold: the least score of what is then shown.
        faces: how many were to be found.
    """

    recall: float
    threshold: float
    faces: int


def measure(images: Iterable[Found], *, min_side: float = 16, false_per_image: float = 1.0) -> FaceRecall:
    """Recall at ``false_per_image`` false faces an image, over all images with one threshold.

    Faces whose shorter side is under ``min_side`` px neither help nor hurt, labelled or found.
    """
    scores, hits = [np.zeros(0, np.float32)], [np.zeros(0, np.bool_)]
    faces = pictures = 0
    for image in images:
        pictures += 1
        counts = _side(image.truth) >= min_side
        faces += int(counts.sum())
        hit, judged = _judge(image, counts, min_side)
        scores.append(image.score[judged])
        hits.append(hit[judged])
    score, hit = np.concatenate(scores), np.concatenate(hits)
    order = np.argsort(-score, kind="stable")
    shown = int(np.searchsorted(np.cumsum(~hit[order]), false_per_image * pictures, side="right"))
    recall = hit[order][:shown].sum() / faces if faces else np.nan
    return FaceRecall(float(recall), float(score[order[shown - 1]]) if shown else 1.0, faces)


def overlaps(a: Floats, b: Floats) -> Floats:
    """Intersection over union of each of ``a`` (N, 4) with each of ``b`` (M, 4): (N, M)."""
    size = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    inside = size.clip(0).prod(axis=2)
    area_a, area_b = ((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (a, b))
    union: Floats = area_a[:, None] + area_b[None] - inside
    return np.divide(inside, union, out=np.zeros_like(inside), where=union > 0)


def _judge(image: Found, counts: npt.NDArray[np.bool_], min_side: float) -> tuple[npt.NDArray[np.bool_], ...]:
    """For each found box whether it hits a face that counts, and whether it matters at all. Surest boxes first."""
    overlap = overlaps(image.xyxy, image.truth)
    small = _side(image.xyxy) < min_side
    hit, judged = np.zeros(len(overlap), np.bool_), np.ones(len(overlap), np.bool_)
    free = np.ones(len(image.truth), np.bool_)
    for index in np.argsort(-image.score, kind="stable").tolist():
        candidates = np.where(free & (overlap[index] >= SAME_FACE), overlap[index] + counts, -1)
        best = int(candidates.argmax()) if len(candidates) else -1
        if best >= 0 and candidates[best] >= 0:
            free[best] = False
            hit[index] = judged[index] = counts[best]
        elif small[index]:
            judged[index] = False
    return hit, judged


def _side(boxes: Floats) -> Floats:
    side: Floats = (boxes[:, 2:] - boxes[:, :2]).min(axis=1, initial=np.inf)
    return side
