"""Finds faces in a picture and says which wear a mask: one network, one pass, onnxruntime only.

``from detector import load_engine`` is the way in: ``load_engine()(image)`` are the faces of a BGR image. What is
listed in ``__all__`` is loaded when it is first asked for, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from detector.detections import CLASSES, Detections
    from detector.engines import load_engine
    from detector.errors import DetectorError

__all__ = ["CLASSES", "Detections", "DetectorError", "__version__", "load_engine"]

__version__ = "0.1.0"

_HOMES = {
    "CLASSES": "detector.detections",
    "Detections": "detector.detections",
    "DetectorError": "detector.errors",
    "load_engine": "detector.engines",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
