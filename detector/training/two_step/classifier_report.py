"""What a classifier got right: accuracy, precision, recall and F1 of each class, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from detector.engines.classifier import BACKGROUND

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ClassifierReport", "count_said"]


@dataclass(frozen=True)
class ClassifierReport:
    """How a classifier did on labelled crops. Figures come for each class; without anything to divide by they are 0.

    Args:
        names: the classes.
        confusion: int64 (classes, classes), rows are labels, columns what the classifier said.
    """

    names: tuple[str, ...]
    confusion: npt.NDArray[np.int64]

    @property
    def support(self) -> npt.NDArray[np.int64]:
        """Labelled crops."""
        return np.asarray(self.confusion.sum(axis=1))

    @property
    def precision(self) -> npt.NDArray[np.float64]:
        """Share of what was said that is right."""
        return np.asarray(np.diag(self.confusion) / np.maximum(self.confusion.sum(axis=0), 1))

    @property
    def recall(self) -> npt.NDArray[np.float64]:
        """Share of the labelled crops that got their class."""
        return np.asarray(np.diag(self.confusion) / np.maximum(self.support, 1))

    @property
    def f1(self) -> npt.NDArray[np.float64]:
        """Harmonic mean of precision and recall."""
        total = np.maximum(self.precision + self.recall, 1e-12)
        return np.asarray(2 * self.precision * self.recall / total)

    @property
    def accuracy(self) -> float:
        """Share of the crops that got their class."""
        return float(np.trace(self.confusion) / max(self.confusion.sum(), 1))

    @property
    def accuracy_of_faces(self) -> float:
        """Share of the crops of faces that got their class; what was taken for background is wrong too."""
        faces = [index for index, name in enumerate(self.names) if name != BACKGROUND]
        return float(np.diag(self.confusion)[faces].sum() / max(self.support[faces].sum(), 1))

    def __str__(self) -> str:
        lines = [f"{'':<14}{'precision':>10}{'recall':>8}{'F1':>8}{'support':>9}"]
        rows = zip(self.names, self.precision, self.recall, self.f1, self.support, strict=True)
        lines += ["{:<14}{:>10.3f}{:>8.3f}{:>8.3f}{:>9}".format(*row) for row in rows]
        lines.append(f"accuracy {self.accuracy:.3f} of {self.confusion.sum()} crops")
        if BACKGROUND in self.names:
            faces = self.support.sum() - self.support[self.names.index(BACKGROUND)]
            lines[-1] += f", {self.accuracy_of_faces:.3f} of the {faces} faces among them"
        lines += ["", f"{'labelled as':<14}" + "".join(f"{name:>14}" for name in self.names) + "  (what it said)"]
        for name, counts in zip(self.names, self.confusion.tolist(), strict=True):
            lines.append(f"{name:<14}" + "".join(f"{count:>14}" for count in counts))
        return "\n".join(lines)

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
    return ClassifierReport(tuple(names), confusion)
