"""What a training tells while it runs and when it is done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

__all__ = ["ClassScore", "EpochResult", "Listener", "TrainingResult"]


@dataclass(frozen=True)
class EpochResult:
    """One epoch, validated and saved.

    Args:
        epoch, epochs: which (from 1) of how many.
        loss: mean of the summed losses over the epoch.
        ap50, precision, recall: on the validation images with one word per face, mean of the classes, 0 to 1.
        best: whether no ``ap50`` was higher so far.
        seconds: how long it took, validation included.
    """

    epoch: int
    epochs: int
    loss: float
    ap50: float
    precision: float
    recall: float
    best: bool
    seconds: float


@dataclass(frozen=True)
class ClassScore:
    """The best checkpoint on the validation images, for one class.

    Args:
        name: the class.
        faces: how many are labelled.
        ap50: average precision at an overlap of 0.5, with one word per face.
        precision, recall: at the confidence where F1 is best.
    """

    name: str
    faces: int
    ap50: float
    precision: float
    recall: float


@dataclass(frozen=True)
class TrainingResult:
    """What a finished training leaves in its run folder.

    Args:
        run: the folder.
        best, last: checkpoints of the best and the last epoch, without the optimizer's state.
        scores: one entry per class, for ``best``.
        curves: picture of loss, AP50, precision and recall over the epochs.
        seconds: how long this process trained.
    """

    run: Path
    best: Path
    last: Path
    scores: tuple[ClassScore, ...]
    curves: Path
    seconds: float


class Listener(Protocol):
    """Hears how far the training is; the command shows it."""

    def on_step(self, epoch: int, epochs: int, step: int, steps: int, loss: float) -> None:
        """A batch was learnt; all numbers count from 1."""

    def on_epoch(self, result: EpochResult) -> None:
        """An epoch was validated, and its checkpoint saved."""
