"""What is known of a picture before it is decoded, and the limits that its headers are held against."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from io import SEEK_END
from typing import BinaryIO

__all__ = ["MAX_PARTS", "PNG_NEEDED", "ImageHeader", "length_of", "orientation_of"]

EXIF_ORIENTATION = 0x0112

MAX_PARTS = 1 << 17
"""No picture has more chunks or segments; a walk through those of a hostile file would take minutes."""

PNG_NEEDED = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
"""The chunks that a PNG's pixels depend on; a decoder gets no others."""


@dataclass(frozen=True)
class ImageHeader:
    """What is known without decoding.

    Args:
        format: "jpeg", "png", "webp", "gif", "tiff", "bmp", "pnm", "jp2" (JPEG 2000), "heif" (AVIF too) or "other".
        size: (width, height) as stored, before ``orientation``; None where the file does not say it.
        orientation: EXIF orientation, 1 (upright) to 8.
        complete: False if the end of the file is missing; True as well where the format gives no cheap way to know.
        memory: bytes that OpenCV takes at most to decode it, beside the file.
        fault: why it must not be decoded, to follow the file's name; empty if nothing is wrong.
        animated: there is more than one picture.
        end: of GIF and WebP, where the first picture of several ends.
    """

    format: str
    size: tuple[int, int] | None = None
    orientation: int = 1
    complete: bool = True
    memory: int = 0
    fault: str = ""
    animated: bool = False
    end: int | None = None

    @property
    def upright_size(self) -> tuple[int, int] | None:
        """(width, height) as a viewer shows the image: orientations 5 to 8 lie on their side."""
        return self.size[::-1] if self.size and self.orientation >= 5 else self.size


def length_of(file: BinaryIO) -> int:
    """Bytes in a seekable file; its position stays."""
    here = file.tell()
    length = file.seek(0, SEEK_END)
    file.seek(here)
    return length


def orientation_of(exif: bytes) -> int:
    """Tag 0x0112 of the first directory (Exif 2.32, 4.6.4 A); 1 where it is missing or nonsense."""
    tiff = exif[6:]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if not exif.startswith(b"Exif\0") or order is None or len(tiff) < 8:
        return 1
    start = int(struct.unpack_from(order + "I", tiff, 4)[0])
    directory = tiff[start : start + 2]
    if len(directory) < 2:
        return 1
    for index in range(struct.unpack(order + "H", directory)[0]):
        entry = tiff[start + 2 + 12 * index : start + 14 + 12 * index]
        if len(entry) < 12:
            return 1
        tag, kind, _, value = struct.unpack(order + "HHIH", entry[:10])
        if tag == EXIF_ORIENTATION:
            if kind == 4:  # LONG, which some writers use instead of SHORT
                value = struct.unpack(order + "I", entry[8:])[0]
            return int(value) if 1 <= value <= 8 else 1
    return 1
