"""What the two-step networks' trainings share: device, learning rate, moving average, checkpoints."""

from __future__ import annotations

import copy
import io
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from detector._heap import keep_memory
from detector.errors import MissingExtraError, TrainingError
from detector.files import write_file
from detector.training.cpu import has_native_bfloat16, physical_cores
from detector.training.hardware import find_device

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = [
    "Hardware",
    "Learner",
    "load_checkpoint",
    "rate",
    "require_torchvision",
]

Network = TypeVar("Network", bound="nn.Module")

WEIGHT_DECAY = 5e-4
AVERAGE = 0.998
"""Decay of a moving average for one step: it looks back over 500 steps, three epochs of 3,000 images."""

LAST_RATE = 0.01
"""Share of the peak's learning rate that is left at the end."""


def require_torchvision() -> None:
    """Say how to install what a training needs, where it is missing.

    Raises:
        MissingExtraError: torchvision or torch cannot be imported.
    """
    try:
        import torchvision  # noqa: F401 # only to see that it is there
    except ImportError as error:
        raise MissingExtraError("torchvision", "train") from error


class Hardware:
    """Where a training runs, set up to run fast.

    Args:
        name: auto, cpu, cuda, cuda:1 or mps.

    Attributes:
        device: torch's.
        bfloat16: whether layers are best computed in it.

    Raises:
        TrainingError: the device is not there.
    """

    def __init__(self, name: str) -> None:
        import torch

        found = find_device(name)
        self.device = torch.device(f"cuda:{found}" if found.isdecimal() else found)
        self.bfloat16 = self.device.type == "cuda"
        if self.device.type == "cpu":
            torch.set_num_threads(physical_cores())
            keep_memory()
            self.bfloat16 = has_native_bfloat16()

    def autocast(self) -> torch.autocast:
        """Within it, layers compute in bfloat16 where that is faster; the weights stay float32."""
        import torch

        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16)


class Learner(Generic[Network]):
    """What learns in a run: the network, the moving average of its weights, and the optimizer.

    Args:
        network: is moved to the hardware.
        hardware: where it learns.

    Attributes:
        average: the average, never in training mode.
        step: how many steps were taken.
        best: the best score of an epoch so far.
    """

    def __init__(self, network: Network, hardware: Hardware) -> None:
        import torch

        self.network = network.to(hardware.device).to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network).eval()
        self.optimizer = torch.optim.AdamW(_groups(self.network.parameters()))
        self.step, self.best = 0, -1.0

    def begin(self) -> None:
        """The average starts from the network's weights as they are now."""
        self.average.load_state_dict(self.network.state_dict())

    def advance(self, loss: torch.Tensor, learning_rate: float, largest_gradient: float = math.inf) -> None:
        """One step against the gradient of ``loss``, whose norm is cut to ``largest_gradient``."""
        import torch

        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        if math.isfinite(largest_gradient):
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), largest_gradient)
        self.optimizer.step()
        self.step += 1
        _follow(self.average, self.network, self.step)

    def save(self, run: Path, score: float, entries: dict[str, Any]) -> bool:
        """Write last.pt of an epoch, and best.pt (smaller: it need not go on) if no epoch scored higher.

        Returns:
            Whether it is the best so far. NaN, a score of nothing, is.

        Raises:
            OutputError: they cannot be written.
        """
        better = not score < self.best
        self.best = score if better else self.best
        shared = entries | {"average": self.average.state_dict()}
        rest = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "best": self.best,
        }
        _save_checkpoint(run / "weights" / "last.pt", shared | rest)
        if better:
            _save_checkpoint(run / "weights" / "best.pt", shared)
        return better

    def restore(self, content: dict[str, Any]) -> None:
        """Go back to a last.pt."""
        self.network.load_state_dict(content["network"])
        self.average.load_state_dict(content["average"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.step, self.best = content["step"], content["best"]


def _groups(parameters: Iterable[nn.Parameter]) -> list[dict[str, Any]]:
    """The optimizer's groups for the parameters that are trained: weights decay, biases and norms do not."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]


def rate(step: int, steps: int, warm_up: int) -> float:
    """The learning rate as a share of its peak: up in a line over ``warm_up`` steps, then down in a cosine."""
    rise = min(warm_up, steps // 5 + 1)
    if step < rise:
        return (step + 1) / rise
    share = (step - rise) / max(steps - rise, 1)
    return LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * share)) / 2


def _follow(average: nn.Module, network: nn.Module, step: int) -> None:
    """Move the average towards the network; in the first steps quickly, it starts from what is not trained yet."""
    import torch

    decay = min(AVERAGE, (1 + step) / (10 + step))
    with torch.no_grad():
        for mean, value in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
            if mean.dtype.is_floating_point:
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)


def _save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values; the file appears whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    import torch

    torch.save(content, buffer := io.BytesIO())
    write_file(path, buffer.getvalue(), replace=True)


def load_checkpoint(path: Path, kind: str) -> dict[str, Any]:
    """Read what :meth:`Learner.save` wrote; runs no code from the file.

    Args:
        path: the file.
        kind: the entry "kind" that it must have.

    Raises:
        TrainingError: it is missing, damaged, or of another training.
    """
    import torch

    if not path.is_file():
        raise TrainingError(f"{path}: no checkpoint there: start a new training")
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        right = content["kind"] == kind
    except Exception as error:  # a damaged pickle raises nearly anything
        raise TrainingError(f"{path}: damaged, or no checkpoint of a {kind}: start a new training") from error
    if not right:
        raise TrainingError(f"{path}: a checkpoint of a {content['kind']}, not of a {kind}: name another run")
    return content
