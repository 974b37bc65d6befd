"""The two-step engine: one network finds faces, another looks at each. What tutorials do, as well as it can be done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt

from detector.boxes import MAX_DETECTIONS
from detector.detections import CLASSES, Detections
from detector.engines.classifier import MaskClassifier
from detector.engines.crops import cut
from detector.engines.face_finders import FaceFinder, Faces
from detector.engines.image_network import Engine, Image

__all__ = ["CROPS_AT_ONCE", "TwoStep"]

CROPS_AT_ONCE = 64
"""Faces that go through the classifier in one run; a crowd takes several, so that it does not take all memory."""

Floats = npt.NDArray[np.float32]


class TwoStep(Engine):
    """A face finder and a classifier, behind the same interface as the single-stage engine. Many threads may share it.

    All faces of an image, and of a batch of images, are classified together. A face is of the likelier of the two
    classes, and none if it is likelier background. Its confidence is the finder's score times the probability of the
    class: the chance that both steps are right, 0 to 1.

    Args:
        classifier: the second step.
        finder: the first step; its ``conf`` is this engine's, since a product is never above its first factor.
        one_class: a face has one class (what people want to see). False keeps both, each with its own confidence, and
            leaves background to the low confidence it causes: what average precision is defined on.
    """

    def __init__(self, classifier: MaskClassifier, finder: FaceFinder, *, one_class: bool = True) -> None:
        self.classifier, self.finder, self.one_class = classifier, finder, one_class

    @property
    def conf(self) -> float:
        """Faces that are less sure than this are dropped, 0 to 1."""
        return self.finder.conf

    @conf.setter
    def conf(self, value: float) -> None:
        self.finder.conf = value

    def __call__(self, image: Image) -> Detections:
        """Find the faces in one BGR uint8 (H, W, 3) image, the surest first."""
        return self.classify([image], [self.finder(image)])[0]

    def batch(self, images: Sequence[Image]) -> list[Detections]:
        """Find the faces in several images."""
        return self.classify(images, self.finder.batch(images))

    def close(self) -> None:
        """Free the memory of both."""
        self.finder.close()
        self.classifier.close()

    def classify(self, images: Sequence[Image], found: Sequence[Faces]) -> list[Detections]:
        """The second step alone: what the candidates ``found`` in each of several images are, the surest first."""
        crops = self._crops(images, found)
        probabilities = [np.zeros((0, len(CLASSES) + 1), np.float32)]
        while chunk := list(islice(crops, CROPS_AT_ONCE)):
            probabilities.append(self.classifier(np.stack(chunk)))
        stacked = np.concatenate(probabilities)
        ends = np.cumsum([len(scores) for _, scores in found]).tolist()
        return [
            self._decide(xyxy, scores, stacked[end - len(scores) : end])
            for (xyxy, scores), end in zip(found, ends, strict=True)
        ]

    def _crops(self, images: Sequence[Image], found: Sequence[Faces]) -> Iterator[npt.NDArray[np.uint8]]:
        for image, (xyxy, _) in zip(images, found, strict=True):
            for index in range(len(xyxy)):
                yield cut(image, xyxy[index : index + 1], side=self.classifier.side, margin=self.classifier.margin)[0]

    def _decide(self, xyxy: Floats, scores: Floats, probabilities: Floats) -> Detections:
        """One image's faces (N, 4) and (N,), with probabilities (N, 3) of the classes and background."""
        of_class, background = probabilities[:, : len(CLASSES)], probabilities[:, len(CLASSES)]
        confidence = np.clip(scores[:, None] * of_class, 0, 1)
        kept = confidence > self.conf
        if self.one_class:
            likelier = of_class.argmax(axis=1)[:, None] == np.arange(len(CLASSES))
            kept &= likelier & (of_class >= background[:, None])
        face, class_id = np.nonzero(kept)
        order = np.argsort(-confidence[face, class_id], kind="stable")[:MAX_DETECTIONS]
        face, class_id = face[order], class_id[order]
        return Detections(xyxy[face], confidence[face, class_id], class_id)
