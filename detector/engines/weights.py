"""Where the networks of this project lie."""

from __future__ import annotations

from pathlib import Path

from detector.errors import ModelError

__all__ = ["CLASSIFIER_WEIGHTS", "DEFAULT_WEIGHTS", "FACE_WEIGHTS", "SHIPPED", "default_weights", "existing", "named"]

DEFAULT_WEIGHTS = "mask_detector.onnx"
SHIPPED = {"nano": DEFAULT_WEIGHTS, "pico": "pico.onnx"}
"""The single-stage networks by the names that ``--weights`` knows; the first one is used where nobody names any."""

FACE_WEIGHTS = "face_ssd.onnx"
CLASSIFIER_WEIGHTS = "mask_classifier.onnx"


def default_weights(name: str = DEFAULT_WEIGHTS) -> Path:
    """The shipped network ``name``: in ``weights/`` of a clone, or the copy inside an installed package."""
    package = Path(__file__).resolve().parents[1]
    clone, installed = package.parent / "weights" / name, package / "weights" / name
    return installed if installed.is_file() and not clone.is_file() else clone


def named(weights: str | Path) -> Path:
    """The file that ``--weights`` means: a path, or the name of a shipped network. A file of that name wins."""
    name = SHIPPED.get(str(weights))
    return default_weights(name) if name and not Path(weights).is_file() else Path(weights)


def existing(path: str | Path, remedy: str) -> Path:
    """The path, if a file is there.

    Raises:
        ModelError: it is not; the message ends in ``remedy``.
    """
    if not Path(path).is_file():
        raise ModelError(f"{path}: no such file: {remedy}")
    return Path(path)
