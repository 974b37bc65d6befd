"""Train the two-step engine's face finder on a YOLO folder; both classes are faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from detector.boxes import MAX_DETECTIONS, suppress
from detector.data.loading import load_yolo
from detector.data.regions import Regions
from detector.data.sample import Sample
from detector.defaults import DEFAULT_IOU
from detector.detections import Detections
from detector.engines.face_finders import MAX_CANDIDATES
from detector.engines.letterbox import InputBuffer, Letterbox
from detector.engines.weights import FACE_WEIGHTS
from detector.errors import TrainingError
from detector.scoring import TAIL, Example, match
from detector.training.checkpoint import FACE_FINDER
from detector.training.hardware import Hardware
from detector.training.history import Contents, Figures, data_note
from detector.training.runs import batch_size
from detector.training.two_step.face_ssd_data import Pictures, views
from detector.training.two_step.face_ssd_network import STRIDE, Decoded, FaceSSD, detection_loss, match_priors
from detector.training.two_step.learner import Learner, rate, rgb_tensor

__all__ = ["FaceFinderLearner", "FaceFinderSettings", "FaceRecall", "measure"]

BATCH = 16
LEARNING_RATE = 1e-3
"""Of AdamW, at its peak."""

WARM_UP = 300
"""Steps in which the rate rises, until AdamW knows the gradients' size; a fifth of a shorter training."""

LARGEST_GRADIENT = 10.0
EXAMPLES = 3
LEAST_SIDE = 16.0
"""Of faces that a face finder is measured on, px: shorter sides than this neither help nor hurt."""

STEP = 64
"""The input's side is a multiple of it: a mosaic's quarter is whole strides too."""

MOSAICS, WHOLE_PICTURES = 0.5, 0.15
"""Share of the pictures that are shown four at a time, and of the epochs, the last, in which none is."""


@dataclass(frozen=True)
class FaceFinderSettings:
    """What a run begins with and goes on with.

    Args:
        data: data.yaml of a YOLO folder.
        epochs: times that every image is seen.
        imgsz: side of the network's input while it learns, px; rounded up to a multiple of 64.
        batch: images per step; 16 by default, or all of them if there are fewer.
        seed: another number gives other cuts and another order.
        ignore: CSV of regions with faces that nobody labelled, see :class:`~detector.data.regions.Regions`.
    """

    data: str
    epochs: int = 40
    imgsz: int = 512
    batch: int | None = None
    seed: int = 0
    ignore: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "imgsz", -(-self.imgsz // STEP) * STEP)


@dataclass(frozen=True)
class FaceRecall:
    """The share of faces that are found where one false face an image is allowed.

    Args:
        recall: 0 to 1; NaN where there is no face.
        threshold: faces that are surer than this are then shown.
        faces: how many were to be found.
    """

    recall: float
    threshold: float
    faces: int

    def __str__(self) -> str:
        return (
            f"recall at 1 false face an image: {self.recall:.3f} of {self.faces} faces from {LEAST_SIDE:g} px, "
            f"at a score of {self.threshold:.3f}"
        )


class FaceFinderLearner(Learner):
    """See :class:`~.learner.Learner`; the settings are :class:`FaceFinderSettings`."""

    kind = FACE_FINDER
    file_name = FACE_WEIGHTS
    settings_type = FaceFinderSettings

    def read_data(self) -> None:
        """The labelled images; their pixels are read when they are needed."""
        settings = self.settings
        regions = Regions(Path(settings.ignore) if settings.ignore else None)
        train, val = (
            load_yolo(Path(settings.data), part=part, regions=regions, progress=self.progress)
            for part in ("train", "val")
        )
        self.batch = batch_size(settings.batch, BATCH, len(train), "training images")
        if not any(len(item.truth) for item in train):
            raise TrainingError(f"{settings.data}: no face is labelled in train: there is nothing to learn")
        self.note = data_note("images", _contents(train), _contents(val))
        self.examples = tuple(item.path for item in val[:EXAMPLES])
        # Twice the input is as much as a view zooms in without inventing pixels.
        self.train, self.val = (Pictures(part, 2 * settings.imgsz) for part in (train, val))
        self.steps = len(train) // self.batch

    def build(self) -> FaceSSD:
        """The SSD."""
        return FaceSSD()

    def learn(self, epoch: int) -> Figures:
        """One epoch; the mean losses of scores and boxes."""
        settings, device = self.settings, self.hardware.device
        totals = np.zeros(2)
        whole = epoch >= (1 - WHOLE_PICTURES) * settings.epochs
        batches = views(
            self.train,
            size=settings.imgsz,
            batch=self.batch,
            mosaics=0.0 if whole else MOSAICS,
            seed=(settings.seed, epoch),
        )
        for batch in self.one_epoch(epoch, batches):
            with self.hardware.autocast():
                pixels = rgb_tensor(np.stack([view.image for view in batch])).to(device)
                logits, offsets, priors = self.network(pixels)
            targets = [
                match_priors(torch.from_numpy(view.faces).to(device), torch.from_numpy(view.ignored).to(device), priors)
                for view in batch
            ]
            losses = detection_loss(logits.float(), offsets.float(), priors, targets)
            pace = LEARNING_RATE * rate(self.step, self.steps * settings.epochs, WARM_UP)
            self.advance(losses[0] + losses[1], pace, LARGEST_GRADIENT)
            totals += [loss.item() for loss in losses]
        scores, boxes = (totals / self.steps).tolist()
        return {"loss": scores + boxes, "loss of scores": scores, "loss of boxes": boxes}

    def validate(self) -> tuple[Figures, FaceRecall]:
        """Recall on the validation images."""
        recall = measure(_find_faces(self.average.module, self.val, self.settings.imgsz, self.hardware))
        return {"recall at 1 false face an image": recall.recall}, recall


def _contents(part: Sequence[Sample]) -> Contents:
    return Contents(len(part), {"faces": sum(len(item.truth) for item in part)})


def measure(examples: Sequence[Example]) -> FaceRecall:
    """Recall at as many false faces as there are images, with one threshold for all of them, classes aside."""
    matches = match(examples, min_side=LEAST_SIDE)
    alarms = -np.sort(-matches.false_confidence)
    threshold = float(alarms[len(examples)]) if len(examples) < len(alarms) else 0.0
    found = float((matches.confidence > threshold).mean()) if len(matches.confidence) else float("nan")
    return FaceRecall(found, threshold, len(matches.confidence))


def _find_faces(network: FaceSSD, pictures: Pictures, imgsz: int, hardware: Hardware) -> list[Example]:
    """Each image's truth and what the network finds there, all as one class.

    Args:
        network: is set to evaluation.
        pictures: the images, at their own size or scaled down.
        imgsz: their longer side in the network, px.
        hardware: where the network is.

    Raises:
        SourceError: an image cannot be read.
    """
    readable = Decoded(network).eval()
    examples = []
    for index, item in enumerate(pictures.labelled):
        picture, _, _ = pictures[index]
        geometry = Letterbox.fit(picture.shape[:2], imgsz, STRIDE)
        buffer = InputBuffer(geometry)
        buffer.write(picture)
        pixels = torch.from_numpy(buffer.tensor[None]).to(hardware.device, memory_format=torch.channels_last)
        with torch.inference_mode(), hardware.autocast():
            boxes, scores = (output[0].cpu().numpy() for output in readable(pixels))
        kept = suppress(boxes, scores, DEFAULT_IOU["two-step"], least=TAIL, most=MAX_CANDIDATES)[:MAX_DETECTIONS]
        scale = np.float32(max(item.size) / max(picture.shape[:2]))
        found = Detections(geometry.restore(boxes[kept]) * scale, scores[kept], np.zeros(len(kept), np.int64))
        examples.append(Example(item.truth, found, item.ignored))
    return examples
