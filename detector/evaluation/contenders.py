"""The engines to be measured, each in the ways that measuring needs it, and what they find in the images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from detector.data.progress import Progress, silent
from detector.detections import Detections
from detector.engines import Engine
from detector.errors import AnnotationError, SourceError
from detector.evaluation.labelled import LabelledImage
from detector.media import images
from detector.media.images import Image
from detector.scoring import LEAST_THRESHOLD, SHOWN_IOU, TAIL, Example, one_class

__all__ = ["Contender", "Detector", "Findings", "find", "open_contender"]

Detector = Callable[[Image], Detections]
"""What an engine is here: BGR uint8 (H, W, 3) to faces."""

Loader = Callable[..., Engine]


@dataclass(frozen=True)
class Contender:
    """An engine, ours or another's.

    Args:
        name: what it is called.
        both: keeps both classes of a face, down to a confidence of ``TAIL``: average precision is defined on this.
        usual: as people run it, at the threshold that they chose: this is timed.
        shown: one class per face as in ``usual``, but down to ``LEAST_THRESHOLD``: for counts at any threshold. None
            where this is no more than the surer class of each face in ``both``.
        iou: in that case, of two boxes that overlap more than this the surer is shown.
    """

    name: str
    both: Detector
    usual: Detector
    shown: Detector | None = None
    iou: float = SHOWN_IOU

    def look(self, image: Image) -> tuple[Detections, Detections]:
        """Both classes of each face, and what is shown."""
        both = self.both(image)
        return both, one_class(both, self.iou) if self.shown is None else self.shown(image)


@dataclass(frozen=True)
class Findings:
    """What contenders found in the same images.

    Args:
        labelled: the images that could be read.
        examples: for each contender the truth and both classes of its faces, image by image.
        shown: likewise with what is shown.
        unreadable: a line for each image that could not be read.
    """

    labelled: list[LabelledImage]
    examples: list[list[Example]]
    shown: list[list[Example]]
    unreadable: list[str]


def open_contender(
    stack: ExitStack, name: str, load: Loader, *, conf: float, iou: float | None, second_pass: bool
) -> Contender:
    """Load one of our engines in the ways that it is measured.

    Args:
        stack: closes the networks.
        name: what the engine is called.
        load: ``load_engine`` with all arguments but ``conf`` and ``one_class``.
        conf: the threshold that people chose, 0 to 1.
        iou: the engine's own, 0 to 1; None for its default.
        second_pass: the engine shows something else than the surer class of each face, as the two-step engine does,
            which drops what its classifier takes for background.

    Raises:
        ModelError: a network is missing or of another kind.
        ProviderError: the device cannot be had.
    """
    return Contender(
        name,
        both=stack.enter_context(load(conf=min(conf, TAIL), one_class=False)),
        usual=stack.enter_context(load(conf=conf)),
        shown=stack.enter_context(load(conf=min(conf, LEAST_THRESHOLD))) if second_pass else None,
        iou=SHOWN_IOU if iou is None else iou,
    )


def find(contenders: Sequence[Contender], labelled: Sequence[LabelledImage], progress: Progress = silent) -> Findings:
    """Run contenders over images, each of which is read once. One that cannot be read is left out for all.

    Args:
        contenders: the engines.
        labelled: the images.
        progress: wraps the loop.

    Raises:
        AnnotationError: no image can be read.
    """
    findings = Findings([], [[] for _ in contenders], [[] for _ in contenders], [])
    for image in progress(labelled, "finding faces"):
        try:
            picture = images.read(image.path)
        except SourceError as error:
            findings.unreadable.append(str(error))
            continue
        findings.labelled.append(image)
        for index, contender in enumerate(contenders):
            both, shown = contender.look(picture)
            findings.examples[index].append(Example(image.truth, both, image.ignored))
            findings.shown[index].append(Example(image.truth, shown, image.ignored))
    if not findings.labelled:
        raise AnnotationError(f"no image can be read; {findings.unreadable[0]}")
    return findings
