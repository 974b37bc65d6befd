"""Write into a network's file what makes its confidences mean something, and the threshold that suits them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from detector.detections import CLASSES
from detector.engines.calibration import Calibration
from detector.engines.metadata import ModelMetadata
from detector.errors import MissingExtraError
from detector.evaluation.text import number
from detector.files import write_late
from detector.scoring import Matches, best_threshold, calibration_error, fit, recalibrated, reliability

__all__ = ["calibrate", "import_onnx", "uncalibrated"]


def import_onnx() -> None:
    """Raise MissingExtraError where onnx is not installed: better now than after minutes of finding faces."""
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("onnx", "train") from error


def uncalibrated(network: Path) -> bytes:
    """A network whose confidences are its own scores, as other programs see them.

    Raises:
        MissingExtraError: onnx is not installed.
    """
    import_onnx()
    import onnx

    model = onnx.load(network)
    entries = {entry.key: entry.value for entry in model.metadata_props if entry.key != "calibration"}
    onnx.helper.set_model_props(model, entries)
    return bytes(model.SerializeToString())


def calibrate(network: Path, out: Path, matches: Matches, *, replace: bool = False) -> str:
    """Write a copy of a single-stage network with a calibration and a default threshold.

    Args:
        network: the ONNX file; a calibration that it has already is replaced.
        out: the copy; may be the same file.
        replace: ``out`` may be there already.
        matches: what the network, with its own calibration, found in labelled images down to a low confidence.

    Returns:
        One line about it.

    Raises:
        AnnotationError: the images do not suffice, see :func:`detector.scoring.fit`.
        OutputError: ``out`` cannot be written.
        MissingExtraError: onnx is not installed.
    """
    import_onnx()
    import onnx

    model = onnx.load(network)
    entries = {entry.key: entry.value for entry in model.metadata_props}
    metadata = ModelMetadata.parse(entries, str(network))
    order = [CLASSES.index(name) for name in metadata.names]
    scores = matches
    if metadata.calibration:
        own = Calibration(metadata.calibration.weights[np.argsort(order)])
        scores = recalibrated(matches, own.scores)
    fitted = fit(scores)
    after = recalibrated(scores, fitted)
    conf = best_threshold(after) or metadata.conf
    entries |= {"calibration": str(Calibration(fitted.weights[order])), "conf": f"{conf:g}"}
    onnx.helper.set_model_props(model, entries)
    write_late(out, model.SerializeToString(), replace=replace)
    before, now = (calibration_error(reliability(each, conf)) for each in (matches, after))
    return (
        f"{out}: calibrated; expected calibration error on these images, from {conf:g} up: {number(before)} before, "
        f"{number(now)} now; default threshold {conf:g}, the best"
    )
