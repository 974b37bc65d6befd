"""The two-step engine's first step: what ``--faces`` can name, and the function that loads it."""

from __future__ import annotations

from typing import Any

from detector.engines.face_finders.base import FaceFinder, Faces
from detector.engines.face_finders.haar import HaarFinder
from detector.engines.face_finders.res10 import CaffeRes10Finder, Res10Finder
from detector.engines.face_finders.ssd import SsdFinder
from detector.engines.weights import FACE_WEIGHTS, default_weights, existing
from detector.errors import ModelError

__all__ = ["FaceFinder", "Faces", "HaarFinder", "Res10Finder", "SsdFinder", "load_finder"]


def load_finder(spec: str = "ssd", *, imgsz: int | None = None, **options: Any) -> FaceFinder:
    """A face finder as ``--faces`` names it: ``ssd``, ``ssd=FILE``, ``res10=FILE`` or ``haar``.

    Args:
        spec: its name.
        imgsz: the image's longer side in the network, px; for ``ssd``.
        options: conf, iou, device and threads of :class:`FaceFinder`.

    Raises:
        ModelError: the finder is unknown, its file is missing or of another kind, OpenCV cannot run it, or ``imgsz``
            does not apply to it.
        ProviderError: the device cannot be had.
    """
    kind, given, file = spec.partition("=")
    if kind in {"res10", "haar"} and imgsz:
        raise ModelError(f"--imgsz {imgsz}: the face finder {kind} has its own size: leave it out, or use --faces ssd")
    if kind == "ssd" and (file or not given):
        remedy = "make it with mask-detector train --engine two-step --finder, or name another face finder"
        return SsdFinder(existing(file or default_weights(FACE_WEIGHTS), remedy), imgsz=imgsz, **options)
    if kind == "res10" and file:
        path = existing(file, "name OpenCV's res10 network, as .onnx or .caffemodel, with --faces res10=FILE")
        return (CaffeRes10Finder if path.suffix.lower() == ".caffemodel" else Res10Finder)(path, **options)
    if kind == "haar" and not given:
        return HaarFinder(**options)
    raise ModelError(f"--faces {spec} is not known: use ssd, ssd=FILE, res10=FILE (its .onnx or .caffemodel) or haar")
