"""Which image files a decoder may see, and how much of them."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections import Counter
from contextlib import suppress

from detector.errors import SourceError
from detector.media.image_header import PNG_NEEDED, ImageHeader

__all__ = ["MAX_PIXELS", "check", "ended", "first_picture", "lacks_only_its_end", "refusal"]

MAX_PIXELS = 2**28
"""Larger images (about 16,000 x 16,000) are refused before their pixels, 800 MB and more, are allocated."""

MEMORY = 12  # bytes for each pixel that is allowed, the file's own among them: 16-bit colours need as many
MAX_SIDE = 1_000_000  # libpng's limit
MAX_PROFILE = 1 << 20  # bytes; Pillow refuses a longer one
FILLER = bytes(range(1, 255)) * 16  # decoded into other pixels wherever some are missing
SCAN = re.compile(rb"\xff\xda..(.)", re.DOTALL)


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
    if reason := refusal(header, length, max_pixels):
        raise SourceError(f"{name}: {reason}")


def refusal(header: ImageHeader, length: int, max_pixels: int) -> str:
    """Why :func:`check` refuses a file, to follow its name; "" if it does not."""
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


def first_picture(data: bytes, header: ImageHeader, *, colours: bool = False) -> bytes:
    """The file as far as the decoder needs it: no further pictures, no compressed comments or profiles.

    With ``colours``, a PNG keeps its profile, if that is whole and of a usual length.

    Of a damaged animation, OpenCV 5.0.0 reads beyond its memory and dies.
    """
    if header.format == "gif" and header.end:
        return data[: header.end] + b";"
    if header.format == "webp" and header.end:
        return data[:4] + (header.end - 8).to_bytes(4, "little") + data[8 : header.end]
    return _needed_chunks(data, colours=colours) if header.format == "png" else data


def _is_whole_profile(chunk: bytes) -> bool:
    if zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big"):
        return False
    inflate = zlib.decompressobj()
    with suppress(zlib.error):
        inflate.decompress(chunk[8:-4].partition(b"\0")[2][1:], MAX_PROFILE)
    return inflate.eof


def _needed_chunks(data: bytes, *, colours: bool) -> bytes:
    kept, at = [slice(0, 8)], 8
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        is_needed = kind in PNG_NEEDED or (colours and kind == b"iCCP" and _is_whole_profile(data[at:end]))
        if is_needed and kept[-1].stop == at:
            kept[-1] = slice(kept[-1].start, end)
        elif is_needed:
            kept.append(slice(at, end))
        if kind == b"IEND":
            break
        at = end
    view = memoryview(data)
    return data[kept[0]] if len(kept) == 1 else b"".join(view[piece] for piece in kept)


def lacks_only_its_end(data: bytes, header: ImageHeader) -> bool:
    """Whether all pixels of a JPEG without its end marker are there: then more bytes behind them change none.

    Args:
        data: the whole file.
        header: what it says; its size must have been checked.
    """
    if not _has_all_scans(data, header):
        return False
    try:
        seen = {_pixels(ended(data, more)) for more in (b"", FILLER, FILLER[::-1])}
        return len(seen) == 1 and None not in seen
    except ValueError:  # all that PyAV raises is one
        return False


def _pixels(data: bytes) -> bytes | None:
    """A digest of what FFmpeg decodes, None if that is nothing; libjpeg would complain on the terminal."""
    import av

    decoder, digest = av.CodecContext.create("mjpeg", "r"), hashlib.sha256()
    decoder.options = {"err_detect": "explode"}
    frames = [*decoder.decode(av.Packet(data)), *decoder.decode(None)]
    for plane in (plane for frame in frames for plane in frame.planes):
        digest.update(plane)
    return digest.digest() if frames else None


def _has_all_scans(data: bytes, header: ImageHeader) -> bool:
    """Whether all coefficients stand in a scan that was begun: 64 of each channel, together or apart or bit by bit."""
    done: Counter[int] = Counter()
    for found in SCAN.finditer(data, header.first_scan) if header.first_scan else ():
        count, at = found[1][0], found.end()
        first, last, bits = data[at + 2 * count : at + 2 * count + 3].ljust(3, b"\1")
        if not bits & 15:
            done.update({channel: max(0, last - first + 1) for channel in data[at : at + 2 * count : 2]})
    return len(done) == header.channels and all(count == 64 for count in done.values())


def ended(data: bytes, more: bytes = b"") -> bytes:
    """A JPEG without its end marker, and without what a half-written file may be filled up with, given an end.

    Args:
        data: the file.
        more: stands before the marker.
    """
    body = data.rstrip(b"\0\xff")
    stuffed = data[len(body) : len(body) + 2]  # these may belong to the picture
    return body + (stuffed if stuffed == b"\xff\0" else stuffed[:1].rstrip(b"\xff")) + more + b"\xff\xd9"
