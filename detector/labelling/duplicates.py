"""Which files show the same picture: perceptual hashes propose, a comparison of the pixels decides.

imagehash's difference hash and its DCT hash make 128 bits. Copies (saved again, scaled, cropped by a few percent, with
another brightness or a watermark) rarely differ in more than 26 of them and never in our trials in more than 34; of 5.8
million pairs of 3,410 photographs only 595 differ so little, so that the slow comparison has little to do. The hashes
alone cannot decide: a cropped copy differs in 20 bits, a person with and without a mask far away in 4.

A photograph and a copy with a mask drawn on a face, or two frames of a camera on the wall, differ in a few pixels, and
in what they teach. Where a few pixels differ, the project's own network therefore looks at the faces.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image

from detector.boxes import overlap
from detector.data.progress import Progress
from detector.detections import Detections
from detector.engines import Engine, load_engine
from detector.labelling.clean_report import CleanedImage
from detector.labelling.same_picture import Grey, Mask, difference, square
from detector.labelling.strict_pictures import read_picture

__all__ = ["Comparer", "fingerprint", "mark_copies"]

_MAX_DISTANCE = 34
_HASHED_SIDE = 128
_BLOCK = 2048  # hashes compared at once
_SQUARES, _FACES = 2000, 10_000  # remembered: 64 KiB and a few hundred bytes each
_SURE = 0.6  # confidence at which the network's word on a face counts
_LEAST_CHANGE = 0.15  # of a face; a mask covers half of it
_MOST_FACES = 0.15  # of the picture, up to which it is asked whether the difference lies in a face
_SAME_PLACE = 0.3  # intersection over union of a face's boxes in two pictures


@dataclass(frozen=True)
class _Likeness:
    """Two files show the same picture: the share of the area that differs, and whether one is the mirror image."""

    differs: float
    mirrored: bool


def fingerprint(grey: Grey) -> npt.NDArray[np.bool_]:
    """The bits, bool (128,), that near-duplicates nearly share."""
    small = Image.fromarray(cv2.resize(grey, (_HASHED_SIDE, _HASHED_SIDE), interpolation=cv2.INTER_AREA))
    return np.concatenate([imagehash.dhash(small).hash.ravel(), imagehash.phash(small).hash.ravel()])


def mark_copies(images: Sequence[CleanedImage], compare: Comparer, progress: Progress) -> None:
    """Note in each picture of which there is a better one what its original is, and how it differs.

    Every copy has itself been compared with its original: a row of video frames, each of which is like the next, does
    not become one group.

    Args:
        images: all.
        compare: decides about two of them.
        progress: told while pixels are compared.
    """
    best_first = sorted(images, key=lambda image: image.rank, reverse=True)
    best = {image.digest: image for image in reversed(best_first)}  # of files with the same bytes, one is compared
    near: dict[CleanedImage, dict[CleanedImage, _Likeness]] = defaultdict(dict)
    candidates = list(_candidates([image for image in images if best[image.digest] is image]))
    for one, other, mirrored in progress(candidates, "comparing pictures"):
        if other not in near[one] and (likeness := compare(one, other, mirrored=mirrored)):
            near[one][other] = near[other][one] = likeness
    taken: set[CleanedImage] = set()
    for original in best_first:
        # What is near it are its copies, and of what is near those, what is like the original too.
        queue = [] if original in taken else list(near[original].items())
        taken.add(original)
        for copy, likeness in queue:
            if copy in taken:
                continue
            taken.add(copy)
            copy.original, copy.differs, copy.mirrored = original, likeness.differs, likeness.mirrored
            for other, step in near[copy].items():
                if other not in taken and other not in near[original]:
                    found = compare(original, other, mirrored=likeness.mirrored != step.mirrored)
                    queue += [(other, found)] if found else []
    for image in images:
        twin = best[image.digest]
        if twin is not image:
            image.original, image.differs, image.mirrored = twin.original or twin, twin.differs, twin.mirrored


def _candidates(images: Sequence[CleanedImage]) -> Iterator[tuple[CleanedImage, CleanedImage, bool]]:
    """Pairs of pictures, and whether the second is mirrored, whose hashes differ little."""
    plain = _signs([image.hash for image in images])
    mirrored = _signs([image.mirrored_hash for image in images if image.mirrored_hash is not None])
    for is_mirrored, second in ((False, plain), (True, mirrored)):
        for start in range(0, len(images), _BLOCK):
            # The product of two sign vectors is 128 - 2 * distance: one matrix product per block of a million pairs.
            close = plain[start : start + _BLOCK] @ second.T >= 128 - 2 * _MAX_DISTANCE
            for row, column in np.argwhere(close).tolist():
                if start + row < column:
                    yield images[start + row], images[column], is_mirrored


def _signs(hashes: list[npt.NDArray[np.bool_]]) -> npt.NDArray[np.float32]:
    return np.where(np.array(hashes, np.bool_).reshape(-1, 128), np.float32(1), np.float32(-1))


class Comparer:
    """Compares the pixels of two pictures, and the faces: a context manager, for the network.

    Args:
        source: the folder of the pictures' files.
        threads: CPU threads of the network, which is loaded when it is first needed; None takes the free cores.
    """

    def __init__(self, source: Path, threads: int | None) -> None:
        self._source = source
        self._threads = threads
        self._engine: Engine | None = None
        self._square = lru_cache(_SQUARES)(lambda name: square(read_picture(source / name).image))
        self._faces = lru_cache(_FACES)(self._find_faces)

    def __enter__(self) -> Comparer:
        return self

    def __exit__(self, *_: object) -> None:
        if self._engine is not None:
            self._engine.close()

    def __call__(self, one: CleanedImage, other: CleanedImage, *, mirrored: bool) -> _Likeness | None:
        """How alike two duplicates are; None if they are no duplicates.

        Raises:
            SourceError: a file cannot be read any more.
            ModelError: the network is missing.
        """
        second = self._square(other.source)
        found = difference(self._square(one.source), np.ascontiguousarray(second[:, ::-1]) if mirrored else second)
        if not found.is_same:
            return None
        if found.spots.any():
            faces, others = self._faces(one.source), self._faces(other.source)
            if mirrored:
                turned = others.xyxy[:, [2, 1, 0, 3]]
                turned[:, ::2] = 1 - turned[:, ::2]
                others = Detections(turned, others.confidence, others.class_id)
            if any(_lie_on_faces(found.spots, each.xyxy) for each in (faces, others)) or _contradict(faces, others):
                return None
        return _Likeness(round(found.share, 4), mirrored)

    def _find_faces(self, name: str) -> Detections:
        """What is surely a face; boxes as shares of the picture's size."""
        if self._engine is None:
            self._engine = load_engine(threads=self._threads)
        picture = read_picture(self._source / name)
        found = self._engine(picture.image)
        found = found[found.confidence >= _SURE]
        shares = found.xyxy / np.array([*picture.size, *picture.size], np.float32)
        return Detections(shares.astype(np.float32), found.confidence, found.class_id)


def _lie_on_faces(spots: Mask, boxes: npt.NDArray[np.float32]) -> bool:
    """Whether what differs are mostly small faces, as where a mask was put elsewhere.

    In a large face a line of text may lie, and a mask that differs fills more than the blocks that may differ.
    """
    faces = np.zeros_like(spots)
    changed = 0.0
    for left, top, right, bottom in np.rint(boxes * len(spots)).astype(int).clip(0).tolist():
        faces[top:bottom, left:right] = True
        changed = max(changed, spots[top:bottom, left:right].sum() / max((bottom - top) * (right - left), 1))
    return bool(changed > _LEAST_CHANGE and faces.mean() < _MOST_FACES and spots[faces].sum() > spots.sum() / 2)


def _contradict(one: Detections, other: Detections) -> bool:
    """Whether a face is of one class in one picture and of the other class in the other."""
    if not len(one) or not len(other):
        return False
    shared = overlap(one.xyxy, other.xyxy)
    same_face = (shared == shared.max(axis=1, keepdims=True)) & (shared >= _SAME_PLACE)
    return bool((same_face & (one.class_id[:, None] != other.class_id)).any())
