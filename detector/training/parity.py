"""An exported network, and whether it finds what its checkpoint finds: asked on real images, in several shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch

import detector
from detector.engines.letterbox import InputBuffer, Letterbox
from detector.engines.session import OnnxSession
from detector.errors import ModelError
from detector.media import images
from detector.training.checkpoint import LICENSE, now

__all__ = [
    "OPSET",
    "Difference",
    "Draft",
    "Floats",
    "Parity",
    "class_scores",
    "compare",
    "end_to_end_boxes",
    "letterboxed",
    "raw_boxes",
    "scored_boxes",
]

OPSET = 17
"""Read by every onnxruntime since 1.13 and by all its providers; from 19 on its CUDA kernels lack Resize."""

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

    def __str__(self) -> str:
        boxes = f"{self.candidates} boxes, " if self.candidates else ""
        pixels = f"{self.pixels:.2g} px and " if self.candidates else ""
        return f"equal to the checkpoint on {self.inputs} inputs ({boxes}off by at most {pixels}{self.score:.1g})"


Difference = Callable[[list[Floats], list[Floats]], tuple[int, float, float]]
"""Compares what both networks say of one image, their outputs without the batch's axis: candidates, pixels, score."""


@dataclass(frozen=True)
class Draft:
    """An exported network, and how it is compared with its checkpoint.

    Args:
        network_name: its file's name, see :mod:`detector.engines.weights`.
        about: its head or backbone, and its size, for people.
        model: the graph.
        entries: what it says about itself, to be added to the metadata.
        network: the checkpoint's, in torch.
        inputs: what both are run on, float32 (B, 3, H, W).
        difference: compares what both say.
    """

    network_name: str
    about: str
    model: onnx.ModelProto
    entries: dict[str, str]
    network: Any
    inputs: Iterable[Floats]
    difference: Difference

    def file(self) -> bytes:
        """The .onnx, with metadata: who made it, of what, and when; what is there is kept."""
        common = {
            "author": "mask-detector",
            "date": now(),
            "license": LICENSE,
            "detector": detector.__version__,
            "docs": "https://github.com/mask-detector/mask-detector",
        }
        before = {entry.key: entry.value for entry in self.model.metadata_props}
        del self.model.metadata_props[:]
        onnx.helper.set_model_props(self.model, before | common | self.entries)
        self.model.doc_string = ""
        del self.model.graph.value_info[:]  # shapes that a runtime works out anew: a tenth of a small file
        onnx.checker.check_model(self.model)
        return bytes(self.model.SerializeToString())


def compare(network: Any, session: OnnxSession, inputs: Iterable[Floats], difference: Difference) -> Parity:
    """Run both on the same tensors.

    Args:
        network: the torch network in float32, with the head that was exported.
        session: the exported file.
        inputs: float32 (B, 3, H, W).
        difference: reads the outputs: one of the functions here.

    Raises:
        ModelError: a candidate is off by more than half a pixel or 0.001, or has no twin.
        SourceError: an image cannot be read.
    """
    count, seen = 0, [(0, 0.0, 0.0)]
    network.eval()
    for tensor in inputs:
        theirs = session(tensor)
        with torch.inference_mode():
            said = network(torch.from_numpy(tensor))
        ours = [part.numpy() for part in (said if isinstance(said, tuple) else (said,))[: len(theirs)]]
        if [part.shape for part in ours] != [part.shape for part in theirs]:
            raise ModelError(f"{session.source}: its outputs have other shapes than its checkpoint's: not exported")
        rows = zip(zip(*ours, strict=True), zip(*theirs, strict=True), strict=True)
        seen += [difference(list(one), list(other)) for one, other in rows]
        count += 1
    candidates, pixels, score = np.array(seen).T
    parity = Parity(count, int(candidates.sum()), float(pixels.max()), float(score.max()))
    if not (count and parity.pixels <= MAX_PIXELS and parity.score <= MAX_SCORE):  # in this form NaN fails too
        raise ModelError(
            f"{session.source}: differs from its checkpoint by {parity.pixels:.3g} px and {parity.score:.3g} in score "
            f"(allowed are {MAX_PIXELS} and {MAX_SCORE}): nothing was written"
        )
    return parity


def letterboxed(paths: Sequence[Path], imgsz: int, stride: int) -> Iterator[Floats]:
    """The first few images in small, recommended and larger size (px), square and not, alone and two at a time."""
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
            yield _written(picture, geometry)[None]
    pair = [pictures[0], pictures[-1][:, ::-1].copy()]
    yield np.stack([_written(picture, Letterbox.fill(picture.shape[:2], (imgsz, half))) for picture in pair])


def raw_boxes(ours: list[Floats], theirs: list[Floats]) -> tuple[int, float, float]:
    """Columns (4 + classes, anchors), cxcywh px and scores: the anchors stand in the same order on both sides."""
    return scored_boxes(*([_corners(output[0]), output[0][4:].T] for output in (ours, theirs)))


def scored_boxes(ours: list[Floats], theirs: list[Floats]) -> tuple[int, float, float]:
    """Boxes (N, 4), xyxy px, and scores (N,) or (N, classes), in the same order on both sides."""
    scores = [output[1].reshape(len(output[1]), -1) for output in (ours, theirs)]
    counting = _counting(np.maximum(*(score.max(axis=1) for score in scores)))
    pixels = np.abs(ours[0] - theirs[0])[counting].max()
    return len(counting), float(pixels), float(np.abs(scores[0] - scores[1]).max())


def end_to_end_boxes(ours: list[Floats], theirs: list[Floats]) -> tuple[int, float, float]:
    """Rows (300, 6): nearly equal scores may have changed places, so each row looks for its twin on the other side."""
    worst = np.zeros(2)
    counting = _counting(np.maximum(ours[0][:, 4], theirs[0][:, 4]))
    for one, other in ((ours[0], theirs[0]), (theirs[0], ours[0])):
        for row in one[counting]:
            pixels = np.abs(other[:, :4] - row[:4]).max(axis=1)
            score = np.where(other[:, 5] == row[5], np.abs(other[:, 4] - row[4]), 1.0)
            twin = np.maximum(pixels / MAX_PIXELS, score / MAX_SCORE).argmin()
            worst = np.maximum(worst, [pixels[twin], score[twin]])
    return len(counting), float(worst[0]), float(worst[1])


def class_scores(ours: list[Floats], theirs: list[Floats]) -> tuple[int, float, float]:
    """Scores (classes,)."""
    return 0, 0.0, float(np.abs(ours[0] - theirs[0]).max())


def _written(picture: npt.NDArray[np.uint8], geometry: Letterbox) -> Floats:
    buffer = InputBuffer(geometry)
    buffer.write(picture)
    return buffer.tensor


def _counting(scores: Floats) -> npt.NDArray[np.intp]:
    """Indices of the candidates that count."""
    surest = np.argsort(-scores, kind="stable")
    return surest[: max(LEAST_CANDIDATES, int((scores > LEAST_CONFIDENCE).sum()))]


def _corners(columns: Floats) -> Floats:
    """(4 or more, N) cxcywh as (N, 4) xyxy."""
    half = columns[2:4] / 2
    return np.concatenate([columns[:2] - half, columns[:2] + half]).T
