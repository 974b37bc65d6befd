"""From a network's scores to confidences that mean something: of the faces shown at 80 %, about 80 % are right."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

__all__ = ["Calibration", "features"]

Floats = npt.NDArray[np.float64]

GRID: Floats = 1 / (1 + np.exp(-np.linspace(-12, 12, 481)))
"""Scores, closest where confidence may change fastest."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """Beta calibration of each class (Kull, Silva Filho and Flach, 2017).

    A confidence's logit is low * log(score) - high * log(1 - score) + offset: with low and high alike it is Platt's
    scaling; two slopes follow a network whose low scores fall off in another way than its high ones. It rises with the
    score, so boxes and words stay as the network has them, and the order within a class too.

    Args:
        weights: float64 (C, 3), low, high and offset of each class channel of the network; the first two are above 0.
    """

    weights: Floats

    @classmethod
    def parse(cls, text: str, classes: int) -> Calibration:
        """Read the entry ``calibration`` of a network's file: JSON, three numbers for each of ``classes`` channels.

        Raises:
            ValueError: it is something else.
        """
        weights = np.array(json.loads(text), np.float64)
        if weights.shape != (classes, 3) or not np.isfinite(weights).all() or (weights[:, :2] <= 0).any():
            raise ValueError(f"calibration {text[:80]} is not [above 0, above 0, any number] for each class")
        return cls(weights)

    def __str__(self) -> str:
        """What :meth:`parse` reads."""
        return json.dumps(self.weights.round(6).tolist())

    def __call__(self, scores: npt.NDArray[np.float32], channel: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """The confidence, float32 (N,), of each score (N,) of a class channel (N,)."""
        return self._confidence(scores.astype(np.float64), channel).astype(np.float32)

    def least_score(self, confidence: float) -> float:
        """A score up to which the confidence is lower than this in every class; just below the lowest that is not."""
        return float(GRID[below - 1]) if (below := int(np.searchsorted(self._grid.max(axis=0), confidence))) else 0.0

    def scores(self, confidence: npt.NDArray[np.float32], channel: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """The scores (N,) that these confidences (N,) were made of."""
        found = [np.interp(confidence, of_class, GRID) for of_class in self._grid]
        return np.choose(channel, found).astype(np.float32)

    @cached_property
    def _grid(self) -> Floats:
        """Each class's confidence, (C, G), of the scores :data:`GRID`."""
        return np.stack([self._confidence(GRID, np.full(len(GRID), each)) for each in range(len(self.weights))])

    def _confidence(self, scores: Floats, channel: npt.NDArray[np.int64]) -> Floats:
        with np.errstate(over="ignore"):
            share: Floats = 1 / (1 + np.exp(-(features(scores) * self.weights[channel]).sum(axis=1)))
        return share


def features(scores: Floats) -> Floats:
    """What a confidence's logit is a weighted sum of: log(score), -log(1 - score) and 1, (N, 3)."""
    with np.errstate(divide="ignore"):  # 0 and 1 become infinite, and 0 and 1 again
        return np.stack([np.log(scores), -np.log1p(-scores), np.ones_like(scores)], axis=1)
