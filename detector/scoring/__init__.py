"""Detections against ground truth: average precision over all thresholds, and what happens at one of them.

Both are of what people are shown: one word per face, its surer class. :func:`one_class` makes this of detections that
name both, as other people's networks do.
"""

from detector.scoring.coco import ClassScore, export_coco, score
from detector.scoring.confidences import Bin, calibrate, calibration_error, fit, recalibrated, reliability
from detector.scoring.examples import FACE_SIZES, MIN_SIDE, SHOWN_IOU, TAIL, Example, one_class, shorter_side
from detector.scoring.matching import SAME_FACE_IOU, Confusion, Matches, Words, balances, best_threshold, count, match

__all__ = [
    "FACE_SIZES",
    "MIN_SIDE",
    "SAME_FACE_IOU",
    "SHOWN_IOU",
    "TAIL",
    "Bin",
    "ClassScore",
    "Confusion",
    "Example",
    "Matches",
    "Words",
    "balances",
    "best_threshold",
    "calibrate",
    "calibration_error",
    "count",
    "export_coco",
    "fit",
    "match",
    "one_class",
    "recalibrated",
    "reliability",
    "score",
    "shorter_side",
]
