"""One engine on one set of images: everything that is said about it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from detector.data.progress import Progress, silent
from detector.detections import CLASSES, Detections
from detector.errors import SourceError
from detector.evaluation.labelled import LabelledImage
from detector.media import images
from detector.media.images import Image
from detector.scoring import (
    FACE_SIZES,
    MIN_SIDE,
    ClassScore,
    Confusion,
    Example,
    Matches,
    best_threshold,
    count,
    match,
    one_class,
    score,
)

__all__ = ["At", "Figures", "Findings", "find", "measure"]

Detector = Callable[[Image], Detections]


@dataclass(frozen=True)
class Findings:
    """What several detectors found in the same images.

    Args:
        labelled: the images that could be read.
        examples: for each detector the truth and its detections, image by image.
        unreadable: a line for each image that could not be read.
    """

    labelled: list[LabelledImage]
    examples: list[list[Example]]
    unreadable: list[str]


@dataclass(frozen=True)
class At:
    """What happens at one threshold, in all and for faces of each of ``FACE_SIZES``."""

    overall: Confusion
    by_size: dict[str, Confusion]

    @property
    def threshold(self) -> float:
        """Detections that are at least this sure were counted."""
        return self.overall.threshold


@dataclass(frozen=True)
class Figures:
    """One engine's figures.

    Args:
        name: the engine.
        images: how many images there were.
        scores: average precision of each class.
        chosen: at the threshold that was asked for.
        best: at the threshold with the highest mean F1; None where no face is labelled.
    """

    name: str
    images: int
    scores: tuple[ClassScore, ...]
    chosen: At
    best: At | None

    def content(self) -> dict[str, object]:
        """Everything, ready for JSON; what is not defined is null."""
        return {
            "engine": self.name,
            "images": self.images,
            "average_precision": {
                s.name: {
                    "faces": s.support,
                    "ap50": _plain(s.ap50),
                    "ap50_95": _plain(s.ap50_95),
                    "ap50_by_size": {size: _plain(value) for size, value in s.ap50_by_size.items()},
                    "precision_at_recall_0_to_1": [_plain(value) for value in s.curve],
                }
                for s in self.scores
            },
            "at_chosen_threshold": _at(self.chosen),
            "at_best_threshold": _at(self.best) if self.best else None,
        }


def find(detectors: Sequence[Detector], labelled: Sequence[LabelledImage], progress: Progress = silent) -> Findings:
    """Run detectors over images, each of which is read once.

    Args:
        detectors: engines that keep both classes of a face (``one_class=False``), down to ``TAIL``.
        labelled: the images; one that cannot be read is left out for all detectors.
        progress: wraps the loop.
    """
    findings = Findings([], [[] for _ in detectors], [])
    for image in progress(labelled, "finding faces"):
        try:
            picture = images.read(image.path)
        except SourceError as error:
            findings.unreadable.append(str(error))
            continue
        findings.labelled.append(image)
        for examples, detector in zip(findings.examples, detectors, strict=True):
            examples.append(Example(image.truth, detector(picture), image.ignored))
    return findings


def measure(
    name: str, examples: Sequence[Example], *, conf: float, iou: float, min_side: float = MIN_SIDE
) -> Figures:  # fmt: skip
    """Score what :func:`find` returned for one detector.

    Average precision is that of both classes of each face; counts are of one class per face, as people see it, which is
    derived from the same detections (see :func:`~detector.scoring.one_class`).

    Args:
        name: what the engine is called.
        examples: the images.
        conf: the chosen threshold, 0 to 1.
        iou: of two boxes that overlap more, the surer is shown.
        min_side: faces under this many px do not count.

    Raises:
        MissingExtraError: faster-coco-eval is not installed.
    """
    shown = [replace(example, found=one_class(example.found, iou)) for example in examples]
    matches = match(shown, min_side=min_side)
    best = best_threshold(matches)
    return Figures(
        name,
        len(examples),
        score(examples, min_side=min_side),
        at(matches, conf),
        None if best is None else at(matches, best),
    )


def at(matches: Matches, threshold: float) -> At:
    """Counts at one threshold."""
    sizes = {size: count(matches.within(*limits), threshold) for size, limits in FACE_SIZES.items()}
    return At(count(matches, threshold), sizes)


def _at(point: At) -> dict[str, object]:
    return {
        "threshold": point.threshold,
        "mean_f1": _plain(point.overall.mean_f1),
        "confusion": {
            "rows": [*CLASSES, "no face there"],
            "columns": [*CLASSES, "not found"],
            "counts": point.overall.counts,
        },
        "classes": _classes(point.overall),
        "by_size": {size: _classes(confusion) for size, confusion in point.by_size.items()},
    }


def _classes(confusion: Confusion) -> dict[str, dict[str, float | int | None]]:
    return {
        name: {
            "support": confusion.support(name),
            "precision": _plain(confusion.precision(name)),
            "recall": _plain(confusion.recall(name)),
            "f1": _plain(confusion.f1(name)),
        }
        for name in CLASSES
    }


def _plain(value: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(value) else round(value, 6)
