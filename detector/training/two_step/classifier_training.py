"""Train the two-step engine's mask classifier on folders of crops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from detector.engines.classifier import BACKGROUND
from detector.engines.crops import SIDE
from detector.engines.weights import CLASSIFIER_WEIGHTS
from detector.errors import TrainingError
from detector.evaluation.text import aligned, number
from detector.training.checkpoint import CLASSIFIER
from detector.training.history import Figures, data_note
from detector.training.runs import batch_size
from detector.training.two_step.classifier_network import LEAST_SIDE, MaskClassifierNetwork
from detector.training.two_step.crop_folder import batches, read_crop_folder, whole
from detector.training.two_step.learner import Learner, rate, rgb_tensor

__all__ = ["ClassifierLearner", "ClassifierReport", "ClassifierSettings", "count_said"]

BATCH = 32
HEAD_RATE, WHOLE_RATE = 1e-3, 1e-4
"""Peaks of the learning rate: of the head on a frozen body, then of everything."""

HEAD_SHARE = 0.2
"""Of the epochs, the first, that train the head alone; at least one."""

WARM_UP = 100
EXAMPLES = 16


@dataclass(frozen=True)
class ClassifierSettings:
    """What a run begins with and goes on with.

    Args:
        crops: folder of crops, see :func:`~.crop_folder.read_crop_folder`.
        backbone: mobilenet_v2 or inception_v3.
        epochs: times that every crop is seen; the first fifth trains the head alone.
        side: of the network's input, px.
        batch: crops per step; 32 by default, or all of them if there are fewer.
        seed: another number gives other augmentations, and another random split.
    """

    crops: str
    backbone: str = "mobilenet_v2"
    epochs: int = 20
    side: int = SIDE
    batch: int | None = None
    seed: int = 0


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


class ClassifierLearner(Learner):
    """See :class:`~.learner.Learner`; the settings are :class:`ClassifierSettings`."""

    kind = CLASSIFIER
    file_name = CLASSIFIER_WEIGHTS
    settings_type = ClassifierSettings
    size_flag = "--side"

    def read_data(self) -> None:
        """The crops; their number by class weighs the loss."""
        settings = self.settings
        least = LEAST_SIDE.get(settings.backbone)
        if least is None:
            raise TrainingError(f"--backbone {settings.backbone}: choose one of {', '.join(LEAST_SIDE)}")
        if settings.side < least:
            raise TrainingError(f"--side {settings.side}: {settings.backbone} needs crops of {least} px or more")
        self.crops = read_crop_folder(Path(settings.crops), seed=settings.seed, progress=self.progress)
        contents = self.crops.contents("train"), self.crops.contents("val")
        self.note = data_note("crops", *contents)
        self.examples = tuple(crop.path for crop in self.crops.val[:EXAMPLES])
        self.batch = batch_size(settings.batch, BATCH, len(self.crops.train), "crops")
        self.steps = -(-len(self.crops.train) // self.batch)
        self.head_epochs = max(1, round(HEAD_SHARE * settings.epochs))
        counts = np.array(list(contents[0].named.values()))
        self.weights = torch.tensor(counts.sum() / (len(counts) * counts), dtype=torch.float32)

    def build(self) -> MaskClassifierNetwork:
        """A body and a head."""
        return MaskClassifierNetwork(self.settings.backbone, len(self.crops.names))

    def entries(self) -> dict[str, Any]:
        """How the crops were cut, and what the outputs mean."""
        return {"names": list(self.crops.names), "margin": self.crops.margin}

    def learn(self, epoch: int) -> Figures:
        """One epoch; the mean loss and the accuracy on the augmented crops."""
        device = self.hardware.device
        head_only = epoch < self.head_epochs
        self.network.freeze(head_only)
        self.phase = " (head)" if head_only else ""
        total, right = 0.0, 0
        shaken = batches(self.crops.train, side=self.settings.side, batch=self.batch, seed=(self.settings.seed, epoch))
        for crops, labels in self.one_epoch(epoch, shaken):
            wanted = torch.from_numpy(labels).to(device)
            with self.hardware.autocast():
                logits = self.network(rgb_tensor(crops).to(device))
            loss = functional.cross_entropy(logits.float(), wanted, weight=self.weights.to(device))
            total += self.advance(loss, self._rate(head_only=head_only)) * len(labels)
            right += int((logits.argmax(dim=1) == wanted).sum())
        count = len(self.crops.train)
        return {"loss": total / count, "accuracy": right / count}

    def validate(self) -> tuple[Figures, ClassifierReport]:
        """Loss and accuracy on the validation crops."""
        total, said, labelled = 0.0, [], []
        for crops, labels in whole(self.crops.val, side=self.settings.side, batch=self.batch):
            with torch.inference_mode(), self.hardware.autocast():
                logits = self.average(rgb_tensor(crops).to(self.hardware.device)).float().cpu()
            total += functional.cross_entropy(logits, torch.from_numpy(labels), reduction="sum").item()
            said.append(logits.argmax(dim=1).numpy())
            labelled.append(labels)
        report = count_said(np.concatenate(labelled), np.concatenate(said), self.crops.names)
        return {"val loss": total / len(self.crops.val), "val accuracy": report.accuracy}, report

    def _rate(self, *, head_only: bool) -> float:
        head_steps = self.steps * self.head_epochs
        if head_only:
            return HEAD_RATE * rate(self.step, head_steps, WARM_UP)
        return WHOLE_RATE * rate(self.step - head_steps, self.steps * self.settings.epochs - head_steps, WARM_UP)


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
