"""The device that a training runs on, set up to run fast.

On a CPU four things make training faster than ultralytics does it alone, none of which changes what is saved: all cores
that the process may use (ultralytics leaves one idle: of two cores that is half the speed), tensors in channels-last
order (oneDNN's convolutions need no reordering then: 14 % less CPU time for a step of yolo26n at 416 px), bfloat16 for
the layers where the processor computes it natively (with it, 42 % less), and memory that is kept from step to step
(another 11 % less). Weights, their moving average, the loss and the optimizer stay float32, so a checkpoint is what
any other ultralytics run writes.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import psutil  # comes with ultralytics
import torch

from detector._heap import keep_memory
from detector.cores import available_cores
from detector.errors import TrainingError

if TYPE_CHECKING:
    from ultralytics.engine.trainer import BaseTrainer

__all__ = ["Float32Loss", "Hardware", "accelerate", "find_device", "has_native_bfloat16", "physical_cores"]

log = logging.getLogger(__name__)


class Hardware:
    """Where a two-step network learns.

    Args:
        name: auto, cpu, cuda, cuda:1 or mps.

    Attributes:
        device: torch's.
        bfloat16: whether layers are best computed in it.

    Raises:
        TrainingError: the device is not there.
    """

    def __init__(self, name: str) -> None:
        found = find_device(name)
        self.device = torch.device(f"cuda:{found}" if found.isdecimal() else found)
        self.bfloat16 = self.device.type == "cuda"
        if self.device.type == "cpu":
            _set_up_cpu()
            self.bfloat16 = has_native_bfloat16()

    def autocast(self) -> torch.autocast:
        """Within it, layers compute in bfloat16 where that is faster; the weights stay float32."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16)


def find_device(device: str) -> str:
    """Translate our device name for ultralytics, after looking whether it is there.

    Raises:
        TrainingError: it is not, or there is no such name.
    """
    kind, _, number = device.lower().partition(":")
    if kind not in {"auto", "cpu", "cuda", "mps"} or (number and not (kind == "cuda" and number.isdecimal())):
        raise TrainingError(f"--device {device} is not known: use auto, cpu, cuda, cuda:1 or mps")
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        log.info("training on %s", kind.upper())
    if kind == "cuda":
        if torch.cuda.device_count() <= int(number or 0):
            raise TrainingError(
                f"--device {device}: torch finds {torch.cuda.device_count()} CUDA devices: use --device cpu, or "
                "install a torch built for CUDA"
            )
        return number or "0"
    if kind == "mps" and not torch.backends.mps.is_available():
        raise TrainingError(f"--device {device}: torch finds no Apple GPU: use --device cpu")
    return kind


def _set_up_cpu() -> None:
    """Use every core that the process may use, and keep memory from step to step."""
    torch.set_num_threads(physical_cores())
    keep_memory()


def physical_cores() -> int:
    """Cores that this process may use; two hardware threads of one core slow matrix products down."""
    allowed = available_cores()
    return max(1, min(allowed, psutil.cpu_count(logical=False) or allowed))


def has_native_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 itself (AVX512-BF16 or AMX); an emulation is slower than float32."""
    # torch.ops.mkldnn._is_mkldnn_bf16_supported() is no answer: it also says yes to the emulation on plain AVX-512.
    # AMX processors have AVX512-BF16 too. The public get_capabilities() is younger than the oldest torch allowed here.
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(supported and supported())


class Float32Loss:
    """A criterion that computes in float32 whatever the precision of the layers before it.

    In bfloat16, with 8 bits of mantissa, box edges and the assigner's overlaps would be rounded to whole pixels.
    """

    def __init__(self, criterion: Any) -> None:
        self.criterion = criterion

    def __call__(self, preds: Any, batch: dict[str, Any]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The loss, and its parts by name, as the wrapped criterion returns them."""
        with torch.autocast("cpu", enabled=False):
            loss: tuple[torch.Tensor, dict[str, torch.Tensor]] = self.criterion(_to_float32(preds), batch)
        return loss

    def update(self) -> None:
        """At the end of an epoch: the weights of the two heads' losses shift."""
        if hasattr(self.criterion, "update"):
            self.criterion.update()


def accelerate(trainer: BaseTrainer) -> None:
    """Prepare a trainer that is set up and has not begun its first step; does nothing unless it trains on the CPU."""
    if trainer.device.type != "cpu":
        return
    _set_up_cpu()
    # The moving average gets the same order, or its update would fall back from one kernel to one per tensor.
    for network in (trainer.model, trainer.ema.ema):
        network.to(memory_format=torch.channels_last)
    if has_native_bfloat16():
        network = trainer.model
        network.criterion = Float32Loss(getattr(network, "criterion", None) or network.init_criterion())
        trainer.amp = True  # the loop's autocast, which on a CPU means bfloat16; no gradient scaling is needed for it


def _to_float32(value: Any) -> Any:
    """The same nest of dicts, lists and tuples with its tensors in float32."""
    if isinstance(value, dict):
        return {key: _to_float32(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_to_float32, value))
    return value.float()
