"""The kinds of networks that the engines are made of, told apart so that a mix-up is answered with help."""

from __future__ import annotations

from enum import Enum

from detector.detections import CLASSES
from detector.engines.session import OnnxSession
from detector.errors import ModelError

__all__ = ["Kind", "expect", "kind_of"]


class Kind(Enum):
    """A kind of network: what people call it, and the flags that it belongs to."""

    SINGLE_STAGE = ("a single-stage detector", "--engine single-stage --weights {}")
    CLASSIFIER = ("a mask classifier", "--engine two-step --weights {}")
    SSD = ("an SSD face finder", "--engine two-step --faces ssd={}")
    RES10 = ("OpenCV's res10 face finder", "--engine two-step --faces res10={}")

    def __init__(self, title: str, flags: str) -> None:
        self.title, self.flags = title, flags


def kind_of(session: OnnxSession) -> Kind | None:
    """The kind of a network by its names, inputs and outputs; None where it is of no kind that is known here."""
    names, outputs = session.metadata.names, set(session.outputs)
    if outputs == {"probabilities"}:
        return Kind.CLASSIFIER
    if outputs == {"boxes", "scores"}:
        if names == ("face",):
            return Kind.SSD
        return Kind.RES10 if (session.input.name, session.input.shape) == ("data", [1, 3, 300, 300]) else None
    ranks = [len(shape) for shape in session.shapes.values()]
    return Kind.SINGLE_STAGE if sorted(names) == sorted(CLASSES) and ranks == [3] else None


def expect(session: OnnxSession, wanted: Kind) -> None:
    """Refuse a network of another known kind; one of no known kind is left to the closer look of who loads it.

    Raises:
        ModelError: it belongs elsewhere; the message says where.
    """
    found = kind_of(session)
    if found and found is not wanted:
        raise ModelError(
            f"{session.source}: this is {found.title}, not {wanted.title}: use {found.flags.format(session.source)}"
        )
