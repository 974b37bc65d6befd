"""The one door to every engine: the protocol they keep, and the function that loads one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np
import numpy.typing as npt

from detector.detections import Detections
from detector.engines.single_stage import SingleStage
from detector.errors import ModelError

__all__ = ["DEFAULT_WEIGHTS", "ENGINES", "Engine", "SingleStage", "default_weights", "load_engine"]

ENGINES = ("single-stage",)
DEFAULT_WEIGHTS = "mask_detector.onnx"


class Engine(Protocol):
    """What run, evaluate and the demo need of an engine."""

    conf: float

    def __call__(self, image: npt.NDArray[np.uint8]) -> Detections:
        """The faces in one BGR uint8 (H, W, 3) image."""

    def batch(self, images: Sequence[npt.NDArray[np.uint8]]) -> list[Detections]:
        """The faces in several images."""

    def close(self) -> None:
        """Free the network's memory."""

    def __enter__(self) -> Engine: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def load_engine(
    name: str = "single-stage",
    *,
    weights: str | Path | None = None,
    conf: float = 0.25,
    iou: float = 0.6,
    imgsz: int | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> Engine:
    """An engine by name, with the shipped weights where none are named.

    Raises:
        ModelError: the engine is unknown, or its network is missing or of another kind.
        ProviderError: the device cannot be had.
    """
    if name not in ENGINES:
        raise ModelError(f"--engine {name} is not known: use {' or '.join(ENGINES)}")
    return SingleStage(weights or default_weights(), conf=conf, iou=iou, imgsz=imgsz, device=device, threads=threads)


def default_weights() -> Path:
    """The shipped network: ``weights/`` of a clone, or the copy inside an installed package."""
    package = Path(__file__).resolve().parents[1]
    clone, installed = package.parent / "weights" / DEFAULT_WEIGHTS, package / "weights" / DEFAULT_WEIGHTS
    return installed if installed.is_file() and not clone.is_file() else clone
