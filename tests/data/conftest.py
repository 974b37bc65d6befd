"""Small labelled sets, made of real files."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from detector.data import voc
from detector.media import images

BoxLike = tuple[str, float, float, float, float]


class Workspace:
    """A folder with sets like ``kaggle/images`` and ``kaggle/annotations``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.out = root / "out"

    def annotations(self, name: str = "set") -> Path:
        return self.root / name / "annotations"

    def images(self, name: str = "set") -> Path:
        return self.root / name / "images"

    def image(self, name: str, width: int = 64, height: int = 48, *, folder: str = "set", seed: int = 0) -> Path:
        path = self.images(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # Few large random patches, so that each seed gives another perceptual hash.
        patches = np.random.default_rng(seed).integers(0, 256, (8, 9), np.uint8)
        rows, columns = np.arange(height) * 8 // height, np.arange(width) * 9 // width
        images.write(path, np.repeat(patches[rows][:, columns, None], 3, axis=2))
        return path

    def label(
        self,
        stem: str,
        *boxes: BoxLike,
        size: tuple[int, int] | None = (64, 48),
        filename: str | None = None,
        folder: str = "set",
    ) -> Path:
        path = self.annotations(folder) / f"{stem}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        stated = f"{stem}.jpg" if filename is None else filename
        voc.write(path, voc.Annotation(stated, "images", size, tuple(voc.Box(*box) for box in boxes)))
        return path

    def pair(self, name: str, *boxes: BoxLike, folder: str = "set", seed: int = 0) -> Path:
        """A 64 x 48 image and its annotation."""
        self.label(Path(name).stem, *boxes, filename=name, folder=folder)
        return self.image(name, folder=folder, seed=seed)

    def split(self, *rows: str, header: str = "image,split") -> Path:
        path = self.root / "split.csv"
        path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return path


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


@pytest.fixture
def tree_hash() -> Callable[[Path], dict[str, str]]:
    """Relative name to hash of the content, for every file of a folder."""

    def hash_all(folder: Path) -> dict[str, str]:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}

    return hash_all


@pytest.fixture
def lay_on_side() -> Callable[[Path], None]:
    """Gives a JPEG the EXIF orientation 6: a viewer turns it by 90 degrees."""

    def turn(path: Path) -> None:
        tiff = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
        body = b"Exif\0\0" + tiff
        data = path.read_bytes()
        path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:])

    return turn
