"""What was found, in words for people rather than class names."""

from __future__ import annotations

from detector.detections import Detections

__all__ = ["VERDICTS", "sentence"]

VERDICTS = {"with_mask": "with a mask", "without_mask": "without a mask"}


def sentence(found: Detections) -> str:
    """One picture in words: ``3 faces: 2 with a mask, 1 without``."""
    masked, bare = (found.count(name) for name in VERDICTS)
    if not len(found):
        return "No face found"
    if len(found) == 1:
        return f"1 face: {VERDICTS['with_mask' if masked else 'without_mask']}"
    if not (masked and bare):
        return f"{len(found)} faces: all {VERDICTS['with_mask' if masked else 'without_mask']}"
    return f"{len(found)} faces: {masked} with a mask, {bare} without"
