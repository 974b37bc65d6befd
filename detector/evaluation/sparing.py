"""Scores the two-step engine without classifying each of the thousands of squares that its finder hardly believes in.

A candidate that lies on no labelled face can only be a false box, whatever the classifier says, and is never surer than
the finder is. Average precision ends at the least sure box that is right (COCO interpolates from there down), and the
other figures at a threshold: false boxes below both change nothing. So the candidates on labelled faces are classified
first, then the others from the surest down, until the rest can change no figure: 53 of the sample's 7,965.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from detector.boxes import overlap
from detector.data.progress import Progress
from detector.data.sample import Sample
from detector.detections import CLASSES, Detections
from detector.engines.face_finders import Faces
from detector.engines.two_step import TwoStep
from detector.media import images
from detector.media.images import Image
from detector.scoring import SAME_FACE_IOU, TAIL, Example, balances, match

__all__ = ["SparingScorer"]

LEVELS = (0.1, 0.05, 0.03, 0.02, 0.015, 0.01, TAIL)
"""Candidates are classified down to the first of these scores, then to the next one, as far as it is needed."""


class SparingScorer:
    """What one engine finds in images, as far as it counts in :func:`detector.evaluation.figures.measure`.

    Args:
        engine: its ``conf`` is ``TAIL`` or less.
        conf: the threshold of the figures, 0 to 1.
        min_side: faces under this many px do not count in them.
    """

    def __init__(self, engine: TwoStep, conf: float, min_side: float) -> None:
        self.engine, self.conf, self.min_side = engine, conf, min_side
        self._labelled: list[Sample] = []
        self._rest: list[Faces] = []  # of each image the candidates that are not classified yet
        self._found: list[Detections] = []

    def look(self, picture: Image, image: Sample) -> None:
        """Find the candidates in one image, BGR uint8 (H, W, 3), and classify those that matter in any case."""
        faces = self.engine.finder(picture)
        at_once = (overlap(faces.boxes, image.truth.xyxy) >= SAME_FACE_IOU).any(axis=1) | (faces.scores > LEVELS[0])
        self._labelled.append(image)
        self._rest.append(Faces(faces.boxes[~at_once], faces.scores[~at_once]))
        self._found.append(self._classified(picture, faces, at_once))

    def examples(self, progress: Progress) -> list[Example]:
        """Truth and detections of all images, the surest first; images are read again where more must be classified.

        Raises:
            SourceError: one of them cannot be read any more.
        """
        for level, lower in pairwise(LEVELS):
            if self._settled(level):
                break
            wanted = [index for index, rest in enumerate(self._rest) if (rest.scores > lower).any()]
            for index in progress(wanted, f"classifying from {lower:g}"):
                rest, chosen = self._rest[index], self._rest[index].scores > lower
                more = self._classified(images.read(self._labelled[index].path), rest, chosen)
                self._rest[index] = Faces(rest.boxes[~chosen], rest.scores[~chosen])
                self._found[index] = _joined(self._found[index], more)
        return self._examples

    @property
    def _examples(self) -> list[Example]:
        pairs = zip(self._labelled, self._found, strict=True)
        return [Example(image.truth, found, image.ignored) for image, found in pairs]

    def _classified(self, picture: Image, faces: Faces, chosen: npt.NDArray[np.bool_]) -> Detections:
        return self.engine.classify([picture], [Faces(faces.boxes[chosen], faces.scores[chosen])])[0]

    def _settled(self, level: float) -> bool:
        """Whether false boxes that are no surer than ``level`` change no figure, of all images or of one set."""
        if level >= self.conf:
            return False
        sets: dict[str, list[Example]] = defaultdict(list)
        for image, example in zip(self._labelled, self._examples, strict=True):
            sets[image.set_name].append(example)
        return all(self._settled_for(examples, level) for examples in (self._examples, *sets.values()))

    def _settled_for(self, examples: Sequence[Example], level: float) -> bool:
        if min((_least_right(example) for example in examples), default=1.0) <= level:
            return False
        matches = match(examples, min_side=self.min_side)
        thresholds, balance = balances(matches)
        best = int(np.flatnonzero(balance == balance.max())[0])  # more false boxes can only lower those below the level
        return not len(matches.truth) or bool(thresholds[best] > level)


def _least_right(example: Example) -> float:
    """The least confidence of a box that may be right for average precision, at any overlap from a half on.

    It is wrong if a surer box of its class lies at least as well on the same face, and on no other face.
    """
    least = 1.0
    for class_id in range(len(CLASSES)):
        found = example.found[example.found.class_id == class_id]
        on_face = overlap(found.xyxy, example.truth[example.truth.class_id == class_id].xyxy)
        on_face[on_face < SAME_FACE_IOU] = 0
        best = np.zeros(on_face.shape[1])
        for index in np.argsort(-found.confidence, kind="stable").tolist():
            if (on_face[index] > best).any():
                least = min(least, float(found.confidence[index]))
            if np.count_nonzero(on_face[index]) == 1:
                best = np.maximum(best, on_face[index])
    return least


def _joined(one: Detections, other: Detections) -> Detections:
    names = ("xyxy", "confidence", "class_id")
    both = Detections(*(np.concatenate([getattr(one, name), getattr(other, name)]) for name in names))
    return both[np.argsort(-both.confidence, kind="stable")]
