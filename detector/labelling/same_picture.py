"""Do two files show the same photograph? A second, stricter look at what the perceptual hashes propose.

One picture is laid over the other: first as they are, then, for a crop or a frame, moved and stretched to fit
(Evangelidis and Psarakis, "Parametric image alignment using enhanced correlation coefficient maximization", 2008, as
OpenCV has it). Then the brightness curve of one is given to the other, and the share of blocks that still differ is
counted. What counts in a block are its better pixels, so that the strokes of a watermark's letters are ignored, and a
block whose edges are the same is the same under another light; a person who moved between two frames of a video changes
whole blocks, edges and all.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Difference", "Grey", "Mask", "difference", "square"]

Grey = npt.NDArray[np.uint8]
"""Grey uint8 (SIDE, SIDE): a picture squeezed into a square."""

Mask = npt.NDArray[np.bool_]
Matrix = npt.NDArray[np.float32]

_SIDE = 256
_BLOCK = 16
_MAX_DIFFERENT = 0.05
"""Copies with a line of text or a logo reach 0.047; the closest two webcam frames in which the person moved, 0.074."""

_TOLERANCE = 0.07  # of the picture's contrast; a block differs if the error of its better pixels is more
_MAX_REST = 0.06
"""Four of five blocks of a copy differ by at most 0.042 (in the same unit), whatever their edges; those of two shots of
one pose, a second apart, by 0.068."""
_BETTER = 0.3  # the share of its pixels by which a block is judged: letters rarely cover more than the rest
_SPOT = 0.25  # of the contrast; a spot of 3 x 3 pixels that differ by more is seen
_SAME_EDGES = 0.6  # correlation of the gradients of two blocks
_LEAST_EDGES = 200.0  # mean squared gradient of a block whose edges are more than noise
_LOWEST_CONTRAST = 8.0  # grey levels; a nearly uniform picture would otherwise be compared by its noise
_LEAST_OVERLAP = 0.6  # of the blocks
_MAX_STRETCH = 0.25  # a copy is not cropped or squeezed by more
_ALIGNED = 64  # side at which pictures are aligned; once more at 128 changed none of 1,656 verdicts
_NEARLY_NOTHING = 0.005
_CRITERIA = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 1e-4)


@dataclass(frozen=True)
class Difference:
    """How two pictures differ where one lies on the other.

    Args:
        share: of the blocks of the common area that differ, 0 to 1; 1.0 where the pictures hardly overlap.
        rest: what four of five blocks differ by at most, also those with the same edges.
        spots: (256, 256), where several pixels in one place of the first picture differ clearly: letters, or a mask on
            a small face.
    """

    share: float
    rest: float
    spots: Mask

    @property
    def is_same(self) -> bool:
        """Whether they are the same picture."""
        return self.share <= _MAX_DIFFERENT and self.rest <= _MAX_REST


def square(image: npt.NDArray[np.uint8]) -> Grey:
    """A picture BGR (H, W, 3) for comparing."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def difference(one: Grey, other: Grey) -> Difference:
    """The difference of two pictures after the best fit."""
    as_they_are = _compare(one, other, None)
    warp = _align(one, other) if as_they_are.share >= _NEARLY_NOTHING else None
    return as_they_are if warp is None else min(as_they_are, _compare(one, other, warp), key=lambda fit: fit.share)


def _compare(one: Grey, other: Grey, warp: Matrix | None) -> Difference:
    """Lay ``other``, moved by ``warp``, over ``one``."""
    mask = np.ones((_SIDE, _SIDE), np.bool_)
    if warp is not None:
        size, back = (_SIDE, _SIDE), cv2.WARP_INVERSE_MAP
        inside = cv2.warpAffine(np.full_like(other, 255), warp, size, flags=cv2.INTER_NEAREST | back)
        mask = cv2.erode(inside, np.ones((5, 5), np.uint8)) > 0
        other = np.asarray(cv2.warpAffine(other, warp, size, flags=cv2.INTER_LINEAR | back), np.uint8)
    if mask.mean() < _LEAST_OVERLAP:
        return Difference(share=1.0, rest=1.0, spots=mask)
    first, second = (np.asarray(cv2.GaussianBlur(picture, (3, 3), 0), np.uint8) for picture in (one, other))
    # Both ways: a tone that was clipped away in one cannot be brought back, but it can be clipped in the other.
    return min(_fit(first, second, mask), _fit(second, first, mask), key=lambda fit: fit.share)


def _fit(target: Grey, picture: Grey, mask: Mask) -> Difference:
    error = cv2.absdiff(target, cv2.LUT(picture, _tone_curve(picture, target, mask)))
    shape = (_SIDE // _BLOCK, _BLOCK, _SIDE // _BLOCK, _BLOCK)
    rank = int(_BETTER * _BLOCK**2)
    errors = np.partition(error.reshape(shape).swapaxes(1, 2).reshape(*shape[::2], -1), rank, axis=2)[..., rank]
    contrast = max(float(target[mask].std()), _LOWEST_CONTRAST)
    inside = mask.reshape(shape).mean(axis=(1, 3)) > 0.9
    inner = errors[inside] / contrast
    differs = (inner > _TOLERANCE) & ~_same_edges(target, picture)[inside]
    clear = np.where(mask & (error > _SPOT * contrast), 255, 0).astype(np.uint8)
    spots = cv2.morphologyEx(clear, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
    if inside.mean() < _LEAST_OVERLAP:
        return Difference(share=1.0, rest=1.0, spots=spots)
    return Difference(float(differs.mean()), float(np.quantile(inner, 0.8)), spots)


def _same_edges(one: Grey, other: Grey) -> Mask:
    """Which blocks have the same edges, whatever their brightness."""
    (x, y), (u, v) = ([cv2.Sobel(p, cv2.CV_32F, *axis, ksize=3) for axis in ((1, 0), (0, 1))] for p in (one, other))
    size = (_SIDE // _BLOCK, _SIDE // _BLOCK)
    both, first, second = (
        cv2.resize(product, size, interpolation=cv2.INTER_AREA)  # the mean of each block
        for product in (x * u + y * v, x * x + y * y, u * u + v * v)
    )
    return np.asarray((np.minimum(first, second) > _LEAST_EDGES) & (both > _SAME_EDGES * np.sqrt(first * second)))


def _tone_curve(source: Grey, target: Grey, mask: Mask) -> Grey:
    """The rising curve, uint8 (256,), that brings the greys of ``source`` nearest to those of ``target``."""
    step = slice(None, None, 4)
    chosen = mask[step, step]
    greys, wanted = source[step, step][chosen], target[step, step][chosen]
    order = np.argsort(greys, kind="stable")
    parts = np.array_split(order, 24)
    ends = [order[:8], order[-8:]]
    points = [ends[0], *parts, ends[1]]
    x = np.array([np.median(greys[part]) for part in points])
    y = np.maximum.accumulate([np.median(wanted[part]) for part in points])
    x, first = np.unique(x, return_index=True)
    return np.rint(np.interp(np.arange(256), x, y[first])).astype(np.uint8)


def _align(one: Grey, other: Grey) -> Matrix | None:
    """The affine map (2, 3) from pixels of ``one`` to those of ``other``; None if there is no good one."""
    small = [cv2.resize(picture, (_ALIGNED, _ALIGNED), interpolation=cv2.INTER_AREA) for picture in (one, other)]
    start, everywhere = np.eye(2, 3, dtype=np.float32), np.full((_ALIGNED, _ALIGNED), 255, np.uint8)
    try:
        _, found = cv2.findTransformECC(small[0], small[1], start, cv2.MOTION_AFFINE, _CRITERIA, everywhere, 5)
    except cv2.error:  # it does not converge, or one of the pictures is uniform
        return None
    turn, half = found[:, :2], np.full(2, 0.5)  # OpenCV counts from the middle of a pixel
    if np.abs(turn - np.eye(2)).max() > _MAX_STRETCH:
        return None
    move = _SIDE / _ALIGNED * (found[:, 2] + half - turn @ half) - half + turn @ half
    return np.column_stack([turn, move]).astype(np.float32)
