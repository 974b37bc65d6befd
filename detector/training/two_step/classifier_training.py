"""Train the two-step engine's mask classifier on folders of crops."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from detector.engines.crops import SIDE
from detector.engines.weights import CLASSIFIER_WEIGHTS
from detector.errors import TrainingError
from detector.training.checkpoint import CLASSIFIER
from detector.training.history import Figures, data_note
from detector.training.runs import batch_size
from detector.training.two_step.classifier_network import LEAST_SIDE, MaskClassifierNetwork
from detector.training.two_step.classifier_report import ClassifierReport, count_said
from detector.training.two_step.crop_folder import batches, read_crop_folder, whole
from detector.training.two_step.learner import Learner, rate, rgb_tensor

__all__ = ["ClassifierLearner", "ClassifierSettings"]

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
