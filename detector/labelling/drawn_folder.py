"""The folder of treated pictures, and the contact sheet to look at."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from detector.data import voc
from detector.files import check_free, new_folder, refuse_existing, write_late
from detector.labelling.bare_pictures import Picture
from detector.labelling.treatment import Treated
from detector.media.images import Image, encode

__all__ = ["Folder", "Sheet", "jpeg_quality"]

LUMINANCE_SUM = 3688
"""Of the 64 steps in the luminance table of quality 50 (JPEG standard, annex K)."""

TILE = 150
"""Side of a face on the sheet, px; there is a line of text below it."""

COLUMNS, MOST = 12, 240

Split = tuple[str, str, str, str]


class Folder:
    """``images/*.jpg`` and ``annotations/*.xml``, which appear whole or not at all. A context manager.

    Args:
        out: a folder that is not there yet, or is empty.

    Raises:
        OutputError: something is there, or it cannot be written.
    """

    def __init__(self, out: Path) -> None:
        check_free(out, "--out")
        self._out = out
        self._whole = new_folder(out, "--out")
        self._part = out
        self._rows: list[Split] = []
        self._names: set[str] = set()

    def __enter__(self) -> Folder:
        self._part = self._whole.__enter__()
        for name in ("images", "annotations"):
            (self._part / name).mkdir()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._whole.__exit__(kind, error, trace)

    def add(self, source: Picture, picture: Image, treated: Sequence[Treated], part: str) -> str:
        """Write a treated picture and its labels; returns its file name.

        Args:
            source: what it was made from.
            picture: BGR uint8 (H, W, 3).
            treated: what was done.
            part: of the split that it belongs to.
        """
        name = self._free_name(source)
        boxes = list(source.boxes)
        for each in treated:
            boxes[each.index] = each.after
        height, width = picture.shape[:2]
        (self._part / "images" / name).write_bytes(encode(picture, ".jpg", jpeg_quality(source.path)))
        annotation = voc.Annotation(name, "images", (width, height), tuple(boxes))
        (self._part / "annotations" / f"{name.removesuffix('.jpg')}.xml").write_bytes(voc.to_bytes(annotation))
        self._rows.append((self._out.absolute().name, name, source.group, part))
        return name

    def write_split(self, split: Path | None) -> None:
        """Write ``split.csv``: the lines of the user's own file, if any, and those of the pictures written here."""
        rows: list[Split] = []
        if split is not None:
            with split.open(encoding="utf-8-sig", newline="") as file:
                rows = [_row(row) for row in csv.DictReader(file)]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([("set", "image", "group", "split"), *rows, *self._rows])
        (self._part / "split.csv").write_bytes(text.getvalue().encode())

    def _free_name(self, source: Picture) -> str:
        """The source's own name, with its set before it where another set has it too."""
        numbered = (f"{source.set_name}_{source.path.stem}_{number}" for number in count(2))
        stems = chain((source.path.stem, f"{source.set_name}_{source.path.stem}"), numbered)
        name = next(f"{stem}.jpg" for stem in stems if f"{stem}.jpg".casefold() not in self._names)
        self._names.add(name.casefold())
        return name


class Sheet:
    """A contact sheet of treated faces, each with what is around it; a random choice where there are many.

    Args:
        path: where it is written, in the format of its suffix.
        seed: of the choice.

    Raises:
        OutputError: a file is there, or the format is not known.
    """

    def __init__(self, path: Path, seed: int) -> None:
        refuse_existing(path)
        encode(np.zeros((1, 1, 3), np.uint8), path.suffix)  # now, not after all the drawing
        self._path = path
        self._tiles: list[Image] = []
        self._seen = 0
        self._rng = np.random.default_rng([seed, 7])

    def add(self, picture: Image, treated: Treated) -> None:
        """Show a face."""
        place = self._seen if self._seen < MOST else int(self._rng.integers(self._seen + 1))
        self._seen += 1
        if place >= MOST:
            return
        tile = _tile(picture, treated)
        self._tiles[place:] = [tile, *self._tiles[place + 1 :]]

    def write(self) -> None:
        """Write it.

        Raises:
            OutputError: it cannot be written.
        """
        blank = [np.full((TILE + 16, TILE, 3), 255, np.uint8)] * (-len(self._tiles) % COLUMNS)
        tiles = [*self._tiles, *blank] if len(self._tiles) > COLUMNS else self._tiles
        columns = min(COLUMNS, len(tiles))
        sheet = np.vstack([np.hstack(tiles[at : at + columns]) for at in range(0, len(tiles), columns)])
        write_late(self._path, encode(sheet, self._path.suffix))


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


def _row(row: dict[str, str]) -> Split:
    return row.get("set") or "", row["image"], row.get("group") or "", row["split"]


def _tile(picture: Image, treated: Treated) -> Image:
    box = treated.after
    side = max(box.xmax - box.xmin, box.ymax - box.ymin) * 1.5
    scale = TILE / side
    middle = ((box.xmin + box.xmax) / 2, (box.ymin + box.ymax) / 2)
    matrix = np.array([[scale, 0, TILE / 2 - scale * middle[0]], [0, scale, TILE / 2 - scale * middle[1]]])
    if scale < 0.7:  # warpAffine does not average
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.4 / scale), np.uint8)
    face = cv2.warpAffine(picture, matrix, (TILE, TILE), flags=cv2.INTER_LINEAR, borderValue=(255, 255, 255))
    text = np.full((16, TILE, 3), 255, np.uint8)
    label = " ".join(word for word in (treated.what, treated.worn.replace("_", " ").replace("properly", "")) if word)
    cv2.putText(text, label, (2, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([face, text]).astype(np.uint8)
