"""The folder of pictures that were drawn on, and the contact sheet to look at."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path

import cv2
import numpy as np

from detector.data import voc
from detector.data.csvfile import read_rows
from detector.data.sample import Sample
from detector.labelling.treatment import Treated
from detector.media.images import Image, encode

__all__ = ["ContactSheet", "DrawnFolder", "jpeg_quality"]

LUMINANCE_SUM = 3688
"""Of the 64 steps in the luminance table of quality 50 (JPEG standard, annex K)."""

TILE = 150
"""Side of a face on the sheet, px; there is a line of text below it."""

COLUMNS, MOST = 12, 240


class DrawnFolder:
    """Writes ``images/*.jpg``, ``annotations/*.xml`` and ``split.csv`` into a new folder.

    Args:
        folder: empty.
        name: that the set will have.
        split: the user's own file, whose lines come first in ``split.csv``; None if there is none.
        part: of the split that the pictures belong to.
    """

    def __init__(self, folder: Path, name: str, split: Path | None, part: str) -> None:
        rows = [row for _, row in read_rows(split, ("image", "split"), "--split")] if split else []
        self._folder, self._name, self._part = folder, name, part
        self._rows = [(row.get("set") or "", row["image"], row.get("group") or "", row["split"]) for row in rows]
        self._groups = {(set_name, image): group for set_name, image, group, _ in self._rows}
        self._taken: set[str] = set()
        for kind in ("images", "annotations"):
            (folder / kind).mkdir()

    def add(self, source: Sample, boxes: Sequence[voc.Box], picture: Image) -> str:
        """Write a picture and its labels; returns its file name.

        Args:
            source: what it was made from.
            boxes: its labels.
            picture: BGR uint8 (H, W, 3).
        """
        name = self._free_name(source)
        height, width = picture.shape[:2]
        (self._folder / "images" / name).write_bytes(encode(picture, ".jpg", jpeg_quality(source.path)))
        annotation = voc.Annotation(name, "images", (width, height), tuple(boxes))
        (self._folder / "annotations" / f"{name.removesuffix('.jpg')}.xml").write_bytes(voc.to_bytes(annotation))
        groups = (self._groups.get((set_name, source.path.name)) for set_name in (source.set_name, ""))
        self._rows.append((self._name, name, next(filter(None, groups), ""), self._part))
        return name

    def write_split(self) -> None:
        """Write ``split.csv``."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([("set", "image", "group", "split"), *self._rows])
        (self._folder / "split.csv").write_bytes(text.getvalue().encode())

    def _free_name(self, source: Sample) -> str:
        """The source's own name, with its set before it where another set has it too."""
        longer = f"{source.set_name}_{source.path.stem}"
        stems = chain((source.path.stem, longer), (f"{longer}_{number}" for number in count(2)))
        name = next(f"{stem}.jpg" for stem in stems if f"{stem}.jpg".casefold() not in self._taken)
        self._taken.add(name.casefold())
        return name


class ContactSheet:
    """Treated faces, each with what is around it; a random choice where there are many.

    Args:
        seed: of the choice.
    """

    def __init__(self, seed: int) -> None:
        self._tiles: list[Image] = []
        self._seen = 0
        self._rng = np.random.default_rng([seed, 7])

    def add(self, picture: Image, treated: Treated) -> None:
        """Show a face of a BGR uint8 (H, W, 3) picture."""
        place = self._seen if self._seen < MOST else int(self._rng.integers(self._seen + 1))
        self._seen += 1
        if place < MOST:
            self._tiles[place : place + 1] = [_tile(picture, treated)]

    def draw(self) -> Image:
        """The sheet as a picture: BGR uint8 (H, W, 3)."""
        columns = min(COLUMNS, len(self._tiles))
        blank = [np.full((TILE + 16, TILE, 3), 255, np.uint8)] * (-len(self._tiles) % columns)
        tiles = [*self._tiles, *blank]
        return np.vstack([np.hstack(tiles[at : at + columns]) for at in range(0, len(tiles), columns)])


def jpeg_quality(path: Path) -> int:
    """About the quality that a JPEG file was saved with, 60 to 95; 92 for other files.

    A picture that is saved with its own quality loses little, and what was drawn on it looks as compressed as the rest.
    """
    data = path.read_bytes()[:65536]
    at = data.find(b"\xff\xdb")  # the first table of steps is the one of the luminance
    if data[:2] != b"\xff\xd8" or at < 0 or len(data) < at + 69 or data[at + 4] != 0:
        return 92
    scale = 100 * sum(data[at + 5 : at + 69]) / LUMINANCE_SUM
    quality = (200 - scale) / 2 if scale <= 100 else 5000 / scale
    return int(np.clip(round(quality), 60, 95))


def _tile(picture: Image, treated: Treated) -> Image:
    box = treated.after
    scale = TILE / (max(box.xmax - box.xmin, box.ymax - box.ymin) * 1.5)
    middle = ((box.xmin + box.xmax) / 2, (box.ymin + box.ymax) / 2)
    matrix = np.array([[scale, 0, TILE / 2 - scale * middle[0]], [0, scale, TILE / 2 - scale * middle[1]]])
    if scale < 0.7:  # warpAffine does not average
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.4 / scale), np.uint8)
    face = cv2.warpAffine(picture, matrix, (TILE, TILE), flags=cv2.INTER_LINEAR, borderValue=(255, 255, 255))
    text = np.full((16, TILE, 3), 255, np.uint8)
    label = f"{treated.what} {treated.worn.replace('_', ' ').replace('properly', '')}".strip()
    cv2.putText(text, label, (2, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([face, text]).astype(np.uint8)
