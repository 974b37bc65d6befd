"""Crops of faces, and of what is no face, for the mask classifier: the folders that it is trained on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from detector.boxes import containment
from detector.data.progress import Progress, silent
from detector.data.sample import Sample
from detector.detections import CLASSES
from detector.engines.classifier import BACKGROUND
from detector.engines.crops import MARGIN, SIDE, cut
from detector.engines.face_finders import FaceFinder
from detector.files import new_folder
from detector.media import images
from detector.scoring import MIN_SIDE
from detector.scoring.examples import shorter_side

__all__ = ["BACKGROUND_SCORES", "FOLDERS", "NOTE", "write_crops"]

FOLDERS = (*CLASSES, BACKGROUND)
NOTE = "crops.json"
"""Beside the folders: how the crops were cut."""

BACKGROUND_SCORES = (0.1, 0.6)
"""Finder's scores of boxes without a label that become background. What it is surer of is mostly a face that nobody
labelled, and what it is less sure of is never shown."""

BACKGROUND_PER_IMAGE = 4
LEAST_OVERLAP = 0.1
"""From this share of either area on, a box shows part of a face."""

Floats = npt.NDArray[np.float32]


def write_crops(
    parts: Mapping[str, Sequence[Sample]],
    out: Path,
    *,
    side: int = SIDE,
    margin: float = MARGIN,
    min_side: float = MIN_SIDE,
    finder: FaceFinder | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> dict[str, dict[str, int]]:
    """Cut every labelled face, and background, into ``out/<part>/<class>/*.jpg``; all appears or nothing does.

    Background is what the finder takes for a face where none is. Without a finder it is one square an image of a
    random face's size, anywhere but on a face: less like what the classifier will be asked about.

    Args:
        parts: labelled images by part, "train" and "val".
        out: a folder that does not exist yet, or is empty.
        side: of the crops, px.
        margin: around a face, see :func:`detector.engines.crops.cut`.
        min_side: faces whose shorter side is under this many px are left out.
        finder: finds faces; its ``conf`` is set.
        seed: of the random squares.
        progress: wraps the loops.

    Returns:
        The number of crops by part and class.

    Raises:
        OutputError: ``out`` holds something, or cannot be written.
        SourceError: an image cannot be read.
    """
    with new_folder(out) as whole:
        counts = {
            part: _write_part(labelled, whole / part, side, margin, min_side, finder, seed, progress)
            for part, labelled in parts.items()
        }
        note = {"side": side, "margin": margin, "min_side": min_side, "crops": counts}
        (whole / NOTE).write_bytes((json.dumps(note, indent=1) + "\n").encode())
    return counts


def _write_part(
    labelled: Sequence[Sample],
    out: Path,
    side: int,
    margin: float,
    min_side: float,
    finder: FaceFinder | None,
    seed: int,
    progress: Progress,
) -> dict[str, int]:
    for name in FOLDERS:
        (out / name).mkdir(parents=True)
    counts = dict.fromkeys(FOLDERS, 0)
    sizes = _sizes(labelled, min_side)
    for number, item in enumerate(progress(labelled, f"cutting {out.name}")):
        picture = images.read(item.path)
        large = shorter_side(item.truth.xyxy) >= min_side
        faces = item.truth[large]
        rng = np.random.default_rng([seed, number])
        empty = _no_faces(item, picture, finder, min_side) if finder else _random_square(item, sizes, rng)
        boxes = [*zip(faces.xyxy, faces.names, strict=True), *((box, BACKGROUND) for box in empty)]
        for index, (box, name) in enumerate(boxes):
            crop = cut(picture, box[None], side=side, margin=margin)[0]
            (out / name / f"{number:05}-{index:03}-{item.path.stem}.jpg").write_bytes(images.encode(crop, ".jpg"))
            counts[name] += 1
    return counts


def _no_faces(item: Sample, picture: images.Image, finder: FaceFinder, min_side: float) -> Floats:
    """The finder's boxes on which no face is, the surest first."""
    finder.conf = BACKGROUND_SCORES[0]
    xyxy, scores = finder(picture)
    wanted = (scores < BACKGROUND_SCORES[1]) & (shorter_side(xyxy) >= min_side) & _is_free(xyxy, item)
    chosen: Floats = xyxy[wanted][:BACKGROUND_PER_IMAGE]
    return chosen


def _random_square(item: Sample, sizes: Floats, rng: np.random.Generator) -> Floats:
    """One square without a face, as large as some face; none where there is no room."""
    for side in rng.choice(sizes, 10).tolist() if len(sizes) else ():
        room = np.array(item.size) - side
        if (room >= 0).all():
            corner = rng.uniform(0, room)
            box = np.array([[*corner, *(corner + side)]], np.float32)
            if _is_free(box, item)[0]:
                return box
    return np.zeros((0, 4), np.float32)


def _sizes(labelled: Sequence[Sample], min_side: float) -> Floats:
    boxes = np.concatenate([np.zeros((0, 4), np.float32), *(item.truth.xyxy for item in labelled)])
    longer: Floats = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0)
    return longer[shorter_side(boxes) >= min_side]


def _is_free(boxes: Floats, item: Sample) -> npt.NDArray[np.bool_]:
    """Which boxes show no part of a labelled face or of a region where there may be one."""
    taken = np.concatenate([item.truth.xyxy, item.ignored])
    shares = np.maximum(containment(boxes, taken), containment(taken, boxes).T)
    return np.asarray((shares < LEAST_OVERLAP).all(axis=1))
