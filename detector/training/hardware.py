"""The device that a training runs on, set up to run fast."""

from __future__ import annotations

import logging
import os

import psutil  # comes with ultralytics
import torch

from detector._heap import keep_memory
from detector.errors import TrainingError

__all__ = ["Hardware", "find_device", "has_native_bfloat16", "physical_cores", "set_up_cpu"]

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
            set_up_cpu()
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


def set_up_cpu() -> None:
    """Use every core that the process may use, and keep memory from step to step."""
    torch.set_num_threads(physical_cores())
    keep_memory()


def physical_cores() -> int:
    """Cores that this process may use; two hardware threads of one core slow matrix products down."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, psutil.cpu_count(logical=False) or allowed))


def has_native_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 itself (AVX512-BF16 or AMX); an emulation is slower than float32."""
    # torch.ops.mkldnn._is_mkldnn_bf16_supported() is no answer: it also says yes to the emulation on plain AVX-512.
    # AMX processors have AVX512-BF16 too. The public get_capabilities() is younger than the oldest torch allowed here.
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(supported and supported())
