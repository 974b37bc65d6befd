"""Are two files duplicates? The same picture, with the same faces in it.

A photograph and a copy with a mask drawn on a face, or two frames of a camera on the wall, differ in a few pixels, and
in what they teach. Where a few pixels differ, the project's own network therefore looks at the faces.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from detector.boxes import overlap
from detector.detections import Detections
from detector.engines import Engine, load_engine
from detector.labelling import strict_pictures as pictures
from detector.labelling.same_picture import MAX_DIFFERENT, Grey, difference

__all__ = ["Comparer", "read_picture"]

SQUARES, FACES = 2000, 10_000  # remembered: 64 KiB and a few hundred bytes each
SURE = 0.6  # confidence at which the network's word on a face counts
LEAST_CHANGE = 0.15  # of a face; a mask covers half of it
MOST_FACES = 0.15  # of the picture, up to which it is asked whether the difference lies in a face
SAME_PLACE = 0.3  # intersection over union of a face's boxes in two pictures

Boxes = npt.NDArray[np.float64]


class Comparer:
    """Compares files by their numbers: a context manager, for the network.

    Args:
        paths: the files.
        threads: CPU threads of the network, which is loaded when it is first needed.
    """

    def __init__(self, paths: Sequence[Path], threads: int) -> None:
        self._paths = paths
        self._threads = threads
        self._engine: Engine | None = None
        self._square = lru_cache(SQUARES)(self._read_square)
        self._faces = lru_cache(FACES)(self._find_faces)

    def __enter__(self) -> Comparer:
        return self

    def __exit__(self, *_: object) -> None:
        if self._engine is not None:
            self._engine.close()

    def __call__(self, one: int, other: int, mirrored: bool) -> float | None:
        """The share of the area, 0 to 1, in which two duplicates differ; None if they are no duplicates.

        Raises:
            SourceError: a file cannot be read any more.
            ModelError: the network is missing.
        """
        second = self._square(other)
        found = difference(self._square(one), np.ascontiguousarray(second[:, ::-1]) if mirrored else second)
        if found.share > MAX_DIFFERENT:
            return None
        if found.spots.any():
            (boxes, faces), (other_boxes, other_faces) = self._faces(one), self._faces(other)
            if mirrored:
                left, top, right, bottom = other_boxes.T
                other_boxes = np.column_stack([1 - right, top, 1 - left, bottom])
            if _lie_on_faces(found.spots, boxes) or _lie_on_faces(found.spots, other_boxes):
                return None
            if _contradict(boxes, faces.class_id, other_boxes, other_faces.class_id):
                return None
        return found.share

    def _read_square(self, index: int) -> Grey:
        return read_picture(self._paths[index]).square()

    def _find_faces(self, index: int) -> tuple[Boxes, Detections]:
        """Boxes as shares of the picture's size, and what was found."""
        if self._engine is None:
            self._engine = load_engine(threads=self._threads)
        picture = read_picture(self._paths[index])
        found = self._engine(picture.image)
        found = found[found.confidence >= SURE]
        return found.xyxy / np.tile(np.array(picture.size, np.float64), 2), found


def read_picture(path: Path) -> pictures.Picture:
    """The picture in a file.

    Raises:
        SourceError: it cannot be read.
    """
    return pictures.read_strictly(pictures.read_bytes(path), str(path))


def _lie_on_faces(spots: npt.NDArray[np.bool_], boxes: Boxes) -> bool:
    """Whether what differs are mostly small faces, as where a mask was put elsewhere.

    In a large face a line of text may lie, and a mask that differs fills more than the blocks that may differ.
    """
    faces = np.zeros_like(spots)
    changed = 0.0
    for left, top, right, bottom in np.rint(boxes * len(spots)).astype(int).clip(0).tolist():
        faces[top:bottom, left:right] = True
        changed = max(changed, spots[top:bottom, left:right].sum() / max((bottom - top) * (right - left), 1))
    return bool(changed > LEAST_CHANGE and faces.mean() < MOST_FACES and spots[faces].sum() > spots.sum() / 2)


def _contradict(
    boxes: Boxes, classes: npt.NDArray[np.int64], other_boxes: Boxes, other_classes: npt.NDArray[np.int64]
) -> bool:
    """Whether a face is of one class in one picture and of the other class in the other."""
    if not len(boxes) or not len(other_boxes):
        return False
    overlaps = overlap(boxes, other_boxes)
    same_face = (overlaps == overlaps.max(axis=1, keepdims=True)) & (overlaps >= SAME_PLACE)
    return bool((same_face & (classes[:, None] != other_classes[None])).any())
