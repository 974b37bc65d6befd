"""Image files that are small and claim, or unpack to, far more: what they cost is what the reader must bound."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from tests.media.makers import encoded, exif, jpeg, png, png_chunk, quarters

PNG = b"\x89PNG\r\n\x1a\n"
END = png_chunk(b"IEND", b"")
SMALL = np.zeros((64, 64, 3), np.uint8)


def png_header(width: int, height: int, depth: int = 8, colour: int = 2, interlaced: int = 0) -> bytes:
    return png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))


def png_of(width: int, height: int, depth: int = 8, colour: int = 2, *chunks: bytes, interlaced: int = 0) -> bytes:
    """A whole PNG of zeros: a thousandth of what it unpacks to."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    row, packer = bytes(1 + (width * channels * depth + 7) // 8), zlib.compressobj(9)
    rows = height * 2 if interlaced else height  # of an interlaced picture, more than enough
    packed = b"".join(packer.compress(row) for _ in range(rows)) + packer.flush()
    return (
        PNG + png_header(width, height, depth, colour, interlaced) + b"".join(chunks) + png_chunk(b"IDAT", packed) + END
    )


def with_chunk(chunk: bytes) -> bytes:
    data = png(SMALL)
    return data[:33] + chunk + data[33:]


def claiming(kind: bytes, size: int = 0xFFFFFF00) -> bytes:
    return struct.pack(">I", size) + kind + bytes(4)


def inflating(kind: bytes, start: bytes) -> bytes:
    packer = zlib.compressobj(9)
    return png_chunk(kind, start + b"".join(packer.compress(bytes(1 << 20)) for _ in range(300)) + packer.flush())


def frame_of(width: int, height: int) -> bytes:
    control = png_chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, width, height, 0, 0, 1, 10, 0, 0))
    return png_chunk(b"acTL", struct.pack(">II", 1000, 0)) + control


def jpeg_sized(data: bytes, width: int, height: int) -> bytes:
    at = next(data.index(marker) for marker in (b"\xff\xc0", b"\xff\xc2") if marker in data)
    return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]


def scans(count: int, width: int, height: int) -> bytes:
    """A progressive JPEG whose last scan is there ``count`` times."""
    data = jpeg_sized(encoded(".jpg", SMALL, cv2.IMWRITE_JPEG_PROGRESSIVE, 1), width, height)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * count + data[-2:]


def hidden_jpeg(width: int, height: int) -> bytes:
    """Its real header stands where a reader that skips the bytes after FF 00 as a segment does not look."""
    data = jpeg(SMALL)
    at = data.index(b"\xff\xc0")
    real = jpeg_sized(data, width, height)[at : at + 19]
    comment = b"\xff\xfe" + struct.pack(">H", 2 + 19)
    return data[:at] + b"\xff\x00" + struct.pack(">H", 2 + len(real + comment)) + real + comment + data[at:]


def webp_of(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"WEBP" + b"".join(k + struct.pack("<I", len(d)) + d + b"\0" * (len(d) % 2) for k, d in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def canvas(width: int, height: int, flags: int = 0) -> tuple[bytes, bytes]:
    return b"VP8X", bytes([flags, 0, 0, 0]) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")


def webp_picture() -> tuple[bytes, bytes]:
    data = encoded(".webp", SMALL, cv2.IMWRITE_WEBP_QUALITY, 50)
    size = struct.unpack("<I", data[16:20])[0]
    return data[12:16], data[20 : 20 + size]


def moving(count: int, width: int, height: int) -> bytes:
    kind, picture = webp_picture()
    place = bytes(6) + (63).to_bytes(3, "little") * 2 + bytes(4)
    frame = b"ANMF", place + kind + struct.pack("<I", len(picture)) + picture
    return webp_of(canvas(width, height, 2), (b"ANIM", bytes(6)), *[frame] * count)


def gif_of(
    screen: tuple[int, int], picture: tuple[int, int], count: int = 1, blocks: bytes = b"\x02\x4c\x01\0"
) -> bytes:
    start = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 0, 0) + bytes([0, 0, 0, 255, 255, 255])
    return start + (b"," + struct.pack("<HHHHB", 0, 0, *picture, 0) + b"\x02" + blocks) * count + b";"


def tiff(entries: Sequence[tuple[int, int, int, int]], data: bytes = b"", again: bool = False) -> bytes:
    """A classic TIFF of one directory of (tag, type, count, value); ``again``: it follows itself for ever."""
    body = struct.pack("<H", len(entries))
    for tag, kind, count, value in sorted(entries, key=lambda entry: entry[0]):
        body += struct.pack("<HHI", tag, kind, count) + struct.pack("<H2x" if kind == 3 and count == 1 else "<I", value)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + body + struct.pack("<I", 8 + len(data) if again else 0)


def tiff_of(width: int, height: int, **changed: int) -> bytes:
    tags = {"bits": 258, "compression": 259, "channels": 277, "strip": 278, "bytes": 279, "tile_width": 322}
    tags |= {"tile_height": 323, "tile_bytes": 325, "tile_at": 324, "twice": 256}
    facts = {"bits": 8, "compression": 1, "channels": 1, "strip": height, "bytes": 64} | changed
    entries = [(256, 4, 1, width), (257, 4, 1, height), (262, 3, 1, 1), (273, 4, 1, 8)]
    return tiff(
        entries + [(tags[name], 4 if value > 65535 else 3, 1, value) for name, value in facts.items()], bytes(64)
    )


def deflated_tiff(width: int, height: int) -> bytes:
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(bytes(width)) for _ in range(height)) + packer.flush()
    tags = [(258, 3, 1, 8), (259, 3, 1, 8), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, len(data))]
    return tiff([(256, 4, 1, width), (257, 4, 1, height), (262, 3, 1, 1), (273, 4, 1, 8), *tags], data, again=True)


def shared_tiff(size: int, entries: int) -> bytes:
    """A TIFF of unknown entries that all have the same bytes as their value."""
    known = [(256, 4, 1, 64), (257, 4, 1, 64), (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 8), (279, 4, 1, 4096)]
    return tiff(known + [(40000 + index, 1, size, 8) for index in range(entries)], bytes(size))


def big_tiff(count: int) -> bytes:
    return b"II+\0" + struct.pack("<HHQ", 8, 0, 16) + struct.pack("<Q", count) + bytes(64)


def bmp_of(width: int, height: int, bits: int = 24, compression: int = 0) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 2000, 0, 0, 1078) + header + bytes(1024) + b"\x00\x01"


def jp2_of(width: int, height: int, tile: tuple[int, int] | None = None, **changed: bytes) -> bytes:
    """A code stream of 64x64 that says that it is larger; ``coding`` replaces COD's body, ``parts`` the components."""
    data = encoded(".jp2", SMALL)
    stream = data[data.index(b"\xff\x4f\xff\x51") :]
    end = 4 + struct.unpack(">H", stream[4:6])[0]
    sizes = struct.pack(">8I", width, height, 0, 0, *(tile or (width, height)), 0, 0)
    parts = changed.get("parts", stream[40:end])
    siz = b"\xff\x51" + struct.pack(">HH", 36 + len(parts), 0) + sizes + parts
    rest = stream[end:]
    if "coding" in changed:
        at = rest.index(b"\xff\x52")
        length = struct.unpack(">H", rest[at + 2 : at + 4])[0]
        body = changed["coding"]
        rest = rest[:at] + b"\xff\x52" + struct.pack(">H", 2 + len(body)) + body + rest[at + 2 + length :]
    return b"\xff\x4f" + siz + rest


def palette_jp2(channels: int) -> bytes:
    data = encoded(".jp2", SMALL)
    at = data.index(b"jp2h") - 4
    size = struct.unpack(">I", data[at : at + 4])[0]
    entry = struct.pack(">HB", 1, channels) + b"\x07" * channels + bytes(channels)
    box = struct.pack(">I", 8 + len(entry)) + b"pclr" + entry
    return data[:at] + struct.pack(">I", size + len(box)) + data[at + 4 : at + size] + box + data[at + size :]


def exif_jpeg(payload: bytes) -> bytes:
    data = jpeg(quarters())
    body = b"Exif\0\0" + payload
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]


REFUSED: dict[str, Callable[[], bytes]] = {
    "PNG of 45 bytes": lambda: PNG + png_header(9, 9) + claiming(b"IEND"),
    "PNG whose comment claims 4 GB": lambda: with_chunk(claiming(b"tEXt")),
    "PNG whose pixels claim 4 GB": lambda: PNG + png_header(9, 9) + claiming(b"IDAT"),
    "PNG whose header claims 4 GB": lambda: PNG + claiming(b"IHDR"),
    "PNG of 60000x60000": lambda: PNG + png_header(60000, 60000) + png_chunk(b"IDAT", b"") + END,
    "PNG with two headers": lambda: PNG + png_header(9, 9) + png_header(60000, 60000) + END,
    "PNG whose header comes late": lambda: PNG + png_chunk(b"tEXt", b"a\0b") + png_header(60000, 60000) + END,
    "PNG of 200,000 chunks": lambda: with_chunk(png_chunk(b"tEXt", b"") * 200_000),
    "PNG of 16 bits and 12 megapixels": lambda: PNG + png_header(3464, 3464, 16, 6) + png_chunk(b"IDAT", b"") + END,
    "JPEG of 65500x65500": lambda: jpeg_sized(jpeg(SMALL), 65500, 65500),
    "JPEG of 1,000 scans": lambda: scans(1000, 3000, 3000),
    "JPEG with a hidden header": lambda: hidden_jpeg(65500, 65500),
    "JPEG with two headers": lambda: jpeg(SMALL).replace(
        b"\xff\xc0", jpeg_sized(jpeg(SMALL), 9, 9)[158:177] + b"\xff\xc0"
    ),
    "JPEG of no height": lambda: jpeg_sized(jpeg(SMALL), 64, 0),
    "JPEG of fill bytes": lambda: b"\xff\xd8" + b"\xff" * 5_000_000,
    "WebP whose canvas is not its picture": lambda: webp_of(canvas(16384, 16384), webp_picture()),
    "WebP of 16383x16383": lambda: webp_of((b"VP8 ", b"\x10\0\0\x9d\x01\x2a\xff\x3f\xff\x3f" + bytes(50))),
    "WebP without loss of 16383x16383": lambda: webp_of((b"VP8L", b"\x2f\xfe\xbf\xff\x0f" + bytes(50))),
    "WebP that moves, of 60000x60000": lambda: moving(2, 60000, 60000),
    "WebP that moves, of 200,000 pictures": lambda: moving(200_000, 64, 64),
    "WebP whose canvas comes second": lambda: webp_of((b"ICCP", b"12"), canvas(16384, 16384), webp_picture()),
    "GIF of 65535x65535": lambda: gif_of((65535, 65535), (8, 8)),
    "GIF whose picture is larger than its screen": lambda: gif_of((8, 8), (65535, 65535)),
    "GIF of endless blocks": lambda: gif_of((8, 8), (8, 8), blocks=b"\x01a" * 1_100_000 + b"\0"),
    "TIFF of 65535x65535": lambda: tiff_of(65535, 65535),
    "TIFF of one tile of 16 million": lambda: tiff_of(
        16, 16, tile_width=1 << 24, tile_height=64, tile_at=8, tile_bytes=64
    ),
    "TIFF of a billion tiles": lambda: tiff_of(3000, 3000, tile_width=1, tile_height=1, tile_at=8, tile_bytes=64),
    "TIFF of 65535 channels": lambda: tiff_of(2000, 2000, channels=65535),
    "TIFF of 65535 bits": lambda: tiff_of(2000, 2000, bits=65535),
    "TIFF of an unknown compression": lambda: tiff_of(64, 64, compression=34925),
    "TIFF with two widths": lambda: tiff_of(64, 64, twice=60000),
    "TIFF whose directory lies outside": lambda: b"II*\0\xff\xff\xff\xff" + bytes(60),
    "TIFF of 50 entries in one place": lambda: shared_tiff(2_000_000, 50),
    "TIFF, big, of endless entries": lambda: big_tiff(2**63),
    "BMP of 30000x30000": lambda: bmp_of(30000, 30000, 8, 1),
    "BMP upside down": lambda: bmp_of(60000, -(2**31), 1),
    "JPEG 2000 of 60000x60000": lambda: jp2_of(60000, 60000),
    "JPEG 2000 of a million tiles": lambda: jp2_of(3000, 3000, (3, 3)),
    "JPEG 2000 of 16384 channels": lambda: jp2_of(64, 64, parts=struct.pack(">H", 16384) + b"\x07\1\1" * 16384),
    "JPEG 2000 of tiny precincts": lambda: jp2_of(3000, 3000, coding=b"\1\0\0\1\0\0\4\4\0\1\0"),
    "JPEG 2000 of tiny blocks": lambda: jp2_of(3000, 3000, coding=b"\0\0\0\1\0\5\0\0\0\1"),
    "JPEG 2000 of 65535 layers": lambda: jp2_of(3000, 3000, coding=b"\1\0\xff\xff\0\1\4\4\0\1\x77\x77"),
    "JPEG 2000 of a palette of 255": lambda: palette_jp2(255),
    "PPM of 60000x60000": lambda: b"P6\n60000 60000\n255\n" + bytes(100),
    "PPM of endless digits": lambda: b"P6\n" + b"9" * 5000 + b" 9\n255\n",
    "PPM of an endless comment": lambda: b"P6\n#" + b"a" * 5_000_000,
    "Radiance": lambda: b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 60000 +X 60000\n" + bytes(100),
    "PFM": lambda: b"PF\n60000 60000\n-1.0\n" + bytes(100),
    "Sun raster": lambda: struct.pack(">8I", 0x59A66A95, 60000, 60000, 24, 0, 1, 0, 0) + bytes(100),
    "PAM": lambda: b"P7\nWIDTH 60000\nHEIGHT 60000\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n" + bytes(100),
    "AVIF": lambda: b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + bytes(100),
    "AVIF by another name": lambda: b"\0\0\0\x1cftypMA1B\0\0\0\0avifmif1miaf" + bytes(100),
    "OpenEXR": lambda: b"\x76\x2f\x31\x01\2\0\0\0" + bytes(100),
}
"""By what it is: a file that must be refused, and cost next to nothing."""

ALLOWED: dict[str, Callable[[], bytes]] = {
    "PNG whose comment inflates": lambda: with_chunk(inflating(b"zTXt", b"a\0\0")),
    "PNG whose profile inflates": lambda: with_chunk(inflating(b"iCCP", b"a\0\0")),
    "PNG whose text inflates": lambda: with_chunk(inflating(b"iTXt", b"a\0\1\0\0\0")),
    "PNG that moves": lambda: with_chunk(frame_of(60000, 60000)),
    "PNG, 12 megapixels, interlaced": lambda: png_of(3464, 3464, interlaced=1),
    "PNG, 12 megapixels, transparent": lambda: png_of(3464, 3464, 8, 6),
    "PNG, 9 megapixels of 16 bits": lambda: png_of(2990, 2990, 16, 6),
    "PNG, 12 megapixels, turned": lambda: png_of(3464, 3464, 8, 2, png_chunk(b"eXIf", exif(5))),
    "JPEG, 12 megapixels, 90 scans": lambda: scans(90, 3464, 3464),
    "WebP of 2,000 pictures": lambda: moving(2000, 64, 64),
    "WebP that moves, 12 megapixels": lambda: moving(3, 3464, 3464),
    "GIF of 5,000 pictures": lambda: gif_of((64, 64), (64, 64), 5000),
    "GIF, 12 megapixels": lambda: gif_of((3464, 3464), (64, 64), 3),
    "TIFF, 11 megapixels in one strip, its directory endless": lambda: deflated_tiff(3300, 3300),
    "BMP, 12 megapixels": lambda: bmp_of(3464, -3464, 8, 1),
    "JPEG 2000, 8 megapixels": lambda: jp2_of(2900, 2900),
    "PPM, 12 megapixels, cut short": lambda: b"P5\n3464 3464\n255\n" + bytes(100),
    "one pixel high": lambda: encoded(".png", np.zeros((1, 900_000), np.uint8)),
    "one pixel": lambda: encoded(".png", np.zeros((1, 1), np.uint8)),
    "EXIF that points outside": lambda: exif_jpeg(b"II*\0\xff\xff\xff\x7f"),
    "EXIF of 65535 entries": lambda: exif_jpeg(b"II*\0\x08\0\0\0\xff\xff" + bytes(60_000)),
    "EXIF that points at itself": lambda: exif_jpeg(b"II*\0\x04\0\0\0" + bytes(8)),
}
"""By what it is: a file that may be decoded or not, in bounded memory either way."""
