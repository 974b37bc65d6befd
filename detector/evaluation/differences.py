"""The images on which engines differ most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detector.data.sample import Sample
from detector.detections import Detections
from detector.evaluation.contenders import Findings
from detector.scoring import Words, count, match

__all__ = ["Difference", "Verdict", "most_different"]


@dataclass(frozen=True)
class Verdict:
    """How one engine did on one image.

    Args:
        found: what it shows at the threshold.
        words: what became of the labelled faces.
    """

    found: Detections
    words: Words


@dataclass(frozen=True)
class Difference:
    """An image and what each engine made of it.

    Args:
        image: the image.
        amount: faces that some engines got right and others not, plus how far apart their false alarms are.
        verdicts: one for each engine.
    """

    image: Sample
    amount: int
    verdicts: tuple[Verdict, ...]


def most_different(
    findings: Findings, thresholds: Sequence[float], *, min_side: float, most: int = 12
) -> list[Difference]:
    """The images with the greatest differences, the greatest first; fewer than ``most`` if the engines agree on others.

    Args:
        findings: what the engines found.
        thresholds: from which confidence on each engine shows a face.
        min_side: faces under this many px do not count.
        most: at most so many images.
    """
    differences = []
    for index, image in enumerate(findings.labelled):
        right, verdicts = [], []
        for examples, threshold in zip(findings.examples, thresholds, strict=True):
            matches, found = match([examples[index]], min_side=min_side), examples[index].found
            right.append((matches.confidence >= threshold) & (matches.found == matches.truth))
            verdicts.append(Verdict(found[found.confidence >= threshold], count(matches, threshold).words()))
        torn = np.any(right, axis=0) & ~np.all(right, axis=0)
        alarms = [verdict.words.false for verdict in verdicts]
        differences.append(Difference(image, int(torn.sum()) + max(alarms) - min(alarms), tuple(verdicts)))
    differences.sort(key=lambda difference: -difference.amount)  # stable: images that tie keep their order
    return [difference for difference in differences[:most] if difference.amount]
