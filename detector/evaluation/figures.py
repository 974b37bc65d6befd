"""One engine on one set of images: everything that is said about it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from detector.data.sample import Sample
from detector.detections import CLASSES
from detector.scoring import (
    FACE_SIZES,
    MIN_SIDE,
    Bin,
    ClassScore,
    Confusion,
    Example,
    Matches,
    best_threshold,
    calibration_error,
    count,
    match,
    reliability,
    score,
)

__all__ = ["At", "Figures", "by_set", "measure"]


@dataclass(frozen=True)
class At:
    """What happens at one threshold, in all and for faces of each of ``FACE_SIZES``."""

    overall: Confusion
    by_size: dict[str, Confusion]

    @property
    def threshold(self) -> float:
        """Detections that are at least this sure were counted."""
        return self.overall.threshold

    def content(self) -> dict[str, object]:
        """All counts and what follows from them, ready for JSON; what is not defined is null."""
        return {
            "threshold": self.threshold,
            "all": _words(self.overall),
            "mean_f1": _plain(self.overall.mean_f1),
            "confusion": {
                "rows": [*CLASSES, "no face there"],
                "columns": [*CLASSES, "not found"],
                "counts": self.overall.counts,
            },
            "classes": _classes(self.overall),
            "by_size": {size: _classes(confusion) for size, confusion in self.by_size.items()},
        }


@dataclass(frozen=True)
class Figures:
    """One engine's figures, all of one word per face.

    Args:
        name: the engine, or a set of images.
        images: how many images there were.
        scores: average precision of each class.
        chosen: at the threshold that was asked for.
        best: at the threshold with the most right less wrong less false; None where no face is labelled.
        reliability: confidence against truth of the faces that are shown at the chosen threshold.
        matches: what all of these were counted from, but average precision.
    """

    name: str
    images: int
    scores: tuple[ClassScore, ...]
    chosen: At
    best: At | None
    reliability: tuple[Bin, ...]
    matches: Matches

    @property
    def ap50(self) -> float:
        """Mean of the classes' average precision at IoU 0.5; NaN where one has no face."""
        return sum(score.ap50 for score in self.scores) / len(self.scores)

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
            "expected_calibration_error": _plain(calibration_error(self.reliability)),
            "reliability": [vars(each) for each in self.reliability],
            "at_chosen_threshold": self.chosen.content(),
            "at_best_threshold": self.best.content() if self.best else None,
        }


def measure(name: str, examples: Sequence[Example], *, conf: float, min_side: float = MIN_SIDE) -> Figures:
    """Score one engine.

    Args:
        name: what the engine is called.
        examples: the images, with one class per face, down to ``TAIL``; at least one.
        conf: the chosen threshold, 0 to 1.
        min_side: faces under this many px do not count.

    Raises:
        MissingExtraError: faster-coco-eval is not installed.
    """
    matches = match(examples, min_side=min_side)
    best = best_threshold(matches)
    return Figures(
        name,
        len(examples),
        score(examples, min_side=min_side),
        _at(matches, conf),
        None if best is None else _at(matches, best),
        reliability(matches, conf),
        matches,
    )


def by_set(
    measured: Callable[[str, list[Example]], Figures], labelled: Sequence[Sample], examples: Sequence[Example]
) -> list[Figures]:
    """What ``measured`` says of each set of the images, by itself."""
    pairs = list(zip([image.set_name for image in labelled], examples, strict=True))
    return [measured(name, [e for own, e in pairs if own == name]) for name in sorted({name for name, _ in pairs})]


def _at(matches: Matches, threshold: float) -> At:
    sizes = {size: count(matches.within(*limits), threshold) for size, limits in FACE_SIZES.items()}
    return At(count(matches, threshold), sizes)


def _classes(confusion: Confusion) -> dict[str, dict[str, float | int | None]]:
    return {
        name: {
            "support": confusion.words(name).faces,
            "precision": _plain(confusion.precision(name)),
            "recall": _plain(confusion.recall(name)),
            "f1": _plain(confusion.f1(name)),
            **_words(confusion, name),
        }
        for name in CLASSES
    }


def _words(confusion: Confusion, *names: str) -> dict[str, float | int | None]:
    words = confusion.words(*names)
    return {
        "faces": words.faces,
        **{name: _plain(share) for name, share in words.shares.items()},
        "false_per_100_images": _plain(confusion.false_per_100(*names)),
        "right_less_wrong_less_false": words.balance,
    }


def _plain(value: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(value) else round(value, 6)
