"""Whether confidences mean what they say: of the faces shown at 80 %, are 80 % right? And what makes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from detector.detections import CLASSES
from detector.engines.calibration import Calibration, features
from detector.engines.session import OnnxSession
from detector.errors import AnnotationError, require_extra
from detector.files import write_late
from detector.scoring.matching import Matches, best_threshold

__all__ = [
    "Bin",
    "calibrate",
    "calibration_error",
    "fit",
    "logistic",
    "recalibrated",
    "reliability",
    "uncalibrated",
]

BINS = 10
FITTED_FROM = 0.02
"""Less sure faces are not fitted to: there are more of them than of all others, and nobody is shown them."""

LEAST_EACH = 20
"""Right faces, and as many others, that a class must have to be fitted."""

Floats = npt.NDArray[np.float64]
Confidences = npt.NDArray[np.float32]
Classes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Bin:
    """The faces of a tenth of all confidences.

    Args:
        faces: how many.
        confidence: their mean.
        right: the share of them that is a labelled face of this class.
    """

    faces: int
    confidence: float
    right: float


def reliability(matches: Matches, conf: float, classes: Sequence[str] = CLASSES) -> tuple[Bin, ...]:
    """The tenths, from the least sure, that have faces of these classes from ``conf`` up."""
    confidence, class_id, right = _shown(matches)
    chosen = (confidence >= conf) & np.isin(class_id, [CLASSES.index(name) for name in classes])
    confidence, right = confidence[chosen], right[chosen]
    tenth = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return tuple(
        Bin(int((tenth == i).sum()), float(confidence[tenth == i].mean()), float(right[tenth == i].mean()))
        for i in np.unique(tenth)
    )


def calibration_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error (Guo and others, 2017): how far a face's confidence is off; NaN without faces."""
    faces = sum(each.faces for each in bins)
    return sum(each.faces * abs(each.confidence - each.right) for each in bins) / faces if faces else math.nan


def fit(matches: Matches) -> Calibration:
    """What makes the confidence of each of ``CLASSES`` the share that is right.

    Args:
        matches: what is shown in labelled images, down to a low confidence, with the network's own scores.

    Raises:
        AnnotationError: there are too few faces, or the surer ones are not more often right.
    """
    confidence, class_id, right = _shown(matches)
    weights = []
    for index, name in enumerate(CLASSES):
        chosen = (class_id == index) & (confidence >= FITTED_FROM)
        true, others = int(right[chosen].sum()), int((~right[chosen]).sum())
        if min(true, others) < LEAST_EACH:
            raise AnnotationError(
                f"{true} right and {others} other boxes {name} are too few to calibrate by: use images with "
                f"{LEAST_EACH} of each"
            )
        points = features(confidence[chosen].clip(1e-6, 1 - 1e-6))
        low, high, offset = logistic(points, right[chosen], start=(1, 1, 0))
        if min(low, high) <= 0:  # faces of few different scores: they do not tell two slopes
            slope, offset = logistic(np.stack([points[:, :2].sum(axis=1), points[:, 2]], axis=1), right[chosen], (1, 0))
            low = high = slope
        if low <= 0:
            raise AnnotationError(f"the surer boxes {name} are not more often right: check labels and --weights")
        weights.append((low, high, offset))
    return Calibration(np.array(weights))


def recalibrated(matches: Matches, change: Callable[[Confidences, Classes], Confidences]) -> Matches:
    """The same matches with other confidences: what ``change`` makes of these and of the classes (in ``CLASSES``)."""
    confidence = change(matches.confidence.clip(0), matches.found)
    return replace(
        matches,
        confidence=np.where(matches.confidence < 0, matches.confidence, confidence),
        false_confidence=change(matches.false_confidence, matches.false),
    )


def logistic(points: Floats, true: npt.NDArray[np.bool_], start: Sequence[float]) -> list[float]:
    """Weights (K,) of the logistic curve through 0s and 1s at ``points`` (N, K), by Newton's method.

    A weak pull towards ``start`` and towards a curve from 0.01 to 0.99 (Platt, 1999) decides what the points leave
    open, as when all are alike.
    """
    positive, negative = int(true.sum()), int((~true).sum())
    target = np.where(true, (positive + 1) / (positive + 2), 1 / (negative + 2))
    weights, pull = np.array(start, np.float64), 0.01
    for _ in range(50):
        chance = 1 / (1 + np.exp(-points @ weights))
        gradient = points.T @ (chance - target) + pull * (weights - start)
        hessian = (points * (chance * (1 - chance))[:, None]).T @ points + pull * np.eye(len(weights))
        step = np.linalg.solve(hessian, gradient)
        weights -= step * min(1.0, 2 / max(np.abs(step).max(), 1e-9))  # a whole step may go too far, and never return
    return weights.tolist()  # type: ignore[no-any-return]


def _shown(matches: Matches) -> tuple[Floats, npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Confidence, class and whether it is right, of each detection that counts."""
    on_face = matches.confidence >= 0
    confidence = np.concatenate([matches.confidence[on_face], matches.false_confidence]).astype(np.float64)
    class_id = np.concatenate([matches.found[on_face], matches.false])
    right = np.concatenate([(matches.found == matches.truth)[on_face], np.zeros(len(matches.false), np.bool_)])
    return confidence, class_id, right


def uncalibrated(network: Path) -> bytes:
    """A network whose confidences are its own scores, as other programs see them.

    Raises:
        MissingExtraError: onnx is not installed.
    """
    return _with_entries(network, calibration=None)


def calibrate(network: Path, out: Path, matches: Matches, *, replace: bool = False) -> str:
    """Write a copy of a single-stage network with a calibration and a default threshold.

    Args:
        network: the ONNX file; a calibration that it has already is replaced.
        out: the copy; may be the same file.
        matches: what the network, with its own calibration, found in labelled images down to a low confidence.
        replace: ``out`` may be there already.

    Returns:
        One line about it.

    Raises:
        AnnotationError: the images do not suffice, see :func:`fit`.
        OutputError: ``out`` cannot be written.
        MissingExtraError: onnx is not installed.
    """
    metadata = OnnxSession(network, device="cpu").metadata
    order = [CLASSES.index(name) for name in metadata.names]
    scores = matches
    if metadata.calibration:
        scores = recalibrated(matches, Calibration(metadata.calibration.weights[np.argsort(order)]).scores)
    fitted = fit(scores)
    after = recalibrated(scores, fitted)
    conf = best_threshold(after) or metadata.conf
    calibration = str(Calibration(fitted.weights[order]))
    write_late(out, _with_entries(network, calibration=calibration, conf=f"{conf:g}"), replace=replace)
    before, now = (calibration_error(reliability(each, conf)) for each in (matches, after))
    return (
        f"{out}: calibrated; expected calibration error on these images, from {conf:g} up: {before:.3f} before, "
        f"{now:.3f} now; default threshold {conf:g}, the best"
    )


def _with_entries(network: Path, **changes: str | None) -> bytes:
    """The file with other entries in its metadata; None takes one out."""
    require_extra("export", "onnx")
    import onnx

    model = onnx.load(network)
    entries: dict[str, str | None] = {entry.key: entry.value for entry in model.metadata_props} | changes
    onnx.helper.set_model_props(model, {key: value for key, value in entries.items() if value is not None})
    return bytes(model.SerializeToString())
