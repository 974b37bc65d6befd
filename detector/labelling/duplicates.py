"""Which files show the same picture: perceptual hashes propose, a comparison of the pixels decides.

imagehash's difference hash and its DCT hash make 128 bits. Copies (saved again, scaled, cropped by a few percent, with
another brightness or a watermark) rarely differ in more than 26 of them and never in our trials in more than 34; of 5.8
million pairs of 3,410 photographs only 595 differ so little, so that the slow comparison has little to do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image

from detector.data.progress import Progress
from detector.labelling.same_picture import Grey

__all__ = ["Compare", "Copy", "Hash", "group", "perceptual_hash"]

Hash = npt.NDArray[np.bool_]
"""bool (128,)."""

Compare = Callable[[int, int, bool], float | None]
"""Two files, and whether the second is mirrored, to the share of the area that differs; None for two pictures."""

MAX_DISTANCE = 34
HASHED_SIDE = 128
BLOCK = 2048  # hashes compared at once


@dataclass(frozen=True)
class Copy:
    """A file that shows the same picture as the one that is kept.

    Args:
        index: of the file.
        differs: share of the area that differs, 0 to 1; None if the files are the same byte for byte.
        mirrored: it is the mirror image.
    """

    index: int
    differs: float | None = None
    mirrored: bool = False


def perceptual_hash(grey: Grey) -> Hash:
    """The 128 bits that near-duplicates nearly share."""
    small = Image.fromarray(cv2.resize(grey, (HASHED_SIDE, HASHED_SIDE), interpolation=cv2.INTER_AREA))
    return np.concatenate([imagehash.dhash(small).hash.ravel(), imagehash.phash(small).hash.ravel()])


def group(
    digests: Sequence[bytes],
    hashes: Sequence[tuple[Hash, Hash | None]],
    compare: Compare,
    rank: Callable[[int], tuple[float, ...]],
    progress: Progress,
) -> dict[int, list[Copy]]:
    """Find the groups.

    Every copy has itself been compared with the file that is kept: a row of video frames, each of which is like the
    next, does not become one group.

    Args:
        digests: of each file's bytes.
        hashes: :func:`perceptual_hash` of each file, and of its mirror image if mirrored copies are looked for.
        compare: decides about two files.
        rank: of a file that has a copy; the file with the highest is kept.
        progress: told while pixels are compared.

    Returns:
        The files that are kept and have copies, with these, both in the order of the files.
    """
    same: dict[bytes, list[int]] = defaultdict(list)
    for index, digest in enumerate(digests):
        same[digest].append(index)
    twins: dict[int, list[int]] = {}
    for members in same.values():
        best = max(members, key=rank) if len(members) > 1 else members[0]
        twins[best] = [index for index in members if index != best]
    neighbours = _neighbours(sorted(twins), hashes, compare, progress)
    near = _stars(neighbours, compare, rank)
    aside = {copy.index for copies in near.values() for copy in copies}
    groups = {}
    for kept in sorted(set(twins) - aside):
        copies = [Copy(twin) for twin in twins[kept]]
        for copy in near.get(kept, []):
            copies += [copy, *(Copy(twin, copy.differs, copy.mirrored) for twin in twins[copy.index])]
        if copies:
            groups[kept] = sorted(copies, key=lambda copy: copy.index)
    return groups


Neighbours = dict[int, dict[int, Copy]]


def _neighbours(
    files: Sequence[int], hashes: Sequence[tuple[Hash, Hash | None]], compare: Compare, progress: Progress
) -> Neighbours:
    """For each file those that show the same picture."""
    found: Neighbours = defaultdict(dict)
    for one, other, mirrored in progress(list(_candidates(files, hashes)), "comparing pictures"):
        if other not in found[one]:
            differs = compare(one, other, mirrored)
            if differs is not None:
                found[one][other] = Copy(other, differs, mirrored)
                found[other][one] = Copy(one, differs, mirrored)
    return {index: copies for index, copies in found.items() if copies}


def _stars(neighbours: Neighbours, compare: Compare, rank: Callable[[int], tuple[float, ...]]) -> dict[int, list[Copy]]:
    """The best file takes its neighbours, and of their neighbours those that are its copies too; then the next best."""
    groups: dict[int, list[Copy]] = {}
    taken: set[int] = set()
    for kept in sorted(sorted(neighbours), key=rank, reverse=True):
        if kept in taken:
            continue
        taken.add(kept)
        groups[kept] = []
        queue = list(neighbours[kept].values())
        for copy in queue:
            if copy.index in taken:
                continue
            taken.add(copy.index)
            groups[kept].append(copy)
            for other in neighbours[copy.index].values():
                if other.index not in taken and other.index not in neighbours[kept]:
                    mirrored = copy.mirrored != other.mirrored
                    differs = compare(kept, other.index, mirrored)
                    if differs is not None:
                        queue.append(Copy(other.index, differs, mirrored))
    return groups


def _candidates(files: Sequence[int], hashes: Sequence[tuple[Hash, Hash | None]]) -> Iterator[tuple[int, int, bool]]:
    """Pairs of files, and whether the second is mirrored, whose hashes differ little."""
    if not files:
        return
    plain = np.stack([hashes[index][0] for index in files])
    signs = np.where(plain, np.float32(1), np.float32(-1))
    flipped = [bits for index in files if (bits := hashes[index][1]) is not None]
    others = [(False, signs)]
    if flipped:
        others.append((True, np.where(np.stack(flipped), np.float32(1), np.float32(-1))))
    # The product of two sign vectors is 128 - 2 * distance: one matrix product per block of a million pairs.
    least = signs.shape[1] - 2 * MAX_DISTANCE
    for mirrored, second in others:
        for start in range(0, len(files), BLOCK):
            rows, columns = np.nonzero(signs[start : start + BLOCK] @ second.T >= least)
            for row, column in zip((rows + start).tolist(), columns.tolist(), strict=True):
                if row < column:
                    yield files[row], files[column], mirrored
