"""What the file of a network says about itself, with types."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from detector.defaults import DEFAULT_CONF
from detector.engines.calibration import Calibration
from detector.errors import ModelError

__all__ = ["MARGIN", "MAX_SIDE", "ModelMetadata"]

MAX_SIDE = 8192
"""Px of a network's input: an image of this size takes 0.8 GB there, and its first layer more."""

MARGIN = 0.1
"""Share of a box's longer side that a crop shows beyond it on each side, where the classifier's file has no other."""

MAX_MARGIN = 4.0  # a crop nine times as wide as the face, which is the whole picture
MAX_ENTRY = 2**16  # characters; 1,200 class names take 25,000
STRIDES = {str(2**power): 2**power for power in range(9)}  # of YOLO 8 to 64

T = TypeVar("T")


@dataclass(frozen=True)
class ModelMetadata:
    """What the file says about itself.

    Args:
        names: class name of each output channel, in order; empty where the file names none.
        stride: the input's sides are multiples of this, px.
        imgsz: the size the network was trained at, px, or None.
        end2end: whether the head drops double boxes itself.
        conf: faces that are at least this sure are shown, where nobody says otherwise.
        calibration: what makes confidences of the network's scores, or None.
        margin: of the crops that a classifier was trained with, see :func:`detector.engines.crops.cut`.
        raw: all entries as they stand in the file.
    """

    names: tuple[str, ...]
    stride: int
    imgsz: int | None
    end2end: bool
    conf: float
    calibration: Calibration | None
    margin: float
    raw: dict[str, str] = field(repr=False)

    @classmethod
    def parse(cls, raw: dict[str, str], source: str) -> ModelMetadata:
        """Read ultralytics' entries (Python literals in strings), and ours.

        Raises:
            ModelError: an entry is there and cannot be understood, or is beyond what a network can mean.
        """

        def entry(key: str, default: T, read: Callable[[str], T]) -> T:
            try:
                return read(raw[key]) if key in raw else default
            except (ValueError, TypeError, SyntaxError, LookupError, MemoryError, ArithmeticError, RecursionError) as e:
                raise ModelError(f"{source}: its metadata is damaged ({key} {raw[key]}): export it again") from e

        no_names: tuple[str, ...] = ()
        names = entry("names", no_names, _names)
        return cls(
            names=names,
            stride=entry("stride", 32, STRIDES.__getitem__),
            imgsz=entry("imgsz", None, _side),
            end2end=raw.get("end2end", "").lower() == "true",
            conf=entry("conf", DEFAULT_CONF, lambda text: _number(text, 1)),
            calibration=entry("calibration", None, lambda text: Calibration.parse(text, len(names))),
            margin=entry("margin", MARGIN, lambda text: _number(text, MAX_MARGIN)),
            raw=dict(raw),
        )


def _literal(text: str) -> Any:
    if len(text) > MAX_ENTRY:
        raise ValueError(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about odd escapes in what may not be Python at all
        return ast.literal_eval(text)


def _names(text: str) -> tuple[str, ...]:
    names = _literal(text)
    if isinstance(names, dict) and list(names) == list(range(len(names))):
        names = list(names.values())
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(text)
    return tuple(names)


def _side(text: str) -> int | None:
    """One number, or the larger of those of a list."""
    sides = _literal(text)
    sides = sides if isinstance(sides, list | tuple) else [sides]
    if sides == [None]:
        return None
    if set(map(type, sides)) != {int} or not 1 <= max(sides) <= MAX_SIDE:
        raise ValueError(text)
    largest: int = max(sides)
    return largest


def _number(text: str, most: float) -> float:
    number = float(text)
    if not 0 <= number <= most:
        raise ValueError(text)
    return number
