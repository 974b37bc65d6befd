"""From the two-step engine's checkpoints to ONNX files that are checked against them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import detector
from detector.engines.letterbox import InputBuffer, Letterbox
from detector.engines.session import OnnxSession
from detector.errors import ModelError, OutputError
from detector.files import write_file
from detector.media import images
from detector.staging import temporary_folder
from detector.training.checkpoint import LICENSE, now
from detector.training.exporter import OPSET
from detector.training.parity import MAX_PIXELS, MAX_SCORE
from detector.training.two_step import classifier_training, face_ssd_training
from detector.training.two_step.crop_folder import Crop, whole
from detector.training.two_step.learner import load_checkpoint, require_torchvision

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Exported", "export_classifier", "export_face_ssd"]

LEAST_SCORE = 0.05
"""Candidates whose boxes are compared; of the others only the scores are."""

Arrays = Sequence[npt.NDArray[np.float32]]
Measure = Callable[[Arrays, Arrays], tuple[float, float]]


@dataclass(frozen=True)
class Exported:
    """A verified ONNX file.

    Args:
        path: the file.
        inputs: how many tensors both networks were asked about.
        pixels: the largest difference of a box's edge, px in the network's input.
        score: the largest difference of a score.
    """

    path: Path
    inputs: int
    pixels: float
    score: float

    def __str__(self) -> str:
        boxes = f"{self.pixels:.2g} px and " if self.pixels else ""
        return f"{self.path}: within {boxes}{self.score:.2g} in score of its checkpoint, on {self.inputs} inputs"


def export_face_ssd(checkpoint: Path, out: Path, pictures: Sequence[Path], *, imgsz: int | None = None) -> Exported:
    """Export the face finder with free height, width and batch; priors and decoding are inside.

    Args:
        checkpoint: a best.pt or last.pt of :func:`~.two_step.face_ssd_training.train`.
        out: the .onnx to write; an older one is replaced. It appears only if it agrees with the checkpoint.
        pictures: real images to compare on; a few are enough.
        imgsz: size that the file recommends, px; the size of the training by default.

    Raises:
        TrainingError: the checkpoint is missing, damaged or of another training.
        ModelError: the exported network differs from it.
        OutputError: ``out`` cannot be written.
        MissingExtraError: the extra ``train`` is not installed.
    """
    require_torchvision()
    import torch

    from detector.training.two_step.face_ssd_network import STRIDE, Decoded, FaceSSD

    content = load_checkpoint(checkpoint, face_ssd_training.CHECKPOINT)
    network = FaceSSD()
    network.load_state_dict(content["average"])
    size = imgsz or int(content["settings"]["imgsz"])
    entries = {
        "description": "Finds faces: the first of two steps",
        "task": "face",
        "names": str({0: "face"}),
        "stride": str(STRIDE),
        "imgsz": str([size, size]),
        "end2end": "False",
        "data": content["data_note"],
    }
    free = {0: "batch", 2: "height", 3: "width"}
    axes = {"images": free, "boxes": {0: "batch", 1: "candidates"}, "scores": {0: "batch", 1: "candidates"}}
    example = torch.zeros(2, 3, 4 * STRIDE, 3 * STRIDE)
    return _export(Decoded(network), example, out, axes, entries, _shapes(pictures, size, STRIDE), _boxes_and_scores)


def export_classifier(checkpoint: Path, out: Path, crops: Sequence[Crop]) -> Exported:
    """Export the classifier with a free batch; the softmax is inside.

    Args:
        checkpoint: a best.pt or last.pt of :func:`~.two_step.classifier_training.train`.
        out: as for :func:`export_face_ssd`.
        crops: to compare on; a few are enough.

    Raises:
        TrainingError: the checkpoint is missing, damaged or of another training.
        ModelError: the exported network differs from it.
        OutputError: ``out`` cannot be written.
        MissingExtraError: the extra ``train`` is not installed.
    """
    require_torchvision()
    import torch
    from torch import nn

    from detector.training.two_step.classifier_network import MaskClassifierNetwork

    content = load_checkpoint(checkpoint, classifier_training.CHECKPOINT)
    settings, names = classifier_training.Settings(**content["settings"]), content["names"]
    network = MaskClassifierNetwork(settings.backbone, len(names))
    network.load_state_dict(content["average"])
    entries = {
        "description": "Says who wears a mask, face by face: the second of two steps",
        "task": "mask",
        "names": str(dict(enumerate(names))),
        "imgsz": str([settings.side, settings.side]),
        "margin": str(content["margin"]),
        "backbone": settings.backbone,
        "data": content["data_note"],
    }
    axes = {"crops": {0: "batch"}, "probabilities": {0: "batch"}}
    example = torch.zeros(2, 3, settings.side, settings.side)
    return _export(
        nn.Sequential(network, nn.Softmax(dim=1)), example, out, axes, entries, _crops(crops, settings.side), _scores
    )


def _export(
    network: nn.Module,
    example: Any,
    out: Path,
    axes: dict[str, dict[int, str]],
    entries: dict[str, str],
    inputs: Iterator[npt.NDArray[np.float32]],
    measure: Measure,
) -> Exported:
    """Trace, compare on all inputs, and write."""
    import torch

    if out.suffix != ".onnx":
        raise OutputError(f"{out}: must end in .onnx")
    network.eval()
    data = _trace(network, example, axes, entries)
    count, pixels, score = 0, 0.0, 0.0
    with OnnxSession(data, device="cpu") as session:
        for tensor in inputs:
            with torch.inference_mode():
                ours = network(torch.from_numpy(tensor))
            ours = [output.numpy() for output in (ours if isinstance(ours, tuple) else (ours,))]
            theirs = session(tensor)
            if [output.shape for output in ours] != [output.shape for output in theirs]:
                raise ModelError(f"{out}: its outputs have other shapes than its checkpoint's: nothing was written")
            off_pixels, off_score = measure(ours, theirs)
            count, pixels, score = count + 1, max(pixels, off_pixels), max(score, off_score)
    if not (count and pixels <= MAX_PIXELS and score <= MAX_SCORE):  # in this form NaN fails too
        raise ModelError(
            f"{out}: differs from its checkpoint by {pixels:.3g} px and {score:.3g} in score on {count} inputs "
            f"(allowed are {MAX_PIXELS} and {MAX_SCORE}): nothing was written"
        )
    write_file(out, data, replace=True)
    return Exported(out, count, pixels, score)


def _trace(network: nn.Module, example: Any, axes: dict[str, dict[int, str]], entries: dict[str, str]) -> bytes:
    """The file: the network's graph, constants folded, and what it says about itself."""
    import onnx
    import torch

    names = list(axes)
    with warnings.catch_warnings(), temporary_folder() as folder:
        warnings.simplefilter("ignore")  # the tracer warns that it is the old one: the new one needs onnxscript
        path = folder / "network.onnx"
        torch.onnx.export(
            network,
            (example,),
            path,
            input_names=names[:1],
            output_names=names[1:],
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
        model = onnx.load(path)
    common = {
        "author": "mask-detector",
        "date": now(),
        "license": LICENSE,
        "detector": detector.__version__,
        "docs": "https://github.com/mask-detector/mask-detector",
    }
    onnx.helper.set_model_props(model, entries | common)
    model.doc_string = ""
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def _shapes(pictures: Sequence[Path], imgsz: int, stride: int) -> Iterator[npt.NDArray[np.float32]]:
    """Each picture at the recommended size, at half of it, and in a square; and two at a time."""
    half = max(imgsz // 2 // stride, 2) * stride
    for path in pictures:
        picture = images.read(path)
        shape = (picture.shape[0], picture.shape[1])
        fits = [Letterbox.fit(shape, size, stride) for size in (imgsz, half)]
        for geometry in (*fits, Letterbox.fill(shape, (imgsz, imgsz + stride))):
            yield _letterboxed(picture, geometry)[None]
        geometry = Letterbox.fill(shape, (half, imgsz))
        yield np.stack([_letterboxed(side, geometry) for side in (picture, picture[:, ::-1].copy())])


def _letterboxed(picture: npt.NDArray[np.uint8], geometry: Letterbox) -> npt.NDArray[np.float32]:
    buffer = InputBuffer(geometry)
    buffer.write(picture)
    return buffer.tensor


def _crops(crops: Sequence[Crop], side: int) -> Iterator[npt.NDArray[np.float32]]:
    """All at once, and one alone."""
    for some in (crops, crops[:1]):
        for pixels, _ in whole(some, side=side, batch=len(crops)):
            yield np.ascontiguousarray(pixels[..., ::-1].transpose(0, 3, 1, 2)).astype(np.float32) / np.float32(255)


def _boxes_and_scores(ours: Arrays, theirs: Arrays) -> tuple[float, float]:
    counts = np.maximum(ours[1], theirs[1]) >= LEAST_SCORE
    counts.reshape(-1)[ours[1].argmax()] = True  # at least one
    return float(np.abs(ours[0] - theirs[0])[counts].max()), float(np.abs(ours[1] - theirs[1]).max())


def _scores(ours: Arrays, theirs: Arrays) -> tuple[float, float]:
    return 0.0, float(np.abs(ours[0] - theirs[0]).max())
