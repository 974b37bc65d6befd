"""What the first bytes of an image file say: its format, its upright size, and whether all of it arrived.

OpenCV has no call for any of the three, a full decode costs a hundred times more, and its decoders differ from version
to version in what they do with orientation and with a file that is cut short.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from io import SEEK_CUR, SEEK_END
from typing import BinaryIO

__all__ = ["ImageHeader", "read_header"]

JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15 without DHT, JPG and DAC
JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD9)})  # TEM, RST and SOI have no length
JPEG_SCAN, JPEG_EXIF = 0xDA, 0xE1
EXIF_ORIENTATION = 0x0112
MAX_EXIF = 1 << 20  # an orientation stands in the first bytes; a chunk that claims more is not read whole


@dataclass(frozen=True)
class ImageHeader:
    """What is known without decoding.

    Args:
        format: "jpeg", "png", "webp", "gif", "tiff", "bmp", "heif" (HEIC and AVIF) or "other".
        size: (width, height) as stored, before ``orientation``; None where only the decoder knows.
        orientation: EXIF orientation, 1 (upright) to 8.
        complete: False if the end of the file is missing; True as well where the format gives no cheap way to know.
    """

    format: str
    size: tuple[int, int] | None = None
    orientation: int = 1
    complete: bool = True

    @property
    def upright_size(self) -> tuple[int, int] | None:
        """(width, height) as a viewer shows the image: orientations 5 to 8 lie on their side."""
        return self.size[::-1] if self.size and self.orientation >= 5 else self.size


def read_header(file: BinaryIO) -> ImageHeader:
    """Read the header of an image from a seekable file; never raises on damaged bytes."""
    file.seek(0)
    start = file.read(16)
    if start.startswith(b"\xff\xd8"):
        return _read_jpeg(file)
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return _read_png(file)
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return _read_webp(file)
    if start[4:8] == b"ftyp" and start[8:12] in {b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis"}:
        return ImageHeader("heif")
    starts = {b"GIF8": "gif", b"II*\0": "tiff", b"MM\0*": "tiff", b"II+\0": "tiff", b"MM\0+": "tiff", b"BM": "bmp"}
    return ImageHeader(next((name for magic, name in starts.items() if start.startswith(magic)), "other"))


def _read_jpeg(file: BinaryIO) -> ImageHeader:
    size, orientation = None, 1
    file.seek(2)
    while (marker := _next_marker(file)) is not None:
        length = file.read(2)
        if len(length) < 2:
            break
        body = int.from_bytes(length, "big") - 2
        after = file.tell() + body
        if marker in JPEG_SIZES:
            _, height, width = struct.unpack(">BHH", file.read(5).ljust(5, b"\0"))
            size = (width, height)
        elif marker == JPEG_EXIF and orientation == 1:
            orientation = _orientation(file.read(body))
        elif marker == JPEG_SCAN:
            # The end marker cannot occur inside the coded data, but an EXIF thumbnail before it has one of its own.
            file.seek(after)
            return ImageHeader("jpeg", size, orientation, _contains(file, b"\xff\xd9"))
        file.seek(after)
    return ImageHeader("jpeg", size, orientation, complete=False)


def _next_marker(file: BinaryIO) -> int | None:
    """The next marker that has a length; None at the end of the file or the image, or where there is no marker."""
    while (byte := file.read(1)) == b"\xff":
        while (byte := file.read(1)) == b"\xff":  # fill bytes
            pass
        if not byte or byte == b"\xd9":
            return None
        if byte[0] not in JPEG_BARE:
            return byte[0]
    return None


def _contains(file: BinaryIO, end: bytes) -> bool:
    """Whether ``end`` occurs at or after the file's position; looks at the tail first, where it nearly always is."""
    start = file.tell()
    length = file.seek(0, SEEK_END)
    file.seek(max(start, length - 64))
    if end in file.read():
        return True
    file.seek(start)
    return end in file.read()


def _read_png(file: BinaryIO) -> ImageHeader:
    size, orientation = None, 1
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IHDR":
            width, height = struct.unpack(">II", file.read(8).ljust(8, b"\0"))
            size = (width, height)
            length -= 8
        elif kind == b"eXIf" and length <= MAX_EXIF:
            orientation = _orientation(b"Exif\0\0" + file.read(length))
            length = 0
        elif kind == b"IEND":
            return ImageHeader("png", size, orientation)
        file.seek(length + 4, SEEK_CUR)
    return ImageHeader("png", size, orientation, complete=False)


def _read_webp(file: BinaryIO) -> ImageHeader:
    file.seek(4)
    end = int.from_bytes(file.read(4), "little") + 8
    complete = file.seek(0, SEEK_END) >= end
    size, orientation = None, 1
    file.seek(12)
    while len(head := file.read(8)) == 8:
        kind, length = struct.unpack("<4sI", head)
        after = file.tell() + length + length % 2
        if kind == b"VP8X":
            extent = file.read(10).ljust(10, b"\0")
            size = (int.from_bytes(extent[4:7], "little") + 1, int.from_bytes(extent[7:10], "little") + 1)
        elif kind == b"EXIF" and length <= MAX_EXIF:
            exif = file.read(length)
            orientation = _orientation(exif if exif.startswith(b"Exif") else b"Exif\0\0" + exif)
        file.seek(after)
    return ImageHeader("webp", size, orientation, complete)


def _orientation(exif: bytes) -> int:
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
        entry = tiff[start + 2 + 12 * index :][:12]
        if len(entry) < 12:
            return 1
        tag, kind, _, value = struct.unpack(order + "HHIH", entry[:10])
        if tag == EXIF_ORIENTATION:
            if kind == 4:  # LONG, which some writers use instead of SHORT
                value = struct.unpack(order + "I", entry[8:])[0]
            return int(value) if 1 <= value <= 8 else 1
    return 1
