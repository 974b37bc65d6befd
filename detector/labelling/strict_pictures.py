"""Any image file to an upright picture in sRGB, or the reason why it is none.

Stricter than :mod:`detector.media.images`, which decodes what can be shown: a decoder's mere warning (a JPEG with
flipped bits, a PNG with a wrong checksum) is enough here to call a file damaged. And wider: HEIC, AVIF, CMYK,
and what else Pillow reads.
"""

from __future__ import annotations

import io
import re
import struct
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
import simplejpeg
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from detector.errors import SourceError
from detector.labelling.damage import is_shifted
from detector.labelling.same_picture import SIDE, Grey
from detector.media import images
from detector.media.image_header import ImageHeader, read_header

__all__ = ["Picture", "read_bytes", "read_strictly"]

pillow_heif.register_heif_opener()

MAX_BYTES = 2**29  # no camera makes larger files
SIXTEEN_BITS = frozenset({"I", "I;16", "I;16B", "I;16L", "F"})  # Pillow's modes; it would clip them to 8 bits
BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    OverflowError,
    IndexError,
    RuntimeError,
    TypeError,
    Image.DecompressionBombError,
)
"""What Pillow and its plug-ins raise on damaged files."""
PADDING = re.compile(r"(\d+) extraneous bytes before marker 0xd9")


@dataclass(frozen=True)
class Picture:
    """A whole picture.

    Args:
        format: of the file, such as "jpeg" or "heif".
        image: BGR uint8 (H, W, 3), upright.
        old_size: (width, height) in pixels before it was scaled down.
        changed: what makes it another picture than the file's bytes, such as "turned upright"; empty if these are an
            upright RGB JPEG already.
    """

    format: str
    image: images.Image
    old_size: tuple[int, int]
    changed: str

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.image.shape[1], self.image.shape[0]

    def square(self) -> Grey:
        """The picture for comparing, uint8 (SIDE, SIDE)."""
        grey = cv2.cvtColor(self.image, cv2.COLOR_BGR2GRAY)
        return np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)

    def scaled(self, max_side: int) -> Picture:
        """The picture with a longest side of at most ``max_side`` px."""
        longest = max(self.size)
        if longest <= max_side:
            return self
        width, height = (max(1, round(side * max_side / longest)) for side in self.size)
        image = np.asarray(cv2.resize(self.image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        changed = ", ".join(filter(None, [self.changed, f"scaled to {width}x{height}"]))
        return replace(self, image=image, changed=changed)


def read_strictly(data: bytes, name: str) -> Picture:
    """Read a picture from a file's bytes.

    Args:
        data: the whole file.
        name: what the error message calls it.

    Raises:
        SourceError: the data is no picture, or a damaged one.
    """
    header = read_header(io.BytesIO(data))
    if not data:
        raise SourceError(f"{name}: the file is empty")
    if data.lstrip()[:1] == b"<":
        raise SourceError(f"{name}: text, perhaps a web page, and no picture")
    if not header.complete:
        raise SourceError(f"{name}: cut short: the end of the file is missing")
    return _read_jpeg(data, name, header) if header.format == "jpeg" else _read_other(data, name, header)


def read_bytes(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        SourceError: it cannot be read, or is too large.
    """
    try:
        length = path.stat().st_size
        if length > MAX_BYTES:
            raise SourceError(f"{path}: the file has {length >> 20} MiB, which no picture has")
        return path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror})") from error


def _read_jpeg(data: bytes, name: str, header: ImageHeader) -> Picture:
    try:
        height, width, space, subsampling = simplejpeg.decode_jpeg_header(data)
        _check_size(name, width, height)
        if space in {"CMYK", "YCCK"}:
            _decode_strictly(data, name, "CMYK")
            with Image.open(io.BytesIO(data)) as pillow:
                return _picture(header.format, _convert(pillow), "CMYK to RGB")
        image = _decode_strictly(data, name, "BGR")
        if is_shifted(image, subsampling):
            raise SourceError(f"{name}: a damaged JPEG (brightness or colour is wrong from a block on)")
        if header.orientation == 1 and space != "Gray":
            return _picture(header.format, image, "")
        with Image.open(io.BytesIO(data)) as pillow:
            changed = "turned upright" if header.orientation != 1 else "grey to RGB"
            return _picture(header.format, _in_srgb(images.decode(data, name), pillow), changed)
    except BROKEN as error:
        raise SourceError(f"{name}: a damaged JPEG ({_reason(error)})") from error


def _decode_strictly(data: bytes, name: str, space: str) -> images.Image:
    """A JPEG's pixels (H, W, 3 or 4): libjpeg-turbo's warnings are errors.

    Not an error is padding before the end, which some cameras write.
    """
    try:
        return np.asarray(simplejpeg.decode_jpeg(data, space), np.uint8)
    except ValueError as error:
        padding = PADDING.search(str(error))
        end = data.rfind(b"\xff\xd9")
        if padding is None or len(set(data[end - int(padding[1]) : end])) != 1:
            raise SourceError(f"{name}: a damaged JPEG ({_reason(error)})") from error
        return np.asarray(simplejpeg.decode_jpeg(data, space, strict=False), np.uint8)


def _read_other(data: bytes, name: str, header: ImageHeader) -> Picture:
    try:
        with Image.open(io.BytesIO(data)) as pillow:
            _check_size(name, *pillow.size)
            pillow.verify()  # the checksums of a PNG, which decoding leaves unread
        with Image.open(io.BytesIO(data)) as pillow:
            pillow.load()
            return _pixels(data, name, header, pillow)
    except UnidentifiedImageError:  # such as 16-bit colours in TIFF
        return _picture(header.format, images.decode(data, name), f"{header.format} to JPEG")
    except BROKEN as error:
        raise SourceError(f"{name}: a damaged picture ({_reason(error)})") from error


def _pixels(data: bytes, name: str, header: ImageHeader, pillow: Image.Image) -> Picture:
    """The pixels of a file that Pillow has found whole."""
    format_name = (pillow.format or header.format).lower()
    changed = f"{format_name} to JPEG"
    # OpenCV has no HEIC, no colour profiles, and in some versions no GIF; Pillow has no 16-bit colours.
    if header.format not in {"heif", "gif"} and pillow.mode not in {"CMYK", "LAB"}:
        try:
            return _picture(format_name, _in_srgb(images.decode(data, name), pillow), changed)
        except SourceError:
            if pillow.mode in SIXTEEN_BITS:
                raise
    return _picture(format_name, _convert(pillow), changed)


def _convert(pillow: Image.Image) -> images.Image:
    """A Pillow image of any mode to BGR uint8 (H, W, 3): upright, on white, in sRGB."""
    profile = pillow.info.get("icc_profile")
    upright = ImageOps.exif_transpose(pillow)
    if upright.mode in {"CMYK", "LAB"} and profile:
        rgb = _profile_to_srgb(upright, profile)
        if rgb is not None:
            return _bgr(rgb)
    if upright.has_transparency_data:
        layer = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return _in_srgb(_bgr(upright.convert("RGB")), pillow)


def _in_srgb(image: images.Image, pillow: Image.Image) -> images.Image:
    """Colours of a phone or a camera with a wider range, as its profile says, to those of a screen."""
    profile = pillow.info.get("icc_profile")
    if not profile or b"sRGB" in profile[:512]:
        return image
    rgb = _profile_to_srgb(Image.fromarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)), profile)
    return image if rgb is None else _bgr(rgb)


def _profile_to_srgb(image: Image.Image, profile: bytes) -> Image.Image | None:
    """None if the profile is damaged or for other channels: the pixels are then taken as they are."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, *BROKEN):
        return None


def _picture(format_name: str, image: images.Image, changed: str) -> Picture:
    return Picture(format_name, image, (image.shape[1], image.shape[0]), changed)


def _check_size(name: str, width: int, height: int) -> None:
    if not 0 < width * height <= images.MAX_PIXELS:
        raise SourceError(f"{name}: {width}x{height} pixels cannot be read")


def _bgr(rgb: Image.Image) -> images.Image:
    return np.asarray(cv2.cvtColor(np.asarray(rgb), cv2.COLOR_RGB2BGR), np.uint8)


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
