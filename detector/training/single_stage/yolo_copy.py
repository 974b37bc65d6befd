"""The YOLO folder that training reads: checked before anything heavy begins, and copied if it is the user's own."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

from detector.data.progress import Progress, silent
from detector.data.yolo import DATA_YAML, TRAINABLE, YoloSource, label_of, read_source
from detector.detections import CLASSES
from detector.errors import TrainingError
from detector.media.images import header_of
from detector.training.history import Contents

__all__ = ["adopt", "check_folder"]

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
        images = source.images(split)
        faces = Counter(box.class_id for image in images for box in source.boxes(image))
        for index, name in enumerate(CLASSES):
            if not faces[index]:
                raise TrainingError(f"{data}: no face is labelled {name} in {split}: both classes are needed there")
        contents[split] = Contents(len(images), {name: faces[index] for index, name in enumerate(CLASSES)})
    return contents


def adopt(data: Path, out: Path, progress: Progress = silent) -> Path:
    """Copy a YOLO folder of the user's into a run, because ultralytics writes into the folder that it trains on.

    Args:
        data: its data.yaml; ``train`` and ``val`` may be folders, lists of folders, or text files of paths.
        out: a folder that does not exist yet.
        progress: wraps the loop, for a progress bar.

    Returns:
        The copy's data.yaml.

    Raises:
        TrainingError: as for :func:`check_folder`, a damaged image, or the disk is full.
        AnnotationError: as for :func:`check_folder`.
    """
    check_folder(data)
    try:
        source = _read(data)
        for split in SPLITS:
            for kind in ("images", "labels"):
                (out / kind / split).mkdir(parents=True)
            for number, image in enumerate(progress(source.images(split), f"copying {split}")):
                if not header_of(image).complete:
                    raise TrainingError(f"{image}: the image is cut short: copy it again, or take it out")
                name = f"{number:05d}-{image.name}"  # the same name may occur in several folders
                shutil.copyfile(image, out / "images" / split / name)
                label = label_of(image)
                if label.is_file():
                    shutil.copyfile(label, label_of(out / "images" / split / name))
        (out / "data.yaml").write_text(DATA_YAML, encoding="utf-8")
    except OSError as error:
        raise TrainingError(f"{out}: {data} cannot be copied there ({error.strerror}): make room") from error
    return out / "data.yaml"


def _read(data: Path) -> YoloSource:
    """The folder, after checking its class names."""
    source = read_source(data, TRAINABLE)
    if source.names != CLASSES:
        expected = ", ".join(f"{index}: {name}" for index, name in enumerate(CLASSES))
        raise TrainingError(
            f"--data {data}: its names are {', '.join(source.names)}: they must be {expected}, in this order"
        )
    return source
