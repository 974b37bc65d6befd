"""Finds faces in a picture and says which wear a mask: one network, one pass, onnxruntime only."""

from detector.detections import CLASSES, Detections
from detector.errors import DetectorError

__all__ = ["CLASSES", "Detections", "DetectorError", "__version__"]

__version__ = "0.1.0"
