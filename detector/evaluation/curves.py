"""What an engine's figures look like: precision against recall, and truth against confidence."""

from __future__ import annotations

from detector.detections import CLASSES
from detector.evaluation.chart import Chart, Series
from detector.evaluation.figures import Figures
from detector.scoring import SAME_FACE_IOU, calibration_error, reliability

__all__ = ["curves", "reliability_chart"]

STEPS = [(tick / 5, f"{tick / 5:g}") for tick in range(6)]


def curves(figures: Figures) -> Chart:
    """The precision-recall curve of each class that has faces."""
    series = [
        Series(
            f"{score.name}: AP50 {score.ap50:.3f} ({score.support} faces)",
            [(index / (len(score.curve) - 1), precision) for index, precision in enumerate(score.curve)],
            markers=20,
        )
        for score in figures.scores
        if score.support
    ]
    title = f"Precision against recall, {figures.name}, {figures.images} images"
    return Chart(title, "recall", f"precision (IoU {SAME_FACE_IOU})", STEPS, STEPS, series)


def reliability_chart(figures: Figures) -> Chart:
    """The share of the shown faces that are right against their confidence, of each class that has any."""
    series = [Series("as it should be", [(0.0, 0.0), (1.0, 1.0)])]
    for name in CLASSES:
        bins = reliability(figures.matches, figures.chosen.threshold, [name])
        if bins:
            faces, error = sum(each.faces for each in bins), calibration_error(bins)
            points = [(each.confidence, each.right) for each in bins]
            series.append(Series(f"{name}: {faces} boxes, expected calibration error {error:.3f}", points))
    title = f"Right among the faces shown, {figures.name}, {figures.images} images"
    return Chart(title, "confidence", "share that is right", STEPS, STEPS, series)
