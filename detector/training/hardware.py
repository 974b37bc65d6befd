"""The device that a training runs on."""

from __future__ import annotations

import logging

from detector.errors import TrainingError

__all__ = ["find_device"]

log = logging.getLogger(__name__)


def find_device(device: str) -> str:
    """Our name of a device as ultralytics calls it, after looking whether it is there."""
    import torch

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
