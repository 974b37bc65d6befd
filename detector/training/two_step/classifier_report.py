"""What a classifier got right: accuracy, precision, recall and F1 of each class, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from detector.engines.classifier import BACKGROUND
from detector.evaluation.text import aligned, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ClassifierReport", "count_said"]


@dataclass(frozen=True)
class ClassifierReport:
    """How a classifier did on labelled crops. Of each class; a figure without anything to divide by is 0.

    Args:
        names: the classes.
        confusion: int64 (classes, classes), rows are labels, columns what the classifier said.
        support: int64 (classes,), labelled crops.
        precision, recall, f1: float64 (classes,).
        accuracy: share of all crops that got their class.
        accuracy_of_faces: of the crops of faces; what was taken for background is wrong too.
    """

    names: tuple[str, ...]
    confusion: npt.NDArray[np.int64]
    support: npt.NDArray[np.int64]
    precision: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]
    f1: npt.NDArray[np.float64]
    accuracy: float
    accuracy_of_faces: float

    def __str__(self) -> str:
        rows = [("", "precision", "recall", "F1", "support")]
        figures = zip(self.names, self.precision, self.recall, self.f1, self.support, strict=True)
        rows += [(name, number(p), number(r), number(f1), str(count)) for name, p, r, f1, count in figures]
        summary = f"accuracy {self.accuracy:.3f} of {self.support.sum()} crops"
        if BACKGROUND in self.names:
            faces = self.support.sum() - self.support[self.names.index(BACKGROUND)]
            summary += f", {self.accuracy_of_faces:.3f} of the {faces} faces among them"
        table = [("labelled as, and what it said", *self.names)]
        table += [(name, *map(str, row)) for name, row in zip(self.names, self.confusion.tolist(), strict=True)]
        return f"{aligned(rows)}\n{summary}\n\n{aligned(table)}"

    def draw(self, axes: Axes) -> None:
        """Draw the confusion matrix."""
        share = self.confusion / np.maximum(self.support[:, None], 1)
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        axes.set(title="confusion on the validation crops", xlabel="said", ylabel="labelled")
        axes.set_xticks(range(len(self.names)), self.names)
        axes.set_yticks(range(len(self.names)), self.names)
        for (row, column), count in np.ndenumerate(self.confusion):
            colour = "white" if share[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=colour)


def count_said(labels: npt.NDArray[np.int64], said: npt.NDArray[np.int64], names: Sequence[str]) -> ClassifierReport:
    """Compare labels (N,) with what a classifier said (N,), both indices into ``names``."""
    confusion = np.zeros((len(names), len(names)), np.int64)
    np.add.at(confusion, (labels, said), 1)
    right, support = np.diag(confusion), confusion.sum(axis=1)
    precision, recall = (right / np.maximum(total, 1) for total in (confusion.sum(axis=0), support))
    f1 = 2 * right / np.maximum(confusion.sum(axis=0) + support, 1)
    faces = [index for index, name in enumerate(names) if name != BACKGROUND]
    accuracy, of_faces = (float(right[rows].sum() / max(support[rows].sum(), 1)) for rows in (slice(None), faces))
    return ClassifierReport(tuple(names), confusion, support, precision, recall, f1, accuracy, of_faces)
