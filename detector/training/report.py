"""What a classifier got right: accuracy, precision, recall and F1 of each class, confusion matrix, and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from detector.engines.classifier import BACKGROUND

__all__ = ["ClassReport", "Epoch", "Report", "draw", "summarise"]


@dataclass(frozen=True)
class ClassReport:
    """One class; a figure without anything to divide by is 0."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Report:
    """How a classifier did on labelled crops.

    Args:
        accuracy: share of the crops that got their class.
        classes: one entry per class.
        confusion: int64 (classes, classes), rows are labels, columns what the classifier said.
    """

    accuracy: float
    classes: tuple[ClassReport, ...]
    confusion: npt.NDArray[np.int64]

    @property
    def accuracy_of_faces(self) -> float:
        """Share of the crops of faces that got their class; what was taken for background is wrong too."""
        return sum(entry.recall * entry.support for entry in self._faces) / max(sum(e.support for e in self._faces), 1)

    @property
    def _faces(self) -> list[ClassReport]:
        return [entry for entry in self.classes if entry.name != BACKGROUND]

    def __str__(self) -> str:
        names = [entry.name for entry in self.classes]
        lines = [f"{'':<14}{'precision':>10}{'recall':>8}{'F1':>8}{'support':>9}"]
        lines += [
            f"{entry.name:<14}{entry.precision:>10.3f}{entry.recall:>8.3f}{entry.f1:>8.3f}{entry.support:>9}"
            for entry in self.classes
        ]
        lines.append(f"accuracy {self.accuracy:.3f} of {int(self.confusion.sum())} crops")
        if BACKGROUND in names:
            lines[-1] += f", {self.accuracy_of_faces:.3f} of the {sum(e.support for e in self._faces)} faces among them"
        lines.append("")
        lines.append(f"{'labelled as':<14}" + "".join(f"{name:>14}" for name in names) + "  (what it said)")
        for name, row in zip(names, self.confusion.tolist(), strict=True):
            lines.append(f"{name:<14}" + "".join(f"{count:>14}" for count in row))
        return "\n".join(lines)


@dataclass(frozen=True)
class Epoch:
    """One epoch of a training, for the curves: losses, and accuracies from 0 to 1."""

    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float


def summarise(labels: npt.NDArray[np.int64], said: npt.NDArray[np.int64], names: Sequence[str]) -> Report:
    """Compare labels (N,) with what a classifier said (N,), both indices into ``names``."""
    confusion = np.zeros((len(names), len(names)), np.int64)
    np.add.at(confusion, (labels, said), 1)
    right = np.diag(confusion)
    shown, support = confusion.sum(axis=0), confusion.sum(axis=1)
    entries = []
    for index, name in enumerate(names):
        precision, recall = (float(right[index] / max(total[index], 1)) for total in (shown, support))
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        entries.append(ClassReport(name, precision, recall, f1, int(support[index])))
    return Report(float(right.sum() / max(len(labels), 1)), tuple(entries), confusion)


def draw(epochs: Sequence[Epoch], head_epochs: int, report: Report, picture: Path) -> None:
    """Draw loss and accuracy over the epochs, and the confusion matrix.

    Args:
        epochs: in order.
        head_epochs: how many of them trained the head alone.
        report: of the best epoch.
        picture: the file to write, .png or .svg.
    """
    from matplotlib.figure import Figure  # without pyplot there is no window system to look for

    numbers = range(1, len(epochs) + 1)
    figure = Figure(figsize=(14, 4), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    curves = {"train": ("loss", "accuracy"), "val": ("val_loss", "val_accuracy")}
    for style, (part, columns) in zip(("-", "--"), curves.items(), strict=True):
        for axes, column in zip((left, middle), columns, strict=True):
            axes.plot(numbers, [getattr(epoch, column) for epoch in epochs], style, marker=".", label=part)
    for axes, title in ((left, "loss"), (middle, "accuracy")):
        axes.set(title=title, xlabel="epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        if 0 < head_epochs < len(epochs):
            axes.axvline(head_epochs + 0.5, color="grey", linestyle=":", label="body trained too")
        axes.grid(alpha=0.3)
        axes.legend()
    share = report.confusion / np.maximum(report.confusion.sum(axis=1, keepdims=True), 1)
    right.imshow(share, cmap="Blues", vmin=0, vmax=1)
    names = [entry.name for entry in report.classes]
    right.set(title="confusion on the validation crops", xlabel="said", ylabel="labelled")
    right.set_xticks(range(len(names)), names)
    right.set_yticks(range(len(names)), names)
    for (row, column), count in np.ndenumerate(report.confusion):
        colour = "white" if share[row, column] > 0.5 else "black"
        right.text(column, row, str(count), ha="center", va="center", color=colour)
    figure.savefig(picture, dpi=120)
