"""Image files to and from BGR arrays, upright and whole. The only user of OpenCV's file codecs.

``cv2.imread`` is not used anywhere: it returns None without a reason, fails on Unicode paths under Windows, turns a
transparent pixel into whatever colour hides under it, and older versions show the missing half of a file as grey.
"""

from __future__ import annotations

import io
import logging
import os
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from detector.errors import OutputError, SourceError
from detector.files import write_file
from detector.media.image_header import ImageHeader, read_header
from detector.media.image_limits import MAX_PIXELS, check, ended, first_picture, lacks_only_its_end, refusal

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "NO_END",
    "ORIENTATIONS",
    "STRANGE_SUFFIXES",
    "Image",
    "decode",
    "encode",
    "header_of",
    "image_size",
    "left_below",
    "list_images",
    "read",
    "turned",
    "write",
]

log = logging.getLogger(__name__)

Image = npt.NDArray[np.uint8]
"""BGR uint8 (H, W, 3)."""

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".webp", ".tif", ".tiff", ".gif", ".jp2"}
    | {".pbm", ".pgm", ".ppm", ".pnm"}
)
"""Suffixes, in lower case, of the image formats that can be read."""

RAW_SUFFIXES = frozenset({".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf", ".rw2"})
"""Of what cameras write beside their JPEGs; some would be taken for a TIFF that holds a thumbnail."""

STRANGE_SUFFIXES = RAW_SUFFIXES | {".heic", ".heif", ".hif", ".avif", ".jxl", ".psd", ".tga"}
"""Of pictures that cannot be read, so that a person is told of them."""

WITH_ALPHA = frozenset({"png", "webp", "gif", "tiff", "jp2"})  # a 32-bit BMP has a fourth byte too: it means nothing
ORIENTATIONS = {  # of EXIF: what undoes them, as arguments of turned()
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}
NO_END = "its end marker is missing, but nothing of its picture: it is used"
BAND = 1 << 20  # pixels that are worked on at once where each takes 40 bytes


def read(path: Path | str) -> Image:
    """Read an image file as BGR uint8 (H, W, 3), upright.

    Raises:
        SourceError: the file is missing, unreadable, cut short, too large, or not an image.
    """
    if Path(path).suffix.lower() in RAW_SUFFIXES:
        raise SourceError(f"{path}: a camera's raw picture cannot be read: convert it to JPEG or PNG")
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error
    return decode(data, str(path))


def decode(data: bytes, name: str, *, max_pixels: int = MAX_PIXELS) -> Image:
    """Decode an image file's bytes to BGR uint8 (H, W, 3), turned upright as its EXIF orientation says.

    Grey becomes three channels, transparency is laid on white, 16 bits are scaled to 8, of an animation the first
    picture is taken. Floating-point pixels are refused: no one says which number is white.

    No decoder sees the data before its header has been held against its length and against ``max_pixels``; decoding
    takes at most 12 bytes for each of these.

    Args:
        data: the whole file.
        name: what the error message calls it.
        max_pixels: width times height; also bounds the memory.

    Raises:
        SourceError: the data is cut short, too large, or not an image.
    """
    header = read_header(io.BytesIO(data))
    if header.format == "jpeg" and not header.complete:
        whole = replace(header, complete=True)
        if not refusal(whole, len(data), max_pixels) and lacks_only_its_end(data, header):
            data, header = ended(data), whole
            _note(f"{name}: {NO_END}")
    check(header, name, len(data), max_pixels)
    image = _decoded(first_picture(data, header), name, header)
    # libtiff hands out 8-bit colours already multiplied by their alpha.
    premultiplied = header.format == "tiff" and image.dtype == np.uint8
    turn = ORIENTATIONS.get(header.orientation, (False, False, False))
    return turned(_bgr8(image, name, premultiplied=premultiplied), *turn)


def _decoded(data: bytes, name: str, header: ImageHeader) -> npt.NDArray[np.integer[Any] | np.floating[Any]]:
    """The pixels as they are stored, of any kind; where there may be transparency, with it."""
    if header.animated:
        log.info("%s: an animation, of which only the first picture is read", name)
    keep_alpha = header.format in WITH_ALPHA
    # Orientation is applied later, by the same header that image_size() reads, so that the two can never disagree.
    # IMREAD_UNCHANGED implies IMREAD_IGNORE_ORIENTATION; TIFF, whose orientation is not EXIF, comes upright from both.
    flags = cv2.IMREAD_UNCHANGED if keep_alpha else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise SourceError(f"{name}: the image is too large or damaged ({_reason(error)}): save it again") from error
    if image is None:
        raise SourceError(f"{name}: not an image that OpenCV can read, or a damaged one: save it as JPEG or PNG")
    return image


@lru_cache(maxsize=256)
def _note(line: str) -> None:
    """Log a line, but not each time that one file is read."""
    log.warning("%s", line)


def turned(image: Image, transpose: bool, mirror: bool, flip: bool) -> Image:
    """The image (H, W, 3), rows and columns exchanged, then left and right, then top and bottom, where asked for."""
    if transpose:
        image = cv2.transpose(image).astype(np.uint8, copy=False)
    if mirror or flip:
        image = cv2.flip(image, 1 if not flip else -1 if mirror else 0).astype(np.uint8, copy=False)
    return image


def header_of(path: Path) -> ImageHeader:
    """What an image file says of itself before it is decoded.

    Raises:
        SourceError: the file is missing or unreadable.
    """
    try:
        with path.open("rb") as file:
            return read_header(file)
    except OSError as error:
        raise _unreadable(path, error) from error


def image_size(path: Path, *, whole: bool = False) -> tuple[int, int]:
    """(width, height) in pixels of the upright image, as :func:`read` would return it.

    Only the header is read for JPEG and PNG; other formats are decoded, and with ``whole`` what lacks its end.

    Args:
        path: the file.
        whole: refuse a JPEG or PNG of whose picture something is missing.

    Raises:
        SourceError: the file is missing, unreadable, or not an image.
    """
    header = header_of(path)
    is_known = header.format in {"jpeg", "png"} and (header.complete or not whole)
    if is_known and header.upright_size and all(header.upright_size):
        return header.upright_size
    height, width = read(path).shape[:2]
    return width, height


def list_images(folder: Path, *, strange: bool = False) -> list[Path]:
    """The image files of a folder by suffix, sorted by name; hidden files and subfolders are left out.

    Args:
        folder: where they lie.
        strange: those that cannot be read too, such as HEIC: reading them says so.

    Raises:
        SourceError: the folder is missing or unreadable.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise _unreadable(folder, error) from error
    wanted = IMAGE_SUFFIXES | STRANGE_SUFFIXES if strange else IMAGE_SUFFIXES
    return [p for p in entries if p.suffix.lower() in wanted and not p.name.startswith(".") and p.is_file()]


def left_below(folder: Path, suffixes: frozenset[str] = IMAGE_SUFFIXES | STRANGE_SUFFIXES, what: str = "image") -> str:
    """A line on the files in subfolders, which are not looked at; "" where there are none. Links are passed over."""
    found: list[str] = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = [Path(place, name) for name in files if Path(name).suffix.lower() in suffixes and name[0] != "."]
        found += [p.relative_to(folder).as_posix() for p in paths if p.parent != folder and not p.is_symlink()]
    if not found:
        return ""
    said = f"1 {what} in subfolders was" if len(found) == 1 else f"{len(found)} {what}s in subfolders were"
    return f"{said} not looked at, such as {min(found)}: name each folder"


def encode(image: Image, suffix: str, quality: int = 95) -> bytes:
    """Encode BGR uint8 (H, W, 3) as a file of the format that ``suffix`` names.

    Args:
        image: the picture.
        suffix: ".jpg", ".png", ".webp" ... in either case.
        quality: 1 to 100, for JPEG and WebP.

    Raises:
        OutputError: OpenCV cannot write this format or a picture of this size in it.
    """
    codec = {".jfif": ".jpg"}.get(suffix.lower(), suffix.lower())  # OpenCV does not know this name of JPEG
    flags = {".webp": cv2.IMWRITE_WEBP_QUALITY, **dict.fromkeys((".jpg", ".jpeg", ".jpe"), cv2.IMWRITE_JPEG_QUALITY)}
    parameters = [flags[codec], quality] if codec in flags else []
    try:
        done, data = cv2.imencode(codec, image, parameters)
    except cv2.error as error:
        raise OutputError(f"cannot write {suffix or 'a file without suffix'} ({_reason(error)}): use .png") from error
    if not done:
        raise OutputError(f"cannot write a picture of {image.shape[1]}x{image.shape[0]} as {suffix}: use .png")
    return data.tobytes()


def write(path: Path, image: Image) -> None:
    """Write BGR uint8 (H, W, 3) to ``path`` in the format of its suffix; an older file is replaced.

    Raises:
        OutputError: the format is unknown, or the file cannot be written.
    """
    write_file(path, encode(image, path.suffix), replace=True)


def _unreadable(path: Path | str, error: OSError) -> SourceError:
    remedy = "check the name" if isinstance(error, FileNotFoundError) else "check the file and its permissions"
    return SourceError(f"{path}: cannot be read ({error.strerror}): {remedy}")


def _bgr8(image: npt.NDArray[np.integer[Any] | np.floating[Any]], name: str, *, premultiplied: bool) -> Image:
    """Any array that imdecode returns to BGR uint8 (H, W, 3)."""
    channels = 1 if image.ndim == 2 else image.shape[2]
    if image.dtype not in (np.uint8, np.uint16) or channels not in (1, 3, 4):
        raise SourceError(
            f"{name}: {image.dtype} pixels in {channels} channels have no defined colours: save it as PNG"
        )
    if channels == 4:
        return _on_white(image, premultiplied=premultiplied)
    if image.dtype == np.uint16:
        image = cv2.convertScaleAbs(image, alpha=255 / 65535)
    if channels == 1:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    return image.astype(np.uint8, copy=False)


def _on_white(image: npt.NDArray[np.integer[Any] | np.floating[Any]], *, premultiplied: bool) -> Image:
    """BGRA (H, W, 4) of 8 or 16 bits laid on white, band by band: in floating point each pixel takes 40 bytes."""
    white = 255 if image.dtype == np.uint8 else 65535
    result = np.empty((*image.shape[:2], 3), np.uint8)
    rows = max(1, BAND // image.shape[1])
    for top in range(0, len(image), rows):
        band = image[top : top + rows]
        alpha = band[..., 3:].astype(np.float32) / white
        colour = band[..., :3] * (np.float32(1) if premultiplied else alpha)
        flat = np.rint(np.minimum(colour + white * (1 - alpha), white)).astype(image.dtype)
        result[top : top + rows] = flat if white == 255 else cv2.convertScaleAbs(flat, alpha=255 / white)
    return result


def _reason(error: cv2.error) -> str:
    return str(getattr(error, "err", error)).strip().splitlines()[0]
