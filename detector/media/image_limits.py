"""What is known of an image file before it is decoded, whether a decoder may see it, and how much of it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from io import SEEK_END
from typing import BinaryIO

from detector.errors import SourceError

__all__ = [
    "MAX_PARTS",
    "MAX_PIXELS",
    "PNG_NEEDED",
    "ImageHeader",
    "check",
    "first_picture",
    "length_of",
    "orientation_of",
]

MAX_PIXELS = 2**28
"""Larger images (about 16,000 x 16,000) are refused before their pixels, 800 MB and more, are allocated."""

MEMORY = 12  # bytes for each pixel that is allowed, the file's own among them: 16-bit colours need as many
MAX_SIDE = 1_000_000  # libpng's limit

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


def check(header: ImageHeader, name: str, length: int, max_pixels: int) -> None:
    """Refuse what OpenCV would half-decode, decode sideways, complain about on stderr, or drown in.

    Args:
        header: what the file says.
        name: what the error message calls it.
        length: of the file, in bytes.
        max_pixels: width times height; decoding may take 12 bytes for each, the file's own among them.

    Raises:
        SourceError: it must not be decoded.
    """
    if reason := _refusal(header, length, max_pixels):
        raise SourceError(f"{name}: {reason}")


def _refusal(header: ImageHeader, length: int, max_pixels: int) -> str:
    width, height = header.size or (0, 0)
    if not length:
        return "the file is empty: copy it again"
    if not header.complete and not header.fault:
        return f"the file is cut short ({length} bytes, the end is missing): copy it again"
    if header.format == "heif":
        return "HEIC and AVIF cannot be read: convert it to JPEG or PNG"
    if header.fault:
        return header.fault + ("" if ": save" in header.fault else ": save it again")
    if header.size is None:
        return "not an image that can be read, or a damaged one: save it as JPEG or PNG"
    if not width * height:
        return f"{width}x{height} pixels cannot be read, the file is damaged: save it again"
    if width * height > max_pixels or max(width, height) > MAX_SIDE:
        return f"{width}x{height} pixels cannot be read: scale it to at most {max_pixels} pixels"
    if (memory := header.memory + length) > MEMORY * max_pixels:
        kind = f"{width}x{height} pixels in this kind of {header.format.upper()}"
        return f"{kind} take too much memory ({memory >> 20} MB): scale it down, or save it as JPEG"
    return ""


def first_picture(data: bytes, header: ImageHeader) -> bytes:
    """The file as far as the decoder needs it: no further pictures, no compressed comments or profiles.

    Of a damaged animation, OpenCV 5.0.0 reads beyond its memory and dies.
    """
    if header.format == "gif" and header.end:
        return data[: header.end] + b";"
    if header.format == "webp" and header.end:
        return data[:4] + (header.end - 8).to_bytes(4, "little") + data[8 : header.end]
    return _needed_chunks(data) if header.format == "png" else data


def _needed_chunks(data: bytes) -> bytes:
    kept, at = [slice(0, 8)], 8
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        if kind in PNG_NEEDED and kept[-1].stop == at:
            kept[-1] = slice(kept[-1].start, end)
        elif kind in PNG_NEEDED:
            kept.append(slice(at, end))
        if kind == b"IEND":
            break
        at = end
    view = memoryview(data)
    return data[kept[0]] if len(kept) == 1 else b"".join(view[piece] for piece in kept)
