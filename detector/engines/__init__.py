"""The engines, and the function that loads one."""

from __future__ import annotations

from pathlib import Path

from detector.defaults import DEFAULT_CONF, DEFAULT_IOU, ENGINES
from detector.engines.image_network import Engine
from detector.engines.single_stage import SingleStage
from detector.engines.weights import CLASSIFIER_WEIGHTS, DEFAULT_WEIGHTS, default_weights, existing, named
from detector.errors import ModelError

__all__ = ["DEFAULT_CONF", "DEFAULT_WEIGHTS", "ENGINES", "Engine", "SingleStage", "default_weights", "load_engine"]


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
        weights: the network, or the two-step engine's classifier: a file, or a name in :data:`~.weights.SHIPPED`.
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
    iou = DEFAULT_IOU[name] if iou is None else iou
    weights = named(weights) if weights else None
    if name == "single-stage":
        if faces != "ssd":
            raise ModelError(f"--faces {faces}: {name} finds faces by itself: leave it out, or use --engine two-step")
        return SingleStage(
            weights or default_weights(),
            conf=conf,
            iou=iou,
            imgsz=imgsz,
            device=device,
            threads=threads,
            one_class=one_class,
        )
    from detector.engines.classifier import MaskClassifier  # here: most programs never need these
    from detector.engines.face_finders import load_finder
    from detector.engines.two_step import TwoStep

    path = existing(
        weights or default_weights(CLASSIFIER_WEIGHTS),
        "train it with mask-detector train --engine two-step, or name another mask classifier",
    )
    classifier = MaskClassifier(path, device=device, threads=threads)
    conf = classifier.session.metadata.conf if conf is None else conf
    finder = load_finder(faces, conf=conf, iou=iou, imgsz=imgsz, device=device, threads=threads)
    return TwoStep(classifier, finder, one_class=one_class)
