"""The two-step engine's first step: what ``--faces`` can name, and the function that loads it."""

from __future__ import annotations

from detector.engines.face_finders.base import IOU, FaceFinder, Faces
from detector.engines.face_finders.haar import HaarFinder
from detector.engines.face_finders.res10 import Res10Finder
from detector.engines.face_finders.ssd import SsdFinder
from detector.engines.session import DEFAULT_CONF
from detector.engines.weights import FACE_WEIGHTS, default_weights, existing
from detector.errors import ModelError

__all__ = ["IOU", "FaceFinder", "Faces", "HaarFinder", "Res10Finder", "SsdFinder", "load_finder"]


def load_finder(
    spec: str = "ssd",
    *,
    conf: float = DEFAULT_CONF,
    iou: float = IOU,
    imgsz: int | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> FaceFinder:
    """A face finder as ``--faces`` names it: ``ssd``, ``ssd=FILE``, ``res10=FILE`` or ``haar``.

    Raises:
        ModelError: the finder is unknown, its file is missing or of another kind, OpenCV cannot run it, or ``imgsz``
            does not apply to it.
        ProviderError: the device cannot be had.
    """
    kind, given, file = spec.partition("=")
    if kind in {"res10", "haar"} and imgsz:
        raise ModelError(f"--imgsz {imgsz}: the face finder {kind} has its own size: leave it out, or use --faces ssd")
    if kind == "ssd" and (file or not given):
        path = existing(
            file or default_weights(FACE_WEIGHTS),
            "make it with python tools/train_face_ssd.py, or name another face finder with --faces",
        )
        return SsdFinder(path, conf=conf, iou=iou, imgsz=imgsz, device=device, threads=threads)
    if kind == "res10" and file:
        return Res10Finder(file, conf=conf, iou=iou, device=device, threads=threads)
    if kind == "haar" and not given:
        return HaarFinder(conf=conf, iou=iou, device=device, threads=threads)
    raise ModelError(f"--faces {spec} is not known: use ssd, ssd=FILE, res10=FILE (its .onnx or .caffemodel) or haar")
