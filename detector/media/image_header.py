"""What the bytes of an image file say before a decoder sees them: format, upright size, memory, whether all arrived.

OpenCV has no call for any of these, a full decode costs a hundred times more, and its decoders believe what a file
claims: 45 bytes of PNG make them take 4 GB. So every length is held against the file's own here, and a picture whose
size cannot be read is not decoded. Where a decoder might understand a file differently, it is refused.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import SEEK_END
from typing import BinaryIO

__all__ = ["MAX_PARTS", "PNG_NEEDED", "ImageHeader", "length_of", "read_header"]

EXIF_ORIENTATION = 0x0112

MAX_PARTS = 1 << 17
"""No picture has more chunks or segments; a walk through those of a hostile file would take minutes."""

PNG_NEEDED = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
"""The chunks that a PNG's pixels depend on; a decoder gets no others."""

JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15 without DHT, JPG and DAC
JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD8)})  # TEM and RST have no length
JPEG_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
JPEG_SCAN, JPEG_EXIF = 0xDA, 0xE1
JPEG_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # in coded data there are stuffed zeros and restarts only
MAX_SCANS = 100  # encoders write a few dozen at most; each goes over the whole picture again
PNG_BYTES = {0: 1, 2: 3, 3: 3}  # of a decoded 8-bit pixel, by colour type; 4 with transparency
MAX_EXIF = 1 << 20  # an orientation stands in the first bytes; a chunk that claims more is not read whole
HEIF = frozenset({b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis"})


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
        first_scan: of JPEG, where it begins; 0 where there is none.
        channels: of JPEG.
    """

    format: str
    size: tuple[int, int] | None = None
    orientation: int = 1
    complete: bool = True
    memory: int = 0
    fault: str = ""
    animated: bool = False
    end: int | None = None
    first_scan: int = 0
    channels: int = 0

    @property
    def upright_size(self) -> tuple[int, int] | None:
        """(width, height) as a viewer shows the image: orientations 5 to 8 lie on their side."""
        return self.size[::-1] if self.size and self.orientation >= 5 else self.size


def read_header(file: BinaryIO) -> ImageHeader:
    """Read the header of an image from a seekable file; never raises on damaged bytes."""
    file.seek(0)
    start = file.read(16)
    file.seek(0)
    if start.startswith(b"\xff\xd8"):
        return _read_jpeg(file)
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return _read_png(file)
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return _read_webp(file)
    from detector.media.image_formats import READERS  # here: it stands on this module

    for magic, read in READERS.items():
        if re.match(magic, start):
            return read(file)
    return ImageHeader("heif" if start[4:8] == b"ftyp" and start[8:12] in HEIF else "other")


def length_of(file: BinaryIO) -> int:
    """Bytes in a seekable file; its position stays."""
    here = file.tell()
    length = file.seek(0, SEEK_END)
    file.seek(here)
    return length


def _orientation_of(exif: bytes) -> int:
    """Tag 0x0112 of the first directory (Exif 2.32, 4.6.4 A); 1 where it is missing or nonsense."""
    tiff = exif[6:]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if not exif.startswith(b"Exif\0") or order is None or len(tiff) < 8:
        return 1
    start = struct.unpack_from(order + "I", tiff, 4)[0]
    count = int.from_bytes(tiff[start : start + 2], "little" if order == "<" else "big")
    entries = tiff[start + 2 : start + 2 + 12 * count]
    for tag, kind, _, value in struct.iter_unpack(order + "HHI4s", entries[: len(entries) // 12 * 12]):
        if tag == EXIF_ORIENTATION:  # a SHORT, which some writers make a LONG
            number = int(struct.unpack(order + ("I" if kind == 4 else "H2x"), value)[0])
            return number if 1 <= number <= 8 else 1
    return 1


def _read_jpeg(file: BinaryIO) -> ImageHeader:
    header, scans, frame, progressive = ImageHeader("jpeg", complete=False), 0, b"", False
    file.seek(2)
    for marker in _markers(file):
        body = int.from_bytes(file.read(2), "big") - 2
        if body < 0:
            return header
        after = file.tell() + body
        if marker in JPEG_SIZES:
            if frame:
                return replace(header, fault="has two headers")
            frame = file.read(6).ljust(6, b"\0")
            height, width = struct.unpack(">HH", frame[1:5])
            header = replace(header, size=(width, height), memory=width * height * 6)
            progressive = marker in JPEG_PROGRESSIVE
        elif marker == JPEG_EXIF and header.orientation == 1:
            header = replace(header, orientation=_orientation_of(file.read(body)))
        elif marker == JPEG_SCAN:
            header = replace(header, first_scan=after - body - 4, channels=frame[5] if frame else 0)
            components = file.read(1)
            if frame and (progressive or components < frame[5:]):
                # All coefficients are kept until the last scan.
                header = replace(header, memory=header.memory + header.memory // 3 * frame[5])
                scans = _scans(file, after)
            # The end marker cannot occur inside the coded data, but an EXIF thumbnail before it has one of its own.
            file.seek(after)
            fault = "has more scans than any encoder writes" if scans > MAX_SCANS else ""
            return replace(header, complete=_contains(file, b"\xff\xd9"), fault=fault)
        file.seek(after)
    return header


def _markers(file: BinaryIO) -> Iterator[int]:
    """Markers that have a length, each with the file just behind it; up to the end, or where there is none."""
    for _ in range(MAX_PARTS):
        if file.read(1) != b"\xff" or not (byte := file.read(1)):
            return
        if byte == b"\xff":  # a fill byte
            file.seek(-1, 1)
        elif byte[0] not in JPEG_BARE:
            if byte[0] < 0xC0 or byte in b"\xd8\xd9":
                return
            yield byte[0]


def _scans(file: BinaryIO, after: int) -> int:
    """How many scans there are, counted up to one more than allowed."""
    file.seek(0)
    data, count = file.read(), 1
    for _ in range(MAX_PARTS):
        found = JPEG_MARKER.search(data, after)
        if found is None or found[0] == b"\xff\xd9" or count > MAX_SCANS:
            return count
        count += found[0][1] == JPEG_SCAN
        after = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
    return MAX_SCANS + 1


def _contains(file: BinaryIO, end: bytes) -> bool:
    """Whether ``end`` occurs at or after the file's position; looks at the tail first, where it nearly always is."""
    start = file.tell()
    length = length_of(file)
    file.seek(max(start, length - 64))
    if end in file.read():
        return True
    file.seek(start)
    return end in file.read()


def _read_png(file: BinaryIO) -> ImageHeader:
    header, length = ImageHeader("png", complete=False), length_of(file)
    depth, copy, pixel = 8, 0, 4
    file.seek(8)
    for index in range(MAX_PARTS):
        head = file.read(8)
        kind, size = head[4:], int.from_bytes(head[:4], "big")
        after = file.tell() + size + 4
        if (kind == b"IHDR") != (index == 0) or (index == 0 and size != 13):
            return replace(header, fault="is damaged: a PNG must begin with one header")
        if len(head) < 8 or after > length + 4 * (kind == b"IEND"):
            return header
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", file.read(10))
            header, pixel = replace(header, size=(width, height)), PNG_BYTES.get(colour, 4)
        elif kind == b"tRNS":
            pixel = 4
        elif kind == b"IEND":
            # OpenCV copies what it has decoded; the reader makes three channels of it, from a copy of the file.
            pixel *= 2 if depth > 8 else 1
            return replace(header, complete=True, memory=max(2 * pixel, pixel + 3) * width * height + copy)
        elif kind not in PNG_NEEDED:
            copy = length
            if kind == b"eXIf" and size <= MAX_EXIF:
                header = replace(header, orientation=_orientation_of(b"Exif\0\0" + file.read(size)))
            header = replace(header, animated=header.animated or kind == b"acTL")
        file.seek(after)
    return replace(header, fault="has more chunks than any picture")


def _read_webp(file: BinaryIO) -> ImageHeader:
    length = length_of(file)
    file.seek(4)
    end = int.from_bytes(file.read(4), "little") + 8
    header = ImageHeader("webp", complete=length >= end)
    file.seek(12)
    inner = None
    for index in range(MAX_PARTS):
        head = file.read(8)
        if len(head) < 8:
            return header if inner else replace(header, fault="holds no picture")
        kind, size = struct.unpack("<4sI", head)
        after = file.tell() + size + size % 2
        if index == 0 and kind not in {b"VP8X", b"VP8 ", b"VP8L"}:
            return replace(header, fault="is damaged: its first part is no picture's")
        if kind == b"VP8X" and index == 0:
            extent = file.read(10).ljust(10, b"\0")
            canvas = (int.from_bytes(extent[4:7], "little") + 1, int.from_bytes(extent[7:10], "little") + 1)
            animated = bool(extent[0] & 2)
            header = replace(
                header, size=canvas, memory=canvas[0] * canvas[1] * (12 if animated else 8), animated=animated
            )
        elif kind in {b"VP8 ", b"VP8L"} and inner is None:
            inner = _webp_size(kind, file.read(10))
            if header.size is not None and inner != header.size:
                return replace(header, fault="is damaged: its picture is not as large as its header says")
            header = replace(header, size=inner, memory=inner[0] * inner[1] * 8)
        elif kind == b"ANMF" and inner is None:
            inner, header = header.size, replace(header, end=after, memory=header.memory + after)
        elif kind == b"EXIF" and size <= MAX_EXIF:
            exif = file.read(size)
            header = replace(
                header, orientation=_orientation_of(exif if exif.startswith(b"Exif") else b"Exif\0\0" + exif)
            )
        file.seek(after)
    return replace(header, fault="has more chunks than any picture")


def _webp_size(kind: bytes, start: bytes) -> tuple[int, int]:
    """(width, height) of a bitstream: RFC 6386, 9.1 and the specification of lossless WebP, 3."""
    start = start.ljust(10, b"\0")
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", start[6:10])
        return width & 0x3FFF, height & 0x3FFF
    bits = int.from_bytes(start[1:5], "little")
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
