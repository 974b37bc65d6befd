"""Train the two-step engine's mask classifier on folders of crops."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from detector.data.progress import Progress, silent
from detector.engines.crops import SIDE
from detector.errors import TrainingError
from detector.training import report as reporting
from detector.training.failures import one_line_errors
from detector.training.report import Epoch, Report
from detector.training.two_step.crop_folder import Crop, CropFolder, batches, read_crop_folder, whole
from detector.training.two_step.learner import (
    Hardware,
    Learner,
    load_checkpoint,
    rate,
    require_torchvision,
)

if TYPE_CHECKING:
    import torch

__all__ = ["CHECKPOINT", "LEAST_SIDE", "Settings", "Trained", "resume", "train"]

log = logging.getLogger(__name__)

CHECKPOINT = "mask classifier"

HEAD_RATE, WHOLE_RATE = 1e-3, 1e-4
"""Peaks of the learning rate: of the head on a frozen body, then of everything."""

HEAD_SHARE = 0.2
"""Of the epochs, the first, that train the head alone; at least one."""

WARM_UP = 100
LEAST_SIDE = {"mobilenet_v2": 32, "inception_v3": 75}
"""Smaller crops leave nothing for the last layers to look at, px."""


@dataclass(frozen=True)
class Settings:
    """What a run begins with and goes on with.

    Args:
        crops: folder of crops, see :func:`~.crop_folder.read_crop_folder`.
        backbone: mobilenet_v2 or inception_v3.
        epochs: times that every crop is seen; the first fifth trains the head alone.
        side: of the network's input, px.
        batch: crops per step.
        seed: another number gives other augmentations, and another random split.
    """

    crops: str
    backbone: str = "mobilenet_v2"
    epochs: int = 20
    side: int = SIDE
    batch: int = 32
    seed: int = 0

    @property
    def head_epochs(self) -> int:
        """How many of the epochs train the head alone."""
        return max(1, round(HEAD_SHARE * self.epochs))


@dataclass(frozen=True)
class Trained:
    """What a finished training leaves in its run folder.

    Args:
        run: the folder.
        best: checkpoint of the best epoch.
        report: of that epoch, on the validation crops.
        curves: picture of loss, accuracy and confusion.
        examples: the validation crops.
        seconds: how long this process trained.
    """

    run: Path
    best: Path
    report: Report
    curves: Path
    examples: tuple[Crop, ...]
    seconds: float


def train(
    settings: Settings, run: Path, weights: dict[str, torch.Tensor], *, device: str, progress: Progress = silent
) -> Trained:
    """Train; one log line for each epoch, a checkpoint after each, everything below ``run``.

    Args:
        settings: crops, network, epochs.
        run: an existing folder, see :func:`~.single_stage.yolo_training.new_run`.
        weights: of the backbone, see :func:`~.imagenet.load_imagenet`.
        device: auto, cpu, cuda, cuda:1 or mps.
        progress: wraps the loop over the steps of an epoch, for a progress bar.

    Raises:
        TrainingError: the crops or the device cannot be used, or memory or disk do not suffice.
        SourceError: a crop cannot be read.
        KeyboardInterrupt: Ctrl-C; the checkpoint of the last whole epoch is kept.
    """
    if settings.side < LEAST_SIDE[settings.backbone]:
        raise TrainingError(
            f"--side {settings.side}: {settings.backbone} needs crops of {LEAST_SIDE[settings.backbone]} px or more"
        )
    require_torchvision()
    with one_line_errors(run, "--side"):
        session = _Session(settings, run, device, progress)
        session.network.start_from(weights)
        session.learner.begin()
        return session.fit()


def resume(run: Path, *, device: str, progress: Progress = silent) -> Trained:
    """Go on with a run from its last whole epoch, with the settings that it began with; a finished one just reports.

    Raises:
        TrainingError: there is nothing to resume, or as for :func:`train`.
    """
    require_torchvision()
    content = load_checkpoint(run / "weights" / "last.pt", CHECKPOINT)
    with one_line_errors(run, "--side"):
        session = _Session(Settings(**content["settings"]), run, device, progress)
        session.restore(content)
        return session.fit()


class _Session:
    """One process's part of a run: the network, its moving average, the optimizer and the crops."""

    def __init__(self, settings: Settings, run: Path, device: str, progress: Progress) -> None:
        import torch

        from detector.training.two_step.classifier_network import MaskClassifierNetwork

        self.settings, self.run, self.progress = settings, run, progress
        self.crops: CropFolder = read_crop_folder(Path(settings.crops), seed=settings.seed, progress=progress)
        self.hardware = Hardware(device)
        torch.manual_seed(settings.seed)
        self.network = MaskClassifierNetwork(settings.backbone, len(self.crops.names))
        self.learner = Learner(self.network, self.hardware)
        counts = np.array(list(self.crops.counts("train").values()))
        self.weights = torch.tensor(counts.sum() / (len(counts) * counts), dtype=torch.float32).to(self.hardware.device)
        self.epochs: list[Epoch] = []
        self.steps = -(-len(self.crops.train) // settings.batch)

    def fit(self) -> Trained:
        """The epochs that are left, the report and the picture."""
        began = time.monotonic()
        settings = self.settings
        (self.run / "weights").mkdir(exist_ok=True)
        log.info("%s", self.crops.describe())
        while len(self.epochs) < settings.epochs:
            started = time.monotonic()
            head_only = len(self.epochs) < settings.head_epochs
            loss, accuracy = self._learn(head_only=head_only)
            val_loss, report = self._validate()
            self.epochs.append(Epoch(loss, accuracy, val_loss, report.accuracy))
            better = self._save(report)
            log.info(
                "epoch %d/%d%s  loss %.3f  accuracy %.3f  on the validation crops: loss %.3f  accuracy %.3f%s  %.0f s",
                *(len(self.epochs), settings.epochs, " (head)" if head_only else "", loss, accuracy),
                *(val_loss, report.accuracy, " (best)" if better else "", time.monotonic() - started),
            )
        best = self.run / "weights" / "best.pt"
        self.learner.average.load_state_dict(load_checkpoint(best, CHECKPOINT)["average"])
        _, report = self._validate()
        curves = self.run / "curves.png"
        reporting.draw(self.epochs, settings.head_epochs, report, curves)
        return Trained(self.run, best, report, curves, self.crops.val, time.monotonic() - began)

    def restore(self, content: dict[str, Any]) -> None:
        """Go back to a saved epoch."""
        if content["names"] != list(self.crops.names):
            raise TrainingError(f"{self.settings.crops}: its classes are not those that {self.run} began with")
        self.learner.restore(content)
        self.epochs = [Epoch(**epoch) for epoch in content["epochs"]]

    def _learn(self, *, head_only: bool) -> tuple[float, float]:
        """One epoch; returns the mean loss and the accuracy on the augmented crops."""
        import torch
        from torch.nn import functional

        settings, number = self.settings, len(self.epochs)
        torch.manual_seed(settings.seed * 10_000 + number)  # dropout, the same in a run that is resumed
        self.network.train()
        self.network.freeze(head_only)
        total, right, seen = 0.0, 0, 0
        epoch = batches(self.crops.train, side=settings.side, batch=settings.batch, seed=(settings.seed, number))
        title = f"epoch {number + 1}/{settings.epochs}"
        for _, (crops, labels) in zip(self.progress(range(self.steps), title), epoch, strict=True):
            wanted = torch.from_numpy(labels).to(self.hardware.device)
            with self.hardware.autocast():
                logits = self.network(self._tensor(crops))
            loss = functional.cross_entropy(logits.float(), wanted, weight=self.weights)
            if not math.isfinite(value := loss.item()):
                raise RuntimeError("the loss is NaN")
            self.learner.advance(loss, self._rate(head_only=head_only))
            total += value * len(labels)
            right += int((logits.argmax(dim=1) == wanted).sum())
            seen += len(labels)
        return total / seen, right / seen

    def _rate(self, *, head_only: bool) -> float:
        head_steps = self.steps * self.settings.head_epochs
        if head_only:
            return HEAD_RATE * rate(self.learner.step, head_steps, WARM_UP)
        return WHOLE_RATE * rate(
            self.learner.step - head_steps, self.steps * self.settings.epochs - head_steps, WARM_UP
        )

    def _validate(self) -> tuple[float, Report]:
        import torch
        from torch.nn import functional

        losses, said, labelled = [], [], []
        for crops, labels in whole(self.crops.val, side=self.settings.side, batch=self.settings.batch):
            with torch.inference_mode(), self.hardware.autocast():
                logits = self.learner.average(self._tensor(crops)).float().cpu()
            losses.append(functional.cross_entropy(logits, torch.from_numpy(labels), reduction="sum").item())
            said.append(logits.argmax(dim=1).numpy())
            labelled.append(labels)
        labels = np.concatenate(labelled)
        return sum(losses) / len(labels), reporting.summarise(labels, np.concatenate(said), self.crops.names)

    def _tensor(self, crops: npt.NDArray[np.uint8]) -> torch.Tensor:
        """RGB float32 (B, 3, S, S) in 0..1."""
        import torch

        pixels = torch.from_numpy(crops[..., ::-1].copy()).to(self.hardware.device)
        return pixels.permute(0, 3, 1, 2).float().div_(255)

    def _save(self, report: Report) -> bool:
        entries = {
            "kind": CHECKPOINT,
            "settings": asdict(self.settings),
            "names": list(self.crops.names),
            "margin": self.crops.margin,
            "epochs": [asdict(epoch) for epoch in self.epochs],
            "data_note": self.crops.describe(),
        }
        return self.learner.save(self.run, report.accuracy, entries)
