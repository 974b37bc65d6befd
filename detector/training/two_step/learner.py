"""What both two-step trainings share: the epochs, the learning rate, the moving average and the checkpoints."""

from __future__ import annotations

import logging
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from detector.data.progress import Progress, silent
from detector.errors import TrainingError
from detector.training.checkpoint import write_two_step
from detector.training.hardware import Hardware
from detector.training.history import Figures, Trained, draw_curves, log_epoch
from detector.training.runs import one_line_errors

__all__ = ["Learner", "ahead", "rgb_tensor"]

log = logging.getLogger(__name__)

T = TypeVar("T")

WEIGHT_DECAY = 5e-4
AVERAGE = 0.998
"""Decay of a moving average for one step: it looks back over 500 steps, three epochs of 3,000 images."""

LAST_RATE = 0.01
"""Share of the peak's learning rate that is left at the end."""


class Learner(ABC):
    """A run in this process: the network that learns, the moving average of its weights, and the optimizer.

    Args:
        settings: a dataclass of plain values, with ``epochs`` and ``seed``; it is saved in each checkpoint.
        run: an existing folder, see :func:`~.runs.new_run`; everything that is written goes there.
        device: auto, cpu, cuda, cuda:1 or mps.
        progress: wraps the steps of an epoch, for a progress bar.

    Raises:
        TrainingError: the data or the device cannot be used.
    """

    kind: ClassVar[str]
    file_name: ClassVar[str]
    settings_type: ClassVar[type]
    size_flag: ClassVar[str] = "--imgsz"
    phase = ""
    note: str
    examples: tuple[Path, ...]
    steps: int

    def __init__(self, settings: Any, run: Path, device: str, progress: Progress = silent) -> None:
        self.settings, self.run, self.progress = settings, run, progress
        self.read_data()
        self.hardware = Hardware(device)
        torch.manual_seed(settings.seed)
        with one_line_errors(run, self.size_flag):
            self.network: Any = self.build().to(self.hardware.device).to(memory_format=torch.channels_last)
            self.average: Any = AveragedModel(self.network, multi_avg_fn=_follow, use_buffers=True).eval()
        self.optimizer = torch.optim.AdamW(_groups(self.network.parameters()))
        self.history: list[Figures] = []
        self.best = -1.0

    @abstractmethod
    def read_data(self) -> None:
        """Set ``steps`` of an epoch, ``note`` and ``examples``, and what else the training reads."""

    @abstractmethod
    def build(self) -> nn.Module:
        """The network; it has ``start_from`` for ImageNet's weights."""

    @abstractmethod
    def learn(self, epoch: int) -> Figures:
        """One epoch, counted from 0; the mean losses."""

    @abstractmethod
    def validate(self) -> tuple[Figures, Any]:
        """The average's figures on the validation data, the score last, and the report."""

    def entries(self) -> dict[str, Any]:
        """What a checkpoint holds besides."""
        return {}

    def start(self, weights: dict[str, torch.Tensor]) -> Trained:
        """Train from ImageNet's weights; one log line for each epoch, and a checkpoint after each.

        Raises:
            TrainingError: memory or disk do not suffice.
            SourceError: an image cannot be read.
            KeyboardInterrupt: Ctrl-C; the checkpoint of the last whole epoch is kept.
        """
        self.network.start_from(weights)
        self.average.update_parameters(self.network)  # the first time it copies
        return self._fit()

    def go_on(self, content: dict[str, Any]) -> Trained:
        """Train on from a last.pt, as for :meth:`start`; a finished run is only measured again."""
        if any(content[key] != value for key, value in self.entries().items()):
            raise TrainingError(f"{self.run}: the data are not those that it began with: start a new training")
        self.network.load_state_dict(content["network"])
        self.average.module.load_state_dict(content["average"])
        self.average.n_averaged.fill_(content["step"] + 1)
        self.optimizer.load_state_dict(content["optimizer"])
        self.best, self.history = content["best"], content["history"]
        return self._fit()

    @property
    def step(self) -> int:
        """How many steps were taken."""
        return int(self.average.n_averaged) - 1

    def one_epoch(self, epoch: int, batches: Iterable[T]) -> Iterator[T]:
        """The batches of an epoch, under a progress bar."""
        torch.manual_seed(self.settings.seed * 10_000 + epoch)  # dropout, the same in a run that is resumed
        self.network.train()
        title = f"epoch {epoch + 1}/{self.settings.epochs}"
        for _, batch in zip(self.progress(range(self.steps), title), batches, strict=True):
            yield batch

    def advance(self, loss: torch.Tensor, learning_rate: float, largest_gradient: float = math.inf) -> float:
        """One step against the gradient of ``loss``, whose norm is cut to ``largest_gradient``; returns the loss."""
        if not math.isfinite(value := loss.item()):
            raise RuntimeError("the loss is NaN")
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        if math.isfinite(largest_gradient):
            nn.utils.clip_grad_norm_(self.network.parameters(), largest_gradient)
        self.optimizer.step()
        self.average.update_parameters(self.network)
        return value

    def _fit(self) -> Trained:
        """The epochs that are left, the report of the best, and the picture."""
        began = time.monotonic()
        (self.run / "weights").mkdir(exist_ok=True)
        log.info("%s", self.note)
        with one_line_errors(self.run, self.size_flag):
            for epoch in range(len(self.history), self.settings.epochs):
                started = time.monotonic()
                figures = self.learn(epoch) | self.validate()[0]
                self.history.append(figures)
                best = self._save(list(figures.values())[-1])
                seconds = time.monotonic() - started
                log_epoch(epoch + 1, self.settings.epochs, figures, seconds, best=best, note=self.phase)
            best_file, curves = self.run / "weights" / "best.pt", self.run / "curves.png"
            self.average.module.load_state_dict(torch.load(best_file, weights_only=True)["average"])
            _, report = self.validate()
            draw_curves(self.history, curves)
        seconds = time.monotonic() - began
        return Trained(self.file_name, self.run, best_file, report, curves, self.examples, self.note, seconds)

    def _save(self, score: float) -> bool:
        """Write last.pt of an epoch, and best.pt (smaller: it need not go on) if no epoch scored higher.

        Returns:
            Whether it is the best so far. NaN, a score of nothing, is.
        """
        better = not score < self.best
        self.best = score if better else self.best
        shared = {
            "kind": self.kind,
            "settings": asdict(self.settings),
            "data_note": self.note,
            "average": self.average.module.state_dict(),
            **self.entries(),
        }
        rest = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "best": self.best,
            "history": self.history,
        }
        write_two_step(self.run / "weights" / "last.pt", shared | rest)
        if better:
            write_two_step(self.run / "weights" / "best.pt", shared)
        return better


def rgb_tensor(pixels: npt.NDArray[np.uint8]) -> torch.Tensor:
    """BGR uint8 (B, H, W, 3) as RGB float32 (B, 3, H, W) in 0..1."""
    return torch.from_numpy(pixels[..., ::-1].copy()).permute(0, 3, 1, 2).float().div_(255)


def ahead(prepare: Callable[[int], T], starts: Iterable[int]) -> Iterator[T]:
    """``map(prepare, starts)``, one ahead: the next batch is prepared in a thread while the last one is learnt."""
    with ThreadPoolExecutor(1) as pool:
        coming = None
        for start in starts:
            coming, ready = pool.submit(prepare, start), coming
            if ready:
                yield ready.result()
        if coming:
            yield coming.result()


def rate(step: int, steps: int, warm_up: int) -> float:
    """The learning rate as a share of its peak: up in a line over ``warm_up`` steps, then down in a cosine."""
    rise = min(warm_up, steps // 5 + 1)
    if step < rise:
        return (step + 1) / rise
    share = (step - rise) / max(steps - rise, 1)
    return LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * share)) / 2


def _groups(parameters: Iterable[nn.Parameter]) -> list[dict[str, Any]]:
    """The optimizer's groups for the parameters that are trained: weights decay, biases and norms do not."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _follow(averages: Sequence[torch.Tensor], values: Sequence[torch.Tensor], count: torch.Tensor | int) -> None:
    """Move the average towards the network; in the first steps quickly, it starts from what is not trained yet."""
    decay = min(AVERAGE, (1 + int(count)) / (10 + int(count)))
    for mean, value in zip(averages, values, strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)
