"""The header of JPEG 2000 (ISO/IEC 15444-1, annexes A and I), as far as memory depends on it.

OpenJPEG keeps a structure for each tile, precinct, code block and layer: tiny ones cost a thousand times the picture.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from typing import BinaryIO

from detector.media.image_facts import MAX_PARTS, ImageHeader

__all__ = ["read_jpeg2000"]

SIZ, COD, COC, SOT, SOD = 0xFF51, 0xFF52, 0xFF53, 0xFF90, 0xFF93
MAX_BOXES = 1 << 20  # bytes before the code stream
MAX_LAYERS = 1000  # encoders write 20 at most, and each goes over the whole picture
TILE, BLOCK = 16384, 1600  # bytes that OpenJPEG takes for each of them at most


def read_jpeg2000(file: BinaryIO) -> ImageHeader:
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
