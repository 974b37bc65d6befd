"""Train the two-step engine's face finder on a YOLO folder."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from detector.data.loading import load_yolo
from detector.data.progress import Progress, silent
from detector.data.regions import Regions
from detector.data.sample import Sample
from detector.errors import TrainingError
from detector.training.failures import one_line_errors
from detector.training.pictures import Pictures
from detector.training.two_step.face_recall import FaceRecall, measure
from detector.training.two_step.face_ssd_data import View, batches
from detector.training.two_step.face_ssd_validation import find_faces
from detector.training.two_step.learner import (
    Hardware,
    Learner,
    load_checkpoint,
    rate,
    require_torchvision,
)

if TYPE_CHECKING:
    import torch

__all__ = ["CHECKPOINT", "Settings", "Trained", "resume", "train"]

log = logging.getLogger(__name__)

CHECKPOINT = "face finder"

LEARNING_RATE = 1e-3
"""Of AdamW, at its peak."""

WARM_UP = 300
"""Steps in which the rate rises, until AdamW knows the gradients' size; a fifth of a shorter training."""

LARGEST_GRADIENT = 10.0

EXAMPLES = 3
"""Validation images that a result names, to compare an export on."""

MOSAICS, WHOLE_PICTURES = 0.5, 0.15
"""Share of the pictures that are shown four at a time, and of the epochs, the last, in which none is."""


@dataclass(frozen=True)
class Settings:
    """What a run begins with and goes on with.

    Args:
        data: data.yaml of a YOLO folder; both classes are faces.
        epochs: times that every image is seen.
        imgsz: side of the network's input while it learns, px.
        batch: images per step.
        seed: another number gives other cuts and another order.
        ignore: CSV of regions with faces that nobody labelled, see :class:`~detector.data.regions.Regions`.
    """

    data: str
    epochs: int = 40
    imgsz: int = 512
    batch: int = 16
    seed: int = 0
    ignore: str | None = None


@dataclass(frozen=True)
class Trained:
    """What a finished training leaves in its run folder.

    Args:
        run: the folder.
        best: checkpoint of the best epoch.
        recall: of that epoch, on the validation images.
        examples: some of the validation images.
        seconds: how long this process trained.
    """

    run: Path
    best: Path
    recall: FaceRecall
    examples: tuple[Path, ...]
    seconds: float


def train(
    settings: Settings, run: Path, weights: dict[str, torch.Tensor], *, device: str, progress: Progress = silent
) -> Trained:
    """Train; one log line for each epoch, a checkpoint after each, everything below ``run``.

    Args:
        settings: data, epochs, sizes.
        run: an existing folder, see :func:`~.single_stage.yolo_training.new_run`.
        weights: of ImageNet's MobileNetV2, see :func:`~.imagenet.load_imagenet`.
        device: auto, cpu, cuda, cuda:1 or mps.
        progress: wraps the loop over the steps of an epoch, for a progress bar.

    Raises:
        TrainingError: the data or the device cannot be used, or memory or disk do not suffice.
        AnnotationError: data.yaml or a label file cannot be used.
        SourceError: an image cannot be read.
        KeyboardInterrupt: Ctrl-C; the checkpoint of the last whole epoch is kept.
    """
    require_torchvision()
    with one_line_errors(run):
        session = _Session(settings, run, device, progress)
        session.network.start_from(weights)
        session.learner.begin()
        return session.fit()


def resume(run: Path, *, device: str, progress: Progress = silent) -> Trained:
    """Go on with a run from its last whole epoch, with its settings; a finished one is only measured again.

    Raises:
        TrainingError: there is nothing to resume, or as for :func:`train`.
    """
    require_torchvision()
    content = load_checkpoint(run / "weights" / "last.pt", CHECKPOINT)
    with one_line_errors(run):
        session = _Session(Settings(**content["settings"]), run, device, progress)
        session.restore(content)
        return session.fit()


class _Session:
    """One process's part of a run: the network, its moving average, the optimizer and the pictures."""

    def __init__(self, settings: Settings, run: Path, device: str, progress: Progress) -> None:
        import torch

        from detector.training.two_step.face_ssd_network import FaceSSD

        self.settings, self.run, self.progress = settings, run, progress
        regions = Regions(Path(settings.ignore) if settings.ignore else None)
        train, val = (
            load_yolo(Path(settings.data), part=part, regions=regions, progress=progress) for part in ("train", "val")
        )
        if len(train) < settings.batch:
            raise TrainingError(
                f"--batch {settings.batch}: there are only {len(train)} training images: use {len(train)} or less"
            )
        if not any(len(item.truth) for item in train):
            raise TrainingError(f"{settings.data}: no face is labelled in train: there is nothing to learn")
        self.note = _describe(train, val)
        # Twice the input is as much as a view zooms in without inventing pixels.
        self.train, self.val = (Pictures(part, 2 * settings.imgsz) for part in (train, val))
        self.hardware = Hardware(device)
        torch.manual_seed(settings.seed)
        self.network = FaceSSD()
        self.learner = Learner(self.network, self.hardware)
        self.epoch = 0
        self.steps = len(train) // settings.batch

    def fit(self) -> Trained:
        """The epochs that are left, and the measure of the best."""
        began = time.monotonic()
        settings = self.settings
        (self.run / "weights").mkdir(exist_ok=True)
        log.info("%s", self.note)
        while self.epoch < settings.epochs:
            started = time.monotonic()
            loss = self._learn()
            self.epoch += 1
            recall = self._validate()
            better = self._save(recall)
            log.info(
                "epoch %d/%d  loss %.3f (scores %.3f, boxes %.3f)  recall at 1 false face an image %.3f%s  %.0f s",
                *(self.epoch, settings.epochs, sum(loss), *loss, recall.recall),
                *(" (best)" if better else "", time.monotonic() - started),
            )
        best = self.run / "weights" / "best.pt"
        self.learner.average.load_state_dict(load_checkpoint(best, CHECKPOINT)["average"])
        examples = tuple(item.path for item in self.val.labelled[:EXAMPLES])
        return Trained(self.run, best, self._validate(), examples, time.monotonic() - began)

    def restore(self, content: dict[str, Any]) -> None:
        """Go back to a saved epoch."""
        self.learner.restore(content)
        self.epoch = content["epoch"]

    def _learn(self) -> tuple[float, float]:
        """One epoch; returns the mean losses of scores and boxes."""
        from detector.training.two_step.face_ssd_network import detection_loss, match

        self.network.train()
        totals = np.zeros(2)
        settings = self.settings
        whole = self.epoch >= (1 - WHOLE_PICTURES) * settings.epochs
        epoch = batches(
            self.train,
            size=settings.imgsz,
            batch=settings.batch,
            mosaics=0.0 if whole else MOSAICS,
            seed=(settings.seed, self.epoch),
        )
        title = f"epoch {self.epoch + 1}/{settings.epochs}"
        for _, views in zip(self.progress(range(self.steps), title), epoch, strict=True):
            with self.hardware.autocast():
                logits, offsets, priors = self.network(self._stack(views))
            targets = [match(self._tensor(v.faces), self._tensor(v.ignored), priors) for v in views]
            losses = detection_loss(logits.float(), offsets.float(), priors, targets)
            if not all(map(math.isfinite, values := [loss.item() for loss in losses])):
                raise RuntimeError("the loss is NaN")
            pace = LEARNING_RATE * rate(self.learner.step, self.steps * settings.epochs, WARM_UP)
            self.learner.advance(losses[0] + losses[1], pace, LARGEST_GRADIENT)
            totals += values
        return float(totals[0] / self.steps), float(totals[1] / self.steps)

    def _validate(self) -> FaceRecall:
        return measure(find_faces(self.learner.average, self.val, self.settings.imgsz, self.hardware))

    def _save(self, recall: FaceRecall) -> bool:
        entries = {
            "kind": CHECKPOINT,
            "settings": asdict(self.settings),
            "epoch": self.epoch,
            "data_note": self.note,
        }
        return self.learner.save(self.run, recall.recall, entries)

    def _stack(self, views: Sequence[View]) -> torch.Tensor:
        """RGB float32 (B, 3, S, S) in 0..1."""
        import torch

        pixels = torch.from_numpy(np.stack([view.image for view in views])[..., ::-1].copy())
        return pixels.to(self.hardware.device).permute(0, 3, 1, 2).float().div_(255)

    def _tensor(self, array: npt.NDArray[np.float32]) -> torch.Tensor:
        import torch

        return torch.from_numpy(array).to(self.hardware.device)


def _describe(train: Sequence[Sample], val: Sequence[Sample]) -> str:
    """One sentence for the metadata; names no file or folder."""
    sides = ((train, "trained on"), (val, "chosen on"))
    return ", ".join(f"{verb} {len(part)} images ({sum(len(i.truth) for i in part)} faces)" for part, verb in sides)
