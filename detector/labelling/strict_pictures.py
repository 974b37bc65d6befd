"""Any image file to an upright picture in sRGB, or the reason why it is none.

Stricter than :mod:`detector.media.images`, which decodes what can be shown: a decoder's mere warning (a JPEG with
flipped bits, a PNG with a wrong checksum) is enough here to call a file damaged. And wider: HEIC, AVIF, CMYK,
and what else Pillow reads. Pillow alone, even in strict mode, takes three of thirteen damaged files for whole ones: it
does not hear what libjpeg-turbo warns of.
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
from PIL import Image, ImageCms, ImageOps

from detector.errors import SourceError
from detector.labelling.jpeg_damage import is_shifted
from detector.media import images
from detector.media.image_header import ImageHeader, read_header
from detector.media.image_limits import ended, first_picture, lacks_only_its_end

__all__ = ["Picture", "read_picture", "read_strictly"]

pillow_heif.register_heif_opener()
Image.MAX_IMAGE_PIXELS = images.MAX_PIXELS  # Pillow raises at twice as many, before which _check_size() refuses

NEW_END = "end marker added"

_MAX_BYTES = 2**29  # no camera makes larger files
_SIXTEEN_BITS = frozenset({"I", "I;16", "I;16B", "I;16L", "F"})  # Pillow's modes; it would clip them to 8 bits
_BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, struct.error, OverflowError, IndexError, RuntimeError, TypeError),
    Image.DecompressionBombError,
)
"""What Pillow and its plug-ins raise on damaged files."""
_PADDING = re.compile(r"(\d+) extraneous bytes before marker 0xd9")


@dataclass(frozen=True)
class Picture:
    """A whole picture.

    Args:
        data: the file.
        format: of the file, such as "jpeg" or "heif".
        image: BGR uint8 (H, W, 3), upright.
        old_size: (width, height) in pixels before it was scaled down.
        changed: what makes it another picture than the file's bytes, such as "turned upright"; empty if these are an
            upright RGB JPEG already.
        orientation: of the file's EXIF.
    """

    data: bytes
    format: str
    image: images.Image
    old_size: tuple[int, int]
    changed: str
    orientation: int = 1

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.image.shape[1], self.image.shape[0]

    def scaled(self, max_side: int | None) -> Picture:
        """The picture with a longest side of at most ``max_side`` px; None leaves it as it is."""
        longest = max(self.size)
        if max_side is None or longest <= max_side:
            return self
        width, height = (max(1, round(side * max_side / longest)) for side in self.size)
        image = np.asarray(cv2.resize(self.image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        return replace(
            self, image=image, changed=", ".join(filter(None, [self.changed, f"scaled to {width}x{height}"]))
        )

    def as_jpeg(self) -> bytes:
        """The picture as an upright RGB JPEG: the file's own bytes if these are one."""
        return images.encode(self.image, ".jpg") if self.changed not in {"", NEW_END} else self.data


def read_picture(path: Path) -> Picture:
    """Read a picture from a file.

    Raises:
        SourceError: it cannot be read, is too large, no picture, or a damaged one.
    """
    try:
        length = path.stat().st_size
        if length > _MAX_BYTES:
            raise SourceError(f"{path}: the file has {length >> 20} MiB, which no picture has")
        return read_strictly(path.read_bytes(), str(path))
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror})") from error


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
    is_jpeg, new_end = header.format == "jpeg", ""
    if is_jpeg and not header.complete:
        _check_size(name, *(header.size or (1, 1)))
        if lacks_only_its_end(data, header):
            data, header, new_end = ended(data), replace(header, complete=True), NEW_END
    if not header.complete:
        raise SourceError(f"{name}: cut short: the end of the file is missing")
    try:
        image = _whole_jpeg(data, name, header) if is_jpeg else None
        if image is not None:
            return _picture(data, header, image, new_end)
        needed = data if header.format != "png" else first_picture(data, header, colours=True)
        try:
            pillow = Image.open(io.BytesIO(needed))
        except (*_BROKEN, NotImplementedError):  # no damage to the pixels, but a kind that Pillow does not know
            if is_jpeg:
                raise
            return _picture(data, header, images.decode(data, name), f"{header.format} to JPEG")
        with pillow:
            _check_size(name, *pillow.size)
            pillow.verify()  # the checksums of a PNG, which decoding leaves unread
        with Image.open(io.BytesIO(needed)) as pillow:
            pillow.load()
            form = (pillow.format or header.format).lower()
            changed = f"{pillow.mode} to RGB" if is_jpeg else f"{form} to JPEG"
            if is_jpeg and header.orientation != 1:
                changed = "turned upright"
            picture = _picture(data, header, _pixels(data, name, header, pillow), changed)
            return picture if is_jpeg else replace(picture, format=form)
    except _BROKEN as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise SourceError(f"{name}: a damaged {'JPEG' if is_jpeg else 'picture'} ({reason})") from error


def _picture(data: bytes, header: ImageHeader, image: images.Image, changed: str) -> Picture:
    return Picture(data, header.format, image, (image.shape[1], image.shape[0]), changed, header.orientation)


def _check_size(name: str, width: int, height: int) -> None:
    if not 0 < width * height <= images.MAX_PIXELS:
        raise SourceError(f"{name}: {width}x{height} pixels cannot be read")


def _whole_jpeg(data: bytes, name: str, header: ImageHeader) -> images.Image | None:
    """A JPEG's pixels BGR (H, W, 3); None where they are not upright, or grey, or CMYK.

    libjpeg-turbo's warnings are errors, but for padding before the end, which some cameras write.

    Raises:
        ValueError: the JPEG is damaged.
        SourceError: it is too large.
    """
    height, width, space, subsampling = simplejpeg.decode_jpeg_header(data)
    _check_size(name, width, height)
    wanted = "CMYK" if space in {"CMYK", "YCCK"} else "BGR"
    try:
        image = np.asarray(simplejpeg.decode_jpeg(data, wanted), np.uint8)
    except ValueError as error:
        padding = _PADDING.search(str(error))
        end = data.rfind(b"\xff\xd9")
        if padding is None or len(set(data[end - int(padding[1]) : end])) != 1:
            raise
        image = np.asarray(simplejpeg.decode_jpeg(data, wanted, strict=False), np.uint8)
    if wanted == "BGR" and is_shifted(image, subsampling):
        raise ValueError("brightness or colour is wrong from a block on")
    return image if header.orientation == 1 and wanted == "BGR" and space != "Gray" else None


def _pixels(data: bytes, name: str, header: ImageHeader, pillow: Image.Image) -> images.Image:
    """The pixels BGR uint8 (H, W, 3), upright and in sRGB, of a file that was found whole."""
    # OpenCV has no HEIC, no colour profiles, and in some versions no GIF; Pillow has no 16-bit colours.
    if header.format not in {"heif", "gif"} and pillow.mode not in {"CMYK", "LAB"}:
        try:
            return _in_srgb(Image.fromarray(images.decode(data, name)[..., ::-1]), pillow)
        except SourceError:
            if pillow.mode in _SIXTEEN_BITS:
                raise
    return _in_srgb(ImageOps.exif_transpose(pillow), pillow)


def _in_srgb(upright: Image.Image, pillow: Image.Image) -> images.Image:
    """An image of any mode as BGR (H, W, 3): on white, and in the colours of a screen, if a profile says which it has.

    A profile that is damaged or for other channels is passed over.
    """
    if upright.has_transparency_data:
        layer = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    profile = pillow.info.get("icc_profile")
    if profile and b"sRGB" not in profile[:512]:
        try:
            mode = upright if upright.mode in {"CMYK", "LAB"} else upright.convert("RGB")
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            upright = (
                ImageCms.profileToProfile(mode, source, ImageCms.createProfile("sRGB"), outputMode="RGB") or upright
            )
        except (ImageCms.PyCMSError, *_BROKEN):
            pass
    return np.asarray(cv2.cvtColor(np.asarray(upright.convert("RGB")), cv2.COLOR_RGB2BGR), np.uint8)
