"""The headers of GIF, BMP, PNM, TIFF and JPEG 2000, as far as memory depends on them."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import BinaryIO

from detector.media.image_header import MAX_PARTS, ImageHeader, length_of

__all__ = ["READERS"]

MAX_BLOCKS = 8 * MAX_PARTS  # of at most 255 bytes: more than 200 MB
PNM_HEAD = 4096  # bytes in which width and height must stand; only comments can be so long
PNM_GAP = rb"(?:\s|#[^\r\n]*[\r\n])*"
PNM_SIZE = re.compile(rb"P[1-6]" + PNM_GAP + rb"(\d{1,9})(?!\d)" + PNM_GAP + rb"(\d{1,9})(?!\d)")

TIFF_KINDS = {1: "B", 3: "H", 4: "I", 16: "Q"}
TIFF_BYTES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}  # of one value; else 1
TIFF_FACTS = {
    256: "width",
    257: "height",
    258: "bits",
    259: "compression",
    277: "channels",
    278: "strip",
    322: "tile_width",
    323: "tile_height",
}
TIFF_COMPRESSIONS = {1, 2, 3, 4, 5, 7, 8, 32773, 32946}  # none, fax, LZW, JPEG, deflate, PackBits
TIFF_DAMAGED = "is damaged: its directory makes no sense"

# ISO/IEC 15444-1, annexes A and I. OpenJPEG keeps a structure for each tile, precinct, code block and layer: tiny ones
# cost a thousand times the picture.
SIZ, COD, COC, SOT, SOD = 0xFF51, 0xFF52, 0xFF53, 0xFF90, 0xFF93
MAX_BOXES = 1 << 20  # bytes before the code stream
MAX_LAYERS = 1000  # encoders write 20 at most, and each goes over the whole picture
TILE, BLOCK = 16384, 1600  # bytes that OpenJPEG takes for each of them at most


def _read_gif(file: BinaryIO) -> ImageHeader:
    """The screen's size, and where the first picture ends."""
    file.seek(6)
    width, height, flags = struct.unpack("<HHB", file.read(5).ljust(5, b"\0"))
    header = ImageHeader("gif", (width, height), memory=9 * width * height)
    file.seek(13 + _palette(flags))
    blocks = iter(range(MAX_BLOCKS))
    for _ in blocks:
        kind = file.read(1)
        if kind == b"!":
            file.seek(1, 1)
        elif kind == b"," and header.end is None:
            left, top, wide, high, flags = struct.unpack("<HHHHB", file.read(9).ljust(9, b"\0"))
            if left + wide > width or top + high > height:
                return replace(header, fault="is damaged: its picture is larger than its header says")
            file.seek(_palette(flags) + 1, 1)
        else:
            return replace(header, animated=kind == b",")
        for _ in blocks:
            size = file.read(1)
            if not size or size == b"\0":
                break
            file.seek(size[0], 1)
        if kind == b",":
            header = replace(header, end=file.tell(), memory=header.memory + file.tell())
    return replace(header, fault="has more blocks than any picture")


def _palette(flags: int) -> int:
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _read_bmp(file: BinaryIO) -> ImageHeader:
    """The size of a Windows or OS/2 bitmap; a negative height means from top to bottom."""
    head = file.read(26).ljust(26, b"\0")
    kind = "<HH" if head[14:18] == b"\x0c\0\0\0" else "<ii"
    width, height = struct.unpack_from(kind, head, 18)
    size = (abs(width), abs(height))
    return ImageHeader("bmp", size, memory=7 * size[0] * size[1])


def _read_pnm(file: BinaryIO) -> ImageHeader:
    """The size of a PBM, PGM or PPM file."""
    found = PNM_SIZE.match(file.read(PNM_HEAD))
    if found is None:
        return ImageHeader("pnm", fault="is damaged: its size cannot be read")
    size = (int(found[1]), int(found[2]))
    return ImageHeader("pnm", size, memory=6 * size[0] * size[1])


def _read_tiff(file: BinaryIO) -> ImageHeader:
    """The first directory of a classic or a big TIFF."""
    try:
        facts = _tiff_facts(file)
    except (struct.error, ValueError):
        return ImageHeader("tiff", fault=TIFF_DAMAGED)
    width, height, channels = facts.get("width", 0), facts.get("height", 0), facts.get("channels", 1)
    bits = facts.get("bits", 1)
    if not 0 < channels <= 5 or not 0 < bits <= 64 or facts.get("compression", 1) not in TIFF_COMPRESSIONS:
        kind = f"{channels} channels of {bits} bits in compression {facts.get('compression', 1)}"
        return ImageHeader("tiff", fault=f"is of a kind of TIFF that cannot be read ({kind}): save it as PNG")
    # Decoded strip by strip, or tile by tile, of which one may be larger than the picture.
    tile_width = facts.get("tile_width", width)
    tile_height = facts.get("tile_height", min(height, facts.get("strip", height)))
    tiles = math.ceil(width / max(tile_width, 1)) * math.ceil(height / max(tile_height, 1))
    if width * height and (not tile_width * tile_height or tiles > 8 * MAX_PARTS):
        return ImageHeader("tiff", (width, height), fault=TIFF_DAMAGED)
    pixel = max(3, channels) * math.ceil(bits / 8)
    memory = 2 * pixel * width * height + (4 + pixel) * tile_width * tile_height + 2 * facts["values"]
    return ImageHeader("tiff", (width, height), memory=memory)


def _tiff_facts(file: BinaryIO) -> dict[str, int]:
    """What the entries say that memory depends on.

    "values" are the bytes of all entries together: libtiff copies those of unknown ones too, and a hundred may share
    the same place in the file.

    Raises:
        ValueError: an entry stands twice, makes no sense, or lies outside of the file.
        struct.error: the file ends within one.
    """
    head = file.read(16)
    order = "<" if head.startswith(b"II") else ">"
    big = struct.unpack_from(order + "H", head, 2)[0] == 43
    start = struct.unpack_from(order + ("Q" if big else "I"), head, 8 if big else 4)[0]
    if start > length_of(file):
        raise ValueError
    file.seek(start)
    count = struct.unpack(order + ("Q" if big else "H"), file.read(8 if big else 2))[0]
    width, value_at, long = (20, 12, "Q") if big else (12, 8, "I")
    entries = file.read(width * min(count, MAX_PARTS))
    facts = {"values": 0}
    for at in range(0, len(entries) - width + 1, width):
        tag, kind, number = struct.unpack_from(order + "HH" + long, entries, at)
        facts["values"] += number * TIFF_BYTES.get(kind, 1)
        if facts["values"] > length_of(file):
            raise ValueError
        name = TIFF_FACTS.get(tag)
        if name is None:
            continue
        code = TIFF_KINDS.get(kind)
        if name in facts or code is None or not number:
            raise ValueError
        if number * struct.calcsize(code) <= width - value_at:
            values = struct.unpack_from(f"{order}{code}", entries, at + value_at)
        else:  # only bits per sample have one for each channel
            file.seek(min(struct.unpack_from(order + long, entries, at + value_at)[0], length_of(file)))
            values = struct.unpack(f"{order}{min(number, 8)}{code}", file.read(struct.calcsize(code) * min(number, 8)))
        facts[name] = max(values)
    return facts


def _read_jpeg2000(file: BinaryIO) -> ImageHeader:
    """The size and the cost of a JP2 file or a bare code stream."""
    try:
        start, channels = _code_stream(file)
        file.seek(start)
        size, coding = b"", []
        for marker, body in _segments(file):
            if marker == SIZ and size:
                raise ValueError
            if marker == SIZ:
                size = body
            elif marker in {COD, COC}:
                # Of both, what follows the component's number or the progression order.
                coding.append((body[0], body[2:4], body[5:]) if marker == COD else (body[1], b"\0\0", body[2:]))
        return _header(size, channels, max(_overhead(*each) for each in coding))
    except (struct.error, ValueError, IndexError, ZeroDivisionError):
        return ImageHeader("jp2", fault="is damaged: its header makes no sense")


def _header(size: bytes, channels: int, overhead: float) -> ImageHeader:
    _, right, bottom, left, top, tile_width, tile_height, _, _, components = struct.unpack_from(">H8IH", size)
    width, height, channels = right - left, bottom - top, max(channels, components)
    if not 0 < channels <= 4 or width <= 0 or height <= 0:
        raise ValueError
    tiles = math.ceil(right / tile_width) * math.ceil(bottom / tile_height)
    memory = channels * width * height * (5 + overhead) + TILE * tiles
    return ImageHeader("jp2", (width, height), memory=round(memory))


def _overhead(style: int, layers: bytes, steps: bytes) -> float:
    """Bytes for each pixel of a channel beside its value; the coding style's parameters as A.6.1 orders them."""
    levels, block = steps[0], (steps[1] + 2, steps[2] + 2)
    sizes = [(each & 15, each >> 4) for each in steps[5 : 6 + levels]] if style & 1 else [(15, 15)]
    least = min(max(0, min(block[0], x - 1)) + max(0, min(block[1], y - 1)) for x, y in sizes)
    precinct = min(x + y for x, y in sizes)
    if (count := int.from_bytes(layers, "big")) > MAX_LAYERS:
        raise ValueError
    return float(BLOCK / 2**least + 2 * (levels + 1) * count / 2**precinct)


def _code_stream(file: BinaryIO) -> tuple[int, int]:
    """Where the code stream begins, and how many channels a palette makes (0 without one)."""
    boxes, at = file.read(MAX_BOXES), 0
    if boxes.startswith(b"\xff\x4f"):
        return 0, 0
    while boxes[at + 4 : at + 8] != b"jp2c":
        size = int(struct.unpack_from(">I", boxes, at)[0])
        if size < 8:
            raise ValueError
        at += size
    palettes = [boxes[found.end() + 2] for found in re.finditer(b"pclr", boxes[:at])]
    return at + (16 if boxes[at : at + 4] == b"\0\0\0\1" else 8), max(palettes, default=0)


def _segments(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """(marker, body) of the main header's and all tile parts' segments."""
    if file.read(2) != b"\xff\x4f":
        raise ValueError
    part_end = 0
    for _ in range(MAX_PARTS):
        here = file.tell()
        head = file.read(4)
        if len(head) < 4 or head.startswith(b"\xff\xd9"):
            return
        marker, length = struct.unpack(">HH", head)
        if marker == SOD:
            if not part_end:
                return  # this part goes on to the end of the file
            if part_end < here + 2:
                raise ValueError
            file.seek(part_end)
            continue
        if marker < 0xFF01 or length < 2:
            raise ValueError
        body = file.read(length - 2)
        if marker == SOT:
            size = struct.unpack_from(">HI", body)[1]
            part_end = here + size if size else 0
        yield marker, body
    raise ValueError


READERS: dict[bytes, Callable[[BinaryIO], ImageHeader]] = {
    rb"GIF8": _read_gif,
    rb"(II[*+]\0|MM\0[*+])": _read_tiff,
    rb"BM": _read_bmp,
    rb"P[1-6]\s": _read_pnm,
    rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n": _read_jpeg2000,
}
"""By a pattern of a file's first bytes: what reads its header."""
