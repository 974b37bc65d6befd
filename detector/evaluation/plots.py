"""What an engine's figures look like: precision against recall, and truth against confidence."""

from __future__ import annotations

from detector.detections import CLASSES
from detector.evaluation.charts import Chart
from detector.evaluation.figures import Figures
from detector.scoring import SAME_FACE_IOU, calibration_error, reliability

__all__ = ["precision_recall_chart", "reliability_chart"]


def precision_recall_chart(figures: Figures) -> Chart:
    """The precision-recall curve of each class that has faces."""
    lines = {
        f"{score.name}: AP50 {score.ap50:.3f} ({score.support} faces)": [
            (index / (len(score.curve) - 1), precision) for index, precision in enumerate(score.curve)
        ]
        for score in figures.scores
        if score.support
    }
    title = f"Precision against recall, {figures.name}, {figures.images} images"
    return Chart(title, "recall", f"precision (IoU {SAME_FACE_IOU})", lines, top=1)


def reliability_chart(figures: Figures) -> Chart:
    """The share of the shown faces that are right against their confidence, of each class that has any."""
    lines = {"as it should be": [(0.0, 0.0), (1.0, 1.0)]}
    for name in CLASSES:
        bins = reliability(figures.matches, figures.chosen.threshold, [name])
        if bins:
            faces, error = sum(each.faces for each in bins), calibration_error(bins)
            lines[f"{name}: {faces} boxes, expected calibration error {error:.3f}"] = [
                (each.confidence, each.right) for each in bins
            ]
    title = f"Right among the faces shown, {figures.name}, {figures.images} images"
    return Chart(title, "confidence", "share that is right", lines, top=1)
