"""The engines to be measured, each in the ways that measuring needs it, and what they find in the images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from detector.data.progress import Progress, silent
from detector.data.sample import Sample
from detector.detections import Detections
from detector.engines import DEFAULT_CONF, Engine
from detector.engines.two_step import TwoStep
from detector.errors import AnnotationError, SourceError
from detector.evaluation.sparing import SparingScorer
from detector.media import images
from detector.media.images import Image
from detector.scoring import TAIL, Example

__all__ = ["Contender", "Detector", "Findings", "find", "open_contender"]

Detector = Callable[[Image], Detections]
"""What an engine is here: BGR uint8 (H, W, 3) to faces."""

Loader = Callable[..., Engine]


@dataclass(frozen=True)
class Contender:
    """An engine, ours or another's.

    Args:
        name: what it is called.
        shown: one class per face, as people are shown it, but down to a confidence of ``TAIL``: this is scored.
        usual: as people run it: this is timed.
        conf: the threshold of that, 0 to 1.
        steps: the engine behind ``shown`` where it is of two steps, so that not every candidate has to be classified.
    """

    name: str
    shown: Detector
    usual: Detector
    conf: float = DEFAULT_CONF
    steps: TwoStep | None = None


@dataclass(frozen=True)
class Findings:
    """What contenders found in the same images.

    Args:
        labelled: the images that could be read.
        examples: for each contender the truth and what it shows, image by image.
        unreadable: a line for each image that could not be read.
    """

    labelled: list[Sample]
    examples: list[list[Example]]
    unreadable: list[str]


def open_contender(stack: ExitStack, name: str, load: Loader, *, conf: float | None) -> Contender:
    """Load one of our engines in the ways that it is measured.

    Args:
        stack: closes the networks.
        name: what the engine is called.
        load: ``load_engine`` with all arguments but ``conf``.
        conf: the threshold that people chose, 0 to 1; None for the engine's own.

    Raises:
        ModelError: a network is missing or of another kind.
        ProviderError: the device cannot be had.
    """
    usual = stack.enter_context(load(conf=conf))
    shown = stack.enter_context(load(conf=min(usual.conf, TAIL)))
    return Contender(name, shown, usual, usual.conf, shown if isinstance(shown, TwoStep) else None)


def find(
    contenders: Sequence[Contender],
    labelled: Sequence[Sample],
    progress: Progress = silent,
    *,
    min_side: float | None = None,
) -> Findings:
    """Run contenders over images, each of which is read once. One that cannot be read is left out for all.

    Args:
        contenders: the engines.
        labelled: the images.
        progress: wraps the loop.
        min_side: the findings are for figures of faces from so many px on, and nothing else: false boxes that change
            none of these may be missing. By default all are there.

    Raises:
        AnnotationError: no image can be read.
    """
    findings = Findings([], [[] for _ in contenders], [])
    scorers = [_scorer(contender, min_side) for contender in contenders]
    for image in progress(labelled, "finding faces"):
        try:
            picture = images.read(image.path)
        except SourceError as error:
            findings.unreadable.append(str(error))
            continue
        findings.labelled.append(image)
        for contender, scorer, examples in zip(contenders, scorers, findings.examples, strict=True):
            if scorer:
                scorer.look(picture, image)
            else:
                examples.append(Example(image.truth, contender.shown(picture), image.ignored))
    if not findings.labelled:
        raise AnnotationError(f"no image can be read; {findings.unreadable[0]}")
    for scorer, examples in zip(scorers, findings.examples, strict=True):
        examples += scorer.examples(progress) if scorer else []
    return findings


def _scorer(contender: Contender, min_side: float | None) -> SparingScorer | None:
    if min_side is None or contender.steps is None:
        return None
    return SparingScorer(contender.steps, contender.conf, min_side)
