"""Decoded video frames as pictures: BGR, upright, of square pixels."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from detector.media.images import Image, turned

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

__all__ = ["bgr_converter", "pixel_ratio"]

NARROWEST = 8  # of a pixel's sides one may be so many times the other; more is a mistake in the file


def bgr_converter(max_pixels: int) -> Callable[[VideoFrame, Fraction], Image]:
    """Make a function that turns decoded frames to BGR uint8 (H, W, 3), upright as the display matrix says.

    Pixels that are not square, as their :func:`pixel_ratio` says, are stretched until they are, if that makes no more
    than ``max_pixels`` of them. The function keeps its scaling context from frame to frame, so one is needed for each
    thread; it asks nothing of the stream, which may be closed by then.
    """
    from av.video.reformatter import VideoReformatter

    reformatter = VideoReformatter()

    def convert(frame: VideoFrame, ratio: Fraction) -> Image:
        width, height = _square(frame.width, frame.height, ratio)
        if width * height > max(max_pixels, frame.width * frame.height):
            width, height = frame.width, frame.height
        shown = reformatter.reformat(frame, width=width, height=height, format="bgr24")
        image = shown.to_ndarray().astype(np.uint8, copy=False)
        a, b, c, d = _display_matrix(frame)  # cameras write quarter turns and mirrors only; else the nearest is taken
        lies = abs(b) > abs(a)
        across, down = (c, b) if lies else (a, d)
        return turned(image, lies, across < 0, down < 0)

    return convert


def pixel_ratio(stream: VideoStream) -> Fraction:
    """How wide a pixel is, in its heights, of the frame that was decoded last; the stream is still open."""
    # The container's word counts more than the codec's, which may be known only when a frame is decoded.
    return stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or Fraction(1)


def _square(width: int, height: int, ratio: Fraction) -> tuple[int, int]:
    """Width and height in square pixels, none of them fewer than in the file."""
    if not Fraction(1, NARROWEST) <= ratio <= NARROWEST:
        return width, height
    return (round(width * ratio), height) if ratio > 1 else (width, round(height / ratio))


def _display_matrix(frame: VideoFrame) -> tuple[int, int, int, int]:
    """(a, b, c, d) of the matrix that takes a stored pixel (p, q) to (a p + c q, b p + d q) on the screen."""
    from av.buffer import Buffer

    try:
        data = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:
        # Beside it is a kind of side data, such as EXIF, that PyAV before version 19 cannot name.
        turn = math.radians(frame.rotation)
        cos, sin = round(math.cos(turn)), round(math.sin(turn))
        return cos, -sin, sin, cos
    if not isinstance(data, Buffer):
        return 1, 0, 0, 1
    a, b, _, c, d = struct.unpack("5i", bytes(data)[:20])
    return a, b, c, d
