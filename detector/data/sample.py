"""One record for an image with its labelled faces, from whatever labels they came."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from detector.data.voc import Box
from detector.detections import Detections

__all__ = ["Sample"]


@dataclass(frozen=True, eq=False)
class Sample:
    """One labelled image.

    Args:
        path: the image file.
        title: how reports call it: set and file name, or in a YOLO folder the path from its data.yaml.
        set_name: the set that it belongs to, "" in a YOLO folder.
        size: (width, height) of the upright image, px.
        truth: the labelled faces, clipped to the image, confidence 1.
        ignored: float32 (M, 4) xyxy px, regions where a detection is no false alarm.
        boxes: of LabelImg, corrected, with the annotator's own class names; corners may lie outside the image.
        split: "train", "val" or another word of the split file; None where nothing was split.
    """

    path: Path
    title: str
    set_name: str
    size: tuple[int, int]
    truth: Detections
    ignored: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    boxes: tuple[Box, ...] = ()
    split: str | None = None
