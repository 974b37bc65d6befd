"""Train the two-step engine's face finder on a YOLO folder; both classes are faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from detector.data.loading import load_yolo
from detector.data.regions import Regions
from detector.data.sample import Sample
from detector.engines.weights import FACE_WEIGHTS
from detector.errors import TrainingError
from detector.training.checkpoint import FACE_FINDER
from detector.training.history import Contents, Figures, data_note
from detector.training.runs import batch_size
from detector.training.two_step.face_ssd_data import Pictures, views
from detector.training.two_step.face_ssd_network import FaceSSD, detection_loss, match
from detector.training.two_step.face_ssd_validation import FaceRecall, find_faces, measure
from detector.training.two_step.learner import Learner, rate, rgb_tensor

__all__ = ["FaceFinderLearner", "FaceFinderSettings"]

BATCH = 16
LEARNING_RATE = 1e-3
"""Of AdamW, at its peak."""

WARM_UP = 300
"""Steps in which the rate rises, until AdamW knows the gradients' size; a fifth of a shorter training."""

LARGEST_GRADIENT = 10.0
EXAMPLES = 3
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
        self.imgsz = -(-settings.imgsz // STEP) * STEP
        # Twice the input is as much as a view zooms in without inventing pixels.
        self.train, self.val = (Pictures(part, 2 * self.imgsz) for part in (train, val))
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
            size=self.imgsz,
            batch=self.batch,
            mosaics=0.0 if whole else MOSAICS,
            seed=(settings.seed, epoch),
        )
        for batch in self.one_epoch(epoch, batches):
            with self.hardware.autocast():
                pixels = rgb_tensor(np.stack([view.image for view in batch])).to(device)
                logits, offsets, priors = self.network(pixels)
            targets = [
                match(torch.from_numpy(view.faces).to(device), torch.from_numpy(view.ignored).to(device), priors)
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
        recall = measure(find_faces(self.average.module, self.val, self.imgsz, self.hardware))
        return {"recall at 1 false face an image": recall.recall}, recall


def _contents(part: Sequence[Sample]) -> Contents:
    return Contents(len(part), {"faces": sum(len(item.truth) for item in part)})
