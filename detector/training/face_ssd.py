"""Train the two-step engine's face finder on a YOLO folder."""

from __future__ import annotations

import copy
import io
import logging
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from detector.data.progress import Progress, silent
from detector.engines.letterbox import InputBuffer, Letterbox
from detector.errors import MissingExtraError, TrainingError
from detector.media.images import write_bytes
from detector.training.cpu import has_native_bfloat16, physical_cores
from detector.training.face_recall import FaceRecall, Found, measure
from detector.training.face_ssd_data import View, batches
from detector.training.failures import one_line_errors
from detector.training.folder import check_folder, describe
from detector.training.hardware import find_device
from detector.training.heap import keep_memory
from detector.training.labelled import Labelled, Pictures, read_folder

if TYPE_CHECKING:
    import torch

    from detector.training.face_ssd_network import FaceSSD

__all__ = ["Settings", "Trained", "resume", "train"]

log = logging.getLogger(__name__)

LEARNING_RATE, LAST_RATE = 1e-3, 0.01
"""Of AdamW at its peak, and the share of it that is left at the end of the cosine."""

WEIGHT_DECAY = 5e-4
WARM_UP = 300
"""Steps in which the rate rises, until AdamW knows the gradients' size; a fifth of a shorter training."""

AVERAGE = 0.998
"""Decay of the weights' moving average for a step: it looks back over 500 steps, three epochs of 3,000 images."""

MOSAICS, WHOLE_PICTURES = 0.5, 0.15
"""Share of the pictures that are shown four at a time, and of the epochs, the last, in which none is."""

LARGEST_GRADIENT = 10.0
LEAST_SCORE, MOST_CANDIDATES, SAME_FACE = 0.02, 1000, 0.45
"""Of the boxes that a validation looks at: score, number, and the overlap from which two are one face."""


@dataclass(frozen=True)
class Settings:
    """What a run begins with and goes on with.

    Args:
        data: data.yaml of a YOLO folder; both classes are faces.
        epochs: times that every image is seen.
        imgsz: side of the network's input while it learns, px.
        batch: images per step.
        seed: another number gives other cuts and another order.
    """

    data: str
    epochs: int = 40
    imgsz: int = 512
    batch: int = 16
    seed: int = 0


@dataclass(frozen=True)
class Trained:
    """What a finished training leaves in its run folder.

    Args:
        run: the folder.
        best: checkpoint of the best epoch.
        recall: of that epoch, on the validation images.
        seconds: how long this process trained.
    """

    run: Path
    best: Path
    recall: FaceRecall
    seconds: float


def train(
    settings: Settings, run: Path, weights: dict[str, torch.Tensor], *, device: str, progress: Progress = silent
) -> Trained:
    """Train; one log line for each epoch, a checkpoint after each, everything below ``run``.

    Args:
        settings: data, epochs, sizes.
        run: an existing folder, see :func:`~.single_stage.new_run`.
        weights: of ImageNet's MobileNetV2, see :func:`~.imagenet.load_imagenet`.
        device: auto, cpu, cuda, cuda:1 or mps.
        progress: wraps the loop over the steps of an epoch, for a progress bar.

    Raises:
        TrainingError: the data or the device cannot be used, or memory or disk do not suffice.
        AnnotationError: a label file cannot be read.
        SourceError: an image cannot be read.
        KeyboardInterrupt: Ctrl-C; the checkpoint of the last whole epoch is kept.
    """
    with one_line_errors(run):
        session = _Session(settings, run, device, progress)
        session.network.start_from(weights)
        session.average.load_state_dict(session.network.state_dict())
        return session.fit()


def resume(run: Path, *, device: str, progress: Progress = silent) -> Trained:
    """Go on with a run from its last whole epoch, with the settings that it began with.

    Raises:
        TrainingError: there is nothing to resume, or as for :func:`train`.
    """
    import torch

    last = run / "weights" / "last.pt"
    if not last.is_file():
        raise TrainingError(f"--resume {run}: no checkpoint there (weights/last.pt): start a new training")
    try:
        content = torch.load(last, map_location="cpu", weights_only=True)
        settings, epoch = Settings(**content["settings"]), int(content["epoch"])
    except Exception as error:  # a damaged pickle raises nearly anything
        raise TrainingError(f"{last}: not a checkpoint of a face finder: start a new training") from error
    if epoch >= settings.epochs:
        raise TrainingError(f"--resume {run}: that training is finished: its network is {run / 'weights' / 'best.pt'}")
    with one_line_errors(run):
        session = _Session(settings, run, device, progress)
        session.restore(content)
        return session.fit()


class _Session:
    """One process's part of a run: the network, its moving average, the optimizer and the data."""

    def __init__(self, settings: Settings, run: Path, device: str, progress: Progress) -> None:
        try:
            import torch

            from detector.training.face_ssd_network import FaceSSD
        except ImportError as error:
            raise MissingExtraError("torchvision", "train") from error
        self.settings, self.run, self.progress = settings, run, progress
        found = find_device(device)
        self.device = torch.device(f"cuda:{found}" if found.isdecimal() else found)
        data = Path(settings.data)
        self.note = describe(check_folder(data))
        # Twice the input is as much as a view zooms in without inventing pixels.
        self.train, self.val = (
            [item.scaled(2 * settings.imgsz) for item in read_folder(data, split, progress)]
            for split in ("train", "val")
        )
        if len(self.train) < settings.batch:
            raise TrainingError(
                f"--batch {settings.batch}: there are only {len(self.train)} training images: "
                f"use {len(self.train)} or less"
            )
        self.pictures = {"train": Pictures(self.train), "val": Pictures(self.val)}
        torch.manual_seed(settings.seed)
        if self.device.type == "cpu":
            torch.set_num_threads(physical_cores())
            keep_memory()
        self.bfloat16 = self.device.type == "cuda" or (self.device.type == "cpu" and has_native_bfloat16())
        self.network = FaceSSD().to(self.device, memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network).eval()
        self.optimizer = torch.optim.AdamW(_groups(self.network), LEARNING_RATE)
        self.epoch, self.step, self.best = 0, 0, -1.0
        self.steps = len(self.train) // settings.batch

    def fit(self) -> Trained:
        """The epochs that are left."""
        began = time.monotonic()
        (self.run / "weights").mkdir(exist_ok=True)
        recall = FaceRecall(math.nan, 1.0, 0)
        while self.epoch < self.settings.epochs:
            started = time.monotonic()
            loss = self._learn()
            self.epoch += 1
            recall = self._validate()
            self._save(recall)
            spent = time.monotonic() - started
            log.info(
                "epoch %d/%d  loss %.3f (scores %.3f, boxes %.3f)  recall at 1 false face an image %.3f%s  %.0f s",
                *(self.epoch, self.settings.epochs, sum(loss), *loss, recall.recall),
                " (best)" if recall.recall >= self.best else "",
                spent,
            )
        return Trained(self.run, self.run / "weights" / "best.pt", recall, time.monotonic() - began)

    def restore(self, content: dict[str, Any]) -> None:
        """Go back to a saved epoch."""
        self.network.load_state_dict(content["network"])
        self.average.load_state_dict(content["average"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.epoch, self.step, self.best = content["epoch"], content["step"], content["best"]

    def _learn(self) -> tuple[float, float]:
        import torch

        from detector.training.face_ssd_network import detection_loss, match

        self.network.train()
        totals = np.zeros(2)
        settings = self.settings
        epoch = batches(
            self.train,
            self.pictures["train"],
            size=settings.imgsz,
            batch=settings.batch,
            mosaics=MOSAICS if self.epoch < (1 - WHOLE_PICTURES) * settings.epochs else 0.0,
            seed=(settings.seed, self.epoch),
        )
        title = f"epoch {self.epoch + 1}/{settings.epochs}"
        for _, views in zip(self.progress(range(self.steps), title), epoch, strict=True):
            for group in self.optimizer.param_groups:
                group["lr"] = _rate(self.step, self.steps * settings.epochs)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
                logits, offsets, priors = self.network(_stack(views, self.device))
            targets = [
                match(*(torch.from_numpy(b).to(self.device) for b in (v.faces, v.ignored)), priors) for v in views
            ]
            losses = detection_loss(logits.float(), offsets.float(), priors, targets)
            if not all(map(math.isfinite, values := [loss.item() for loss in losses])):
                raise RuntimeError("the loss is NaN")
            self.optimizer.zero_grad()
            sum(losses).backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_GRADIENT)
            self.optimizer.step()
            self.step += 1
            self._follow()
            totals += values
        return float(totals[0] / self.steps), float(totals[1] / self.steps)

    def _follow(self) -> None:
        """Move the average towards the network; at first quickly, it starts from untrained weights."""
        import torch

        decay = min(AVERAGE, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, value in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
                if mean.dtype.is_floating_point:
                    mean.lerp_(value, 1 - decay)
                else:
                    mean.copy_(value)

    def _validate(self) -> FaceRecall:
        return measure(_find(self.average, self.val, self.pictures["val"], self.settings.imgsz, self.bfloat16))

    def _save(self, recall: FaceRecall) -> None:
        import torch

        better = not recall.recall < self.best  # NaN, without a face to find, is better than nothing
        if better:
            self.best = recall.recall
        shared = {
            "settings": asdict(self.settings),
            "epoch": self.epoch,
            "average": self.average.state_dict(),
            "recall": asdict(recall),
            "data_note": self.note,
        }
        rest = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "best": self.best,
        }
        for name, content in (("last.pt", shared | rest), ("best.pt", shared)):
            if better or name == "last.pt":
                torch.save(content, buffer := io.BytesIO())
                write_bytes(self.run / "weights" / name, buffer.getvalue())


def _find(
    network: FaceSSD, data: Sequence[Labelled], pictures: Pictures, imgsz: int, bfloat16: bool
) -> Iterator[Found]:
    """What the network finds in each image, seen as the engine will see it."""
    import torch
    from torchvision.ops import nms

    from detector.training.face_ssd_network import STRIDE

    network.eval()
    device = next(network.parameters()).device
    for index, item in enumerate(data):
        picture = pictures[index]
        geometry = Letterbox.fit(picture.shape[:2], imgsz, STRIDE)
        buffer = InputBuffer(geometry)
        buffer.write(picture)
        tensor = torch.from_numpy(buffer.tensor[None]).to(device, memory_format=torch.channels_last)
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            boxes, scores = (output[0] for output in network.detect(tensor))
            surest = scores.topk(min(MOST_CANDIDATES, len(scores))).indices
            surest = surest[scores[surest] >= LEAST_SCORE]
            kept = surest[nms(boxes[surest], scores[surest], SAME_FACE)]
        yield Found(item.xyxy, geometry.restore(boxes[kept].cpu().numpy()), scores[kept].cpu().numpy())


def _stack(views: Sequence[View], device: torch.device) -> torch.Tensor:
    """RGB float32 (B, 3, S, S) in 0..1."""
    import torch

    pixels = torch.from_numpy(np.stack([view.image for view in views])[..., ::-1].copy()).to(device)
    return pixels.permute(0, 3, 1, 2).float().div_(255)


def _tensors(device: torch.device, *arrays: npt.NDArray[np.float32]) -> list[torch.Tensor]:
    import torch

    return [torch.from_numpy(array).to(device) for array in arrays]


def _groups(network: FaceSSD) -> list[dict[str, Any]]:
    """Weights decay; biases and the parameters of norms do not."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _rate(step: int, steps: int) -> float:
    """The learning rate: up in a line, down in a cosine."""
    rise = min(WARM_UP, steps // 5 + 1)
    if step < rise:
        return LEARNING_RATE * (step + 1) / rise
    share = (step - rise) / max(steps - rise, 1)
    return LEARNING_RATE * (LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * share)) / 2)
