"""Detections against ground truth: average precision over all thresholds, and what happens at one of them.

Two views of one pass over the images. Average precision is defined on what an engine thinks of both classes of a face
(``Example.found`` with ``one_class=False``, down to a low confidence). People are shown one class per face; counts at a
threshold are of that view, which :func:`one_class` derives from the first where an engine does no more than that.
"""

from detector.scoring.average_precision import ClassScore, import_coco_eval, score
from detector.scoring.coco import export_coco
from detector.scoring.confusion import LEAST_THRESHOLD, Confusion, best_threshold, count
from detector.scoring.examples import FACE_SIZES, MIN_SIDE, SHOWN_IOU, TAIL, Example, one_class
from detector.scoring.matching import SAME_FACE_IOU, Matches, match

__all__ = [
    "FACE_SIZES",
    "LEAST_THRESHOLD",
    "MIN_SIDE",
    "SAME_FACE_IOU",
    "SHOWN_IOU",
    "TAIL",
    "ClassScore",
    "Confusion",
    "Example",
    "Matches",
    "best_threshold",
    "count",
    "export_coco",
    "import_coco_eval",
    "match",
    "one_class",
    "score",
]
