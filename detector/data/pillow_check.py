"""What ultralytics, which looks at every image with Pillow, would pass over without a word."""

from __future__ import annotations

import warnings
from pathlib import Path

__all__ = ["pillow_fault"]

FORMATS = frozenset({"BMP", "DNG", "JPEG", "JPEG2000", "MPO", "PNG", "TIFF", "WEBP"})
"""Those that ultralytics takes, as Pillow calls them."""


def pillow_fault(path: Path) -> str:
    """Why an image would not be trained on, in a few words; empty if it would, or if Pillow is not installed."""
    try:
        from PIL import Image
    except ImportError:  # then nothing is trained here; mask-detector train looks again at what was converted
        return ""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as image:
            image.verify()  # the checksums of a PNG; decodes nothing
            return "" if image.format in FORMATS else f"is a {image.format}, whatever its name says"
    except Exception as error:  # of any kind: OSError, SyntaxError, ValueError, a decompression bomb
        return f"Pillow refuses it ({str(error).replace(str(path), path.name)[:150]})"
