"""The YOLO folder that training reads, checked before anything heavy begins."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from detector.data.yolo import TRAINABLE, YoloSource, read_source
from detector.detections import CLASSES
from detector.errors import TrainingError
from detector.training.history import Contents

__all__ = ["check_folder"]

SPLITS = ("train", "val")


def check_folder(data: Path) -> dict[str, Contents]:
    """Count what can be learnt from a YOLO folder, and refuse what nothing good can come of.

    Args:
        data: its data.yaml.

    Returns:
        The contents of ``train`` and ``val``.

    Raises:
        TrainingError: other classes or another order, or no face of a class.
        AnnotationError: data.yaml or a label file cannot be used, or there are no images.
    """
    source = _read(data)
    contents = {}
    for split in SPLITS:
        images = source.labels(split)
        faces = Counter(box.class_id for boxes in images.values() for box in boxes)
        for index, name in enumerate(CLASSES):
            if not faces[index]:
                raise TrainingError(f"{data}: no face is labelled {name} in {split}: both classes are needed there")
        contents[split] = Contents(len(images), {name: faces[index] for index, name in enumerate(CLASSES)})
    return contents


def _read(data: Path) -> YoloSource:
    """The folder, after checking its class names."""
    source = read_source(data, TRAINABLE)
    if source.names != CLASSES:
        expected = ", ".join(f"{index}: {name}" for index, name in enumerate(CLASSES))
        raise TrainingError(
            f"--data {data}: its names are {', '.join(source.names)}: they must be {expected}, in this order"
        )
    return source
