"""The one door to every engine: the protocol they keep, and the function that loads one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np
import numpy.typing as npt

from detector.defaults import DEFAULT_CONF, ENGINES
from detector.detections import Detections
from detector.engines.single_stage import SingleStage
from detector.engines.weights import CLASSIFIER_WEIGHTS, DEFAULT_WEIGHTS, default_weights, existing
from detector.errors import ModelError

__all__ = ["DEFAULT_CONF", "DEFAULT_WEIGHTS", "ENGINES", "Engine", "SingleStage", "default_weights", "load_engine"]

SINGLE_STAGE_IOU = 0.6


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
    faces: str = "ssd",
    conf: float | None = None,
    iou: float | None = None,
    imgsz: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    one_class: bool = True,
) -> Engine:
    """An engine by name, with the shipped weights where none are named.

    Args:
        name: one of :data:`ENGINES`.
        weights: the network, or the two-step engine's classifier.
        faces: what finds the faces of the two-step engine: ``ssd``, ``ssd=FILE``, ``res10=FILE`` or ``haar``.
        conf: faces that are less sure than this are dropped, 0 to 1; by default what the network's file names, or
            :data:`DEFAULT_CONF`.
        iou: of two boxes that overlap more than this, the surer stays; by default what suits the engine.
        imgsz: the image's longer side in the network that finds faces, px; the size of its training by default.
        device: see :class:`~detector.engines.session.OnnxSession`.
        threads: CPU threads; the cores this process may use by default.
        one_class: a face has one class. False keeps both, each with its own confidence: for average precision.

    Raises:
        ModelError: the engine is unknown, or a network is missing or of another kind.
        ProviderError: the device cannot be had.
    """
    if name not in ENGINES:
        raise ModelError(f"--engine {name} is not known: use {' or '.join(ENGINES)}")
    if name == "two-step":
        return _two_step(
            weights, faces, conf=conf, iou=iou, imgsz=imgsz, device=device, threads=threads, one_class=one_class
        )
    if faces != "ssd":
        raise ModelError(f"--faces {faces}: {name} finds faces by itself: leave it out, or use --engine two-step")
    return SingleStage(
        weights or default_weights(), conf=conf, iou=SINGLE_STAGE_IOU if iou is None else iou, imgsz=imgsz,
        device=device, threads=threads, one_class=one_class,
    )  # fmt: skip


def _two_step(
    weights: str | Path | None,
    faces: str,
    *,
    conf: float | None,
    iou: float | None,
    imgsz: int | None,
    device: str,
    threads: int | None,
    one_class: bool,
) -> Engine:
    from detector.engines.classifier import MaskClassifier  # here: most programs never need these
    from detector.engines.face_finders import IOU, load_finder
    from detector.engines.two_step import TwoStep

    path = existing(
        weights or default_weights(CLASSIFIER_WEIGHTS),
        "train it with python -m detector.train --engine two-step, or name another mask classifier",
    )
    classifier = MaskClassifier(path, device=device, threads=threads)
    finder = load_finder(
        faces, conf=classifier.session.metadata.conf if conf is None else conf, iou=IOU if iou is None else iou,
        imgsz=imgsz, device=device, threads=threads,
    )  # fmt: skip
    return TwoStep(classifier, finder, one_class=one_class)
