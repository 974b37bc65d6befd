"""How many faces a face finder finds, at a given number of false ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detector.scoring import Example, match

__all__ = ["FaceRecall", "measure"]

LEAST_SIDE = 16.0
"""Of faces that a face finder is measured on, px: shorter sides than this neither help nor hurt."""


@dataclass(frozen=True)
class FaceRecall:
    """The share of faces that are found at so many false ones.

    Args:
        recall: 0 to 1; NaN where there is no face.
        threshold: faces that are surer than this are then shown.
        faces: how many were to be found.
    """

    recall: float
    threshold: float
    faces: int


def measure(examples: Sequence[Example], *, min_side: float = LEAST_SIDE, false_per_image: float = 1.0) -> FaceRecall:
    """Recall at ``false_per_image`` false faces an image, with one threshold for all images, classes aside."""
    matches = match(examples, min_side=min_side)
    alarms = -np.sort(-matches.false_confidence)
    allowed = int(false_per_image * len(examples))
    threshold = float(alarms[allowed]) if allowed < len(alarms) else 0.0
    found = float((matches.confidence > threshold).mean()) if len(matches.confidence) else float("nan")
    return FaceRecall(found, threshold, len(matches.confidence))
