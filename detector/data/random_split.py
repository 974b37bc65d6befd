"""Which images train the network and which ones choose between networks, by chance; near-duplicates stay together."""

from __future__ import annotations

import random
import struct
import warnings
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from detector.data.progress import Progress
from detector.errors import SourceError, require_extra
from detector.media import images

__all__ = ["choose_val", "group_near_duplicates", "perceptual_hashes"]

MAX_HASH_DISTANCE = 8
"""Of 64 bits. Finds nine of ten near-duplicate pairs of the project's 3,410 photographs, and joins 51 other pairs."""


def perceptual_hashes(paths: Sequence[Path], progress: Progress) -> list[npt.NDArray[np.bool_] | None]:
    """Difference hash, bool (64,), of each image; None where it cannot be decoded.

    JPEGs are decoded at an eighth of their size or what is nearest above 64 px, as libjpeg does at little cost.

    Raises:
        MissingExtraError: imagehash is not installed.
    """
    require_extra("labelling", "imagehash")
    import imagehash
    from PIL import Image

    def hash_of(path: Path) -> npt.NDArray[np.bool_] | None:
        try:
            with warnings.catch_warnings(), Image.open(path) as image:
                warnings.simplefilter("ignore")  # odd metadata does not change what the picture shows
                image.draft("L", (64, 64))
                bits: npt.NDArray[np.bool_] = imagehash.dhash(image).hash.ravel()
                return bits
        except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError):
            with suppress(SourceError):  # whole for all that, such as a PNG with a damaged comment
                return np.asarray(imagehash.dhash(Image.fromarray(images.read(path)[..., ::-1])).hash.ravel(), np.bool_)
            return None

    return [hash_of(path) for path in progress(paths, "comparing images")]


def group_near_duplicates(hashes: Sequence[npt.NDArray[np.bool_]]) -> list[int]:
    """The group of each image, so that images whose hashes differ little share one, directly or over others.

    Args:
        hashes: bool (64,) each.

    Returns:
        For each image the smallest index in its group.
    """
    if not hashes:
        return []
    signs = np.where(np.stack(hashes), np.float32(1), np.float32(-1))
    parent = list(range(len(signs)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    # The product of two sign vectors is 64 - 2 * distance: one matrix product per block instead of 12 million counts.
    least = signs.shape[1] - 2 * MAX_HASH_DISTANCE
    for start in range(0, len(signs), 1024):
        rows, columns = np.nonzero(signs[start : start + 1024] @ signs.T >= least)
        for a, b in zip((rows + start).tolist(), columns.tolist(), strict=True):
            low, high = sorted((root(a), root(b)))
            parent[high] = low
    return [root(index) for index in range(len(parent))]


def choose_val(groups: Sequence[int], kinds: Sequence[frozenset[str]], fraction: float, seed: int) -> list[bool]:
    """Choose whole groups at random for validation.

    Groups with the same classes are drawn from separately, so that both sides have the same mixture; a class that would
    be missing gets one group of its own if it has two.

    Args:
        groups: the group of each image.
        kinds: the classes in each image.
        fraction: how many of the images validate, 0 to 1, both excluded.
        seed: another number gives another choice.

    Returns:
        For each image whether it validates.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    classes = {group: frozenset().union(*(kinds[i] for i in indices)) for group, indices in members.items()}
    order = sorted(members)
    random.Random(seed).shuffle(order)  # noqa: S311  # not a secret; Random is the same on every machine and version
    order.sort(key=lambda group: sorted(classes[group]))
    chosen: set[int] = set()
    seen = taken = 0
    for group in order:
        seen += len(members[group])
        if taken + len(members[group]) / 2 <= fraction * seen:
            chosen.add(group)
            taken += len(members[group])
    for name in sorted(frozenset().union(*kinds)):
        having = [group for group in order if name in classes[group]]
        if len(having) > 1 and chosen.isdisjoint(having):
            chosen.add(min(having, key=lambda group: len(members[group])))
        elif len(having) > 1 and chosen.issuperset(having):
            chosen.discard(min(having, key=lambda group: len(members[group])))
    return [group in chosen for group in groups]
