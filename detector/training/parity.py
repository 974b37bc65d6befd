"""Does an exported network find what its checkpoint finds? Asked on real images, in several shapes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from detector.engines.letterbox import InputBuffer, Letterbox
from detector.engines.session import OnnxSession
from detector.errors import ModelError
from detector.media import images

__all__ = ["Parity", "compare"]

MAX_PIXELS, MAX_SCORE = 0.5, 1e-3
"""How far a box's edge and a score may be off; below either, no one and no metric sees a difference."""

LEAST_CONFIDENCE, LEAST_CANDIDATES = 0.05, 50
"""Candidates that count: those this sure, and the surest few however unsure, so that a pass means something."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Parity:
    """The largest differences that were seen.

    Args:
        inputs: how many tensors both networks were asked about.
        candidates: how many boxes were compared.
        pixels: of a box's edge, px in the network's input.
        score: of a class's score.
    """

    inputs: int
    candidates: int
    pixels: float
    score: float


def compare(network: Any, session: OnnxSession, imgsz: int, paths: Sequence[Path]) -> Parity:
    """Run both on the same tensors: small, recommended and larger size, square and not, alone and two at a time.

    Args:
        network: the torch network in float32, with the head that was exported.
        session: the exported file.
        imgsz: the recommended size, px.
        paths: real images; a few are enough.

    Raises:
        ModelError: a candidate is off by more than half a pixel or 0.001, or has no twin.
        SourceError: an image cannot be read.
    """
    import torch

    total, pixels, score, count = 0, 0.0, 0.0, 0
    network.eval()
    for tensor in _inputs(paths, imgsz, session.metadata.stride):
        count += 1
        with torch.no_grad():
            ours = network(torch.from_numpy(tensor))
        ours = (ours[0] if isinstance(ours, tuple) else ours).numpy()
        theirs = session(tensor)[0]
        if ours.shape != theirs.shape:
            raise ModelError(
                f"{session.source}: its output is {theirs.shape}, the checkpoint's {ours.shape}: not exported"
            )
        difference = _end_to_end if session.metadata.end2end else _raw
        for row in range(len(tensor)):
            some, off_pixels, off_score = difference(ours[row], theirs[row])
            total, pixels, score = total + some, max(pixels, off_pixels), max(score, off_score)
    if not (pixels <= MAX_PIXELS and score <= MAX_SCORE):  # in this form NaN fails too
        raise ModelError(
            f"{session.source}: differs from its checkpoint by {pixels:.3g} px and {score:.3g} in score "
            f"(allowed are {MAX_PIXELS} and {MAX_SCORE}): nothing was written"
        )
    return Parity(count, total, pixels, score)


def _inputs(paths: Sequence[Path], imgsz: int, stride: int) -> Iterator[npt.NDArray[np.float32]]:
    pictures = [images.read(path) for path in paths[:4]]
    half = max(imgsz // 2 // stride, 2) * stride
    for picture in pictures:
        shape = (picture.shape[0], picture.shape[1])
        for geometry in (
            Letterbox.fit(shape, imgsz, stride),
            Letterbox.fit(shape, half, stride),
            Letterbox.fill(shape, (imgsz, imgsz)),
            Letterbox.fill(shape, (half, imgsz + stride)),
        ):
            yield _letterboxed(picture, geometry)[None]
    pair = [pictures[0], pictures[-1][:, ::-1].copy()]
    yield np.stack([_letterboxed(picture, Letterbox.fill(picture.shape[:2], (imgsz, half))) for picture in pair])


def _letterboxed(picture: npt.NDArray[np.uint8], geometry: Letterbox) -> npt.NDArray[np.float32]:
    buffer = InputBuffer(geometry)
    buffer.write(picture)
    return buffer.tensor


def _raw(ours: Floats, theirs: Floats) -> tuple[int, float, float]:
    """Columns (4 + classes, anchors): the anchors stand in the same order on both sides."""
    chosen = _counting(np.maximum(ours[4:].max(axis=0), theirs[4:].max(axis=0)))
    ours, theirs = ours[:, chosen], theirs[:, chosen]
    edges = np.abs(_corners(ours) - _corners(theirs))
    return len(chosen), float(edges.max()), float(np.abs(ours[4:] - theirs[4:]).max())


def _end_to_end(ours: Floats, theirs: Floats) -> tuple[int, float, float]:
    """Rows (300, 6): nearly equal scores may have changed places, so each row looks for its twin on the other side."""
    worst_pixels, worst_score = 0.0, 0.0
    chosen = _counting(np.maximum(ours[:, 4], theirs[:, 4]))
    for one, other in ((ours, theirs), (theirs, ours)):
        for row in one[chosen]:
            pixels = np.abs(other[:, :4] - row[:4]).max(axis=1)
            score = np.where(other[:, 5] == row[5], np.abs(other[:, 4] - row[4]), 1.0)
            twin = np.maximum(pixels / MAX_PIXELS, score / MAX_SCORE).argmin()
            worst_pixels, worst_score = max(worst_pixels, float(pixels[twin])), max(worst_score, float(score[twin]))
    return len(chosen), worst_pixels, worst_score


def _counting(scores: Floats) -> npt.NDArray[np.intp]:
    """Indices of the candidates that count."""
    surest = np.argsort(-scores, kind="stable")
    return surest[: max(LEAST_CANDIDATES, int((scores > LEAST_CONFIDENCE).sum()))]


def _corners(columns: Floats) -> Floats:
    return np.concatenate([columns[:2] - columns[2:4] / 2, columns[:2] + columns[2:4] / 2])
