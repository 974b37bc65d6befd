"""The kinds of networks that the engines are made of, and what a network must be to belong to one."""

from __future__ import annotations

from enum import Enum

from detector.detections import CLASSES
from detector.engines.session import OnnxSession
from detector.errors import ModelError

__all__ = ["BACKGROUND", "Kind", "expect", "kind_of"]

BACKGROUND = "background"
"""A third class that a classifier may have: the face finder was wrong."""


class Kind(Enum):
    """A kind of network: what people call it, the flags that it belongs to, and how to get one."""

    SINGLE_STAGE = (
        "a single-stage detector",
        "--engine single-stage --weights {}",
        "use a network made by mask-detector train, or export it again",
    )
    CLASSIFIER = (
        "a mask classifier",
        "--engine two-step --weights {}",
        "use a network made by mask-detector train --engine two-step, or export it again",
    )
    SSD = (
        "an SSD face finder",
        "--engine two-step --faces ssd={}",
        "make one with mask-detector train --engine two-step --finder",
    )
    RES10 = (
        "OpenCV's res10 face finder",
        "--engine two-step --faces res10={}",
        "use --faces ssd=FILE for a face finder of this project",
    )

    def __init__(self, title: str, flags: str, remedy: str) -> None:
        self.title, self.flags, self.remedy = title, flags, remedy


def kind_of(session: OnnxSession) -> Kind | None:
    """The kind of a network by its names, inputs and outputs; None where it is of no kind that is known here."""
    names, outputs = session.metadata.names, session.shapes.keys()
    if outputs == {"probabilities"}:
        return Kind.CLASSIFIER
    if outputs == {"boxes", "scores"}:
        if names == ("face",):
            return Kind.SSD
        return Kind.RES10 if (session.input.name, session.input.shape) == ("data", [1, 3, 300, 300]) else None
    ranks = [len(shape) for shape in session.shapes.values()]
    return Kind.SINGLE_STAGE if sorted(names) == sorted(CLASSES) and ranks == [3] else None


def expect(session: OnnxSession, wanted: Kind) -> None:
    """Refuse a network that does not fit.

    Raises:
        ModelError: it is of another kind, and the message says where it belongs; or its classes, its input or its
            outputs are not those of this kind.
    """
    found = kind_of(session)
    if found and found is not wanted:
        flags = found.flags.format(session.source)
        raise ModelError(f"{session.source}: this is {found.title}, not {wanted.title}: use {flags}")
    misfit = _misfit(session, wanted)
    if misfit:
        raise ModelError(f"{session.source}: {misfit}: {wanted.remedy}")


def _misfit(session: OnnxSession, wanted: Kind) -> str | None:
    """What is not as a network of this kind has it: its classes, then its outputs, then its input."""
    names, sides, outputs = session.metadata.names, session.input.shape, list(session.shapes.values())
    shape, said = outputs[0], f"its classes are {', '.join(names) or 'none'}, not {' and '.join(CLASSES)}"
    if wanted is Kind.RES10:
        known = "its ONNX form has the input data (1, 3, 300, 300) and the outputs boxes and scores"
        return None if kind_of(session) is Kind.RES10 else f"not OpenCV's res10 network: {known}"
    if wanted is Kind.CLASSIFIER:
        if sorted(names) not in (sorted(CLASSES), sorted((*CLASSES, BACKGROUND))):
            return f"{said} (and perhaps {BACKGROUND})"
        if len(outputs) != 1 or len(shape) != 2 or shape[1] not in (len(names), None) or isinstance(shape[0], int):
            return f"its output {shape} is not (batch, {len(names)}) with a free batch"
        if len(sides) != 4 or sides[1] != 3 or sides[2] != sides[3]:
            return f"its input is {sides}, not (batch, 3, side, side): not a classifier"
        return None
    if wanted is Kind.SSD:
        boxes, scores = (session.shapes.get(name, []) for name in ("boxes", "scores"))
        if names != ("face",) or len(boxes) != 3 or boxes[2] != 4 or len(scores) != 2:
            return "not a face finder with one class, face, and outputs boxes (batch, N, 4) and scores (batch, N)"
    else:
        if sorted(names) != sorted(CLASSES):
            return said
        axis, length, head = (2, 6, "an end-to-end") if session.metadata.end2end else (1, 4 + len(names), "a raw")
        if len(outputs) != 1 or len(shape) != 3 or shape[axis] != length:
            return f"its output {shape} does not fit {head} head of {len(names)} classes"
    if len(sides) != 4 or sides[1] != 3:
        return f"its input is {sides}, not (batch, 3, height, width): not a detector"
    return None
