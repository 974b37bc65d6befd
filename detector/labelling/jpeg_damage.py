"""Flipped bits in a JPEG that no decoder notices.

A block's mean is coded as the difference to that of the block before it. A wrong one therefore shifts brightness or
colour from there to the end of the picture, row by row of blocks: the upper edge of the shift runs along the top of a
row from some column on to the right, and along its bottom from the left to that column. Pictures have straight edges,
but not ones that go down a step of one block in the middle of a line.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from detector.media.images import Image

__all__ = ["is_shifted"]

_BLOCKS = {"Gray": (8, 8), "444": (8, 8), "422": (8, 16), "440": (16, 8), "420": (16, 16), "411": (8, 32)}
"""Height and width in px of what is coded together, by the subsampling of the colours as simplejpeg calls it."""

_LEAST_SHIFTS = (6.0, 4.0, 4.0)  # of brightness and the two colours, in grey levels
_LEAST_SHARE = 0.5  # of the columns on either side; of 3,410 photographs one reaches 0.4
_LEAST_COLUMNS = 3


def is_shifted(image: Image, subsampling: str) -> bool:
    """Whether a picture as stored in its file, BGR uint8 (H, W, 3), has such a shift; False for a rare subsampling."""
    height, width = _BLOCKS.get(subsampling, image.shape[:2])
    if image.shape[0] < 3 * height or image.shape[1] < 2 * _LEAST_COLUMNS * width:
        return False
    channels = cv2.split(cv2.cvtColor(image, cv2.COLOR_BGR2YCrCb))
    return any(
        _best_share(_steps(np.asarray(channel, np.int16), height, width), least) >= _LEAST_SHARE
        for channel, least in zip(channels, _LEAST_SHIFTS, strict=True)
    )


def _steps(channel: npt.NDArray[np.int16], height: int, width: int) -> npt.NDArray[np.float32]:
    """How much each block begins brighter than the one above it ends, beyond the slope there: (rows - 1, columns)."""
    columns = channel.shape[1] // width
    tops = np.arange(height, channel.shape[0] - 1, height)
    above2, above, below, below2 = (channel[tops + offset, : columns * width] for offset in (-2, -1, 0, 1))
    step = (below - above) - ((above - above2) + (below2 - below)) / 2
    return np.median(step.reshape(len(tops), columns, width), axis=2).astype(np.float32)


def _best_share(steps: npt.NDArray[np.float32], least: float) -> float:
    """Of all places where a shift may begin the best: the share of columns that agree on its worse side, 0 to 1."""
    columns = steps.shape[1]
    quarter = max(_LEAST_COLUMNS, columns // 4)
    upper, lower = steps[:-1], steps[1:]
    # The shift is seen at the right end of the upper edge, or at the left end of the lower one.
    shifts = np.stack([np.median(upper[:, -quarter:], axis=1), np.median(lower[:, :quarter], axis=1)])[..., None]
    near, none = np.maximum(2.5, 0.35 * np.abs(shifts)), np.maximum(2.5, 0.5 * np.abs(shifts))
    left = (np.abs(lower - shifts) <= near) & (np.abs(upper) <= none)
    right = (np.abs(upper - shifts) <= near) & (np.abs(lower) <= none)
    begin = np.arange(_LEAST_COLUMNS, columns - _LEAST_COLUMNS + 1)
    left_share = np.cumsum(left, axis=2)[..., begin - 1] / begin
    right_share = np.cumsum(right[..., ::-1], axis=2)[..., columns - begin - 1] / (columns - begin)
    share = np.where(np.abs(shifts) >= least, np.minimum(left_share, right_share), 0)
    return float(share.max())
