"""What happens to one picture: which of its bare faces are drawn on, and how."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from detector.data.voc import Box
from detector.detections import CLASSES
from detector.labelling.bare_faces import MIN_SIDE, find
from detector.labelling.canvas import Drawn
from detector.labelling.cloth import Worn
from detector.labelling.drawn_masks import CONFUSERS, STYLES, add_mask
from detector.labelling.landmarks import Corners, Face, FaceMesh, Floats
from detector.media.images import Image

__all__ = ["Options", "Treated", "treat"]

WORN_WRONGLY: tuple[Worn, ...] = ("under_nose", "on_chin")

CHANCES = {"hand": 4, "cup": 3, "scarf": 2, "bandana": 1}
"""How often each confuser is taken: the more it looks like a mask, the less, or real cloth masks would be doubted."""

TRIES = 4
"""An arm that would hide another face is drawn anew this often."""

MAX_GROWTH = 0.12
"""A box grows around a mask by at most this share of its side."""

LEAST_COVER = 0.75
"""Share of mouth and nose that a proper mask, or whatever else is held before them, must hide."""


@dataclass(frozen=True)
class Options:
    """What the user wants.

    Args:
        share: of the faces that can be treated, 0 to 1.
        worn_wrongly: share of the treated faces that get a mask below the nose or on the chin.
        confusers: share of the treated faces that get something else before the mouth.
        styles: of the masks, see :data:`STYLES`.
        kinds: of the confusers, see :data:`CONFUSERS`.
        seed: another number, other choices.
        min_side: faces whose shorter side is under this are left as they are, px.
    """

    share: float = 0.8
    worn_wrongly: float = 0.15
    confusers: float = 0.2
    styles: tuple[str, ...] = tuple(STYLES)
    kinds: tuple[str, ...] = tuple(CONFUSERS)
    seed: int = 0
    min_side: float = MIN_SIDE


@dataclass(frozen=True)
class Treated:
    """What was done to one face.

    Args:
        index: of its box in the picture's annotation, from 0.
        kind: "mask", "worn wrongly" or "confuser".
        what: the style of the mask, or the confuser.
        worn: how a mask is worn; "" for a confuser.
        before, after: its box, with the name of its class.
    """

    index: int
    kind: str
    what: str
    worn: str
    before: Box
    after: Box


def treat(
    image: Image, title: str, boxes: Sequence[Box], bare: Sequence[int], mesh: FaceMesh, options: Options
) -> tuple[Image, list[Treated], Counter[str]]:
    """Draw onto bare faces of a picture.

    Args:
        image: BGR uint8 (H, W, 3); not changed.
        title: of the picture: its name, on which the random choices depend, and not on the other pictures.
        boxes: all labelled faces.
        bare: indices of the bare ones among them.
        mesh: finds landmarks.
        options: what the user wants.

    Returns:
        The new picture, what was done, and why how many faces were left as they are.
    """
    picture, done, untouched = image, [], Counter[str]()
    corners = np.array([_ordered(box) for box in boxes], np.float64).reshape(-1, 4)
    for index in bare:
        key = (options.seed, zlib.crc32(title.encode()), index)
        others = np.delete(corners, index, axis=0)
        face = find(mesh, image, _ordered(boxes[index]), others, options.min_side)
        if isinstance(face, str):
            untouched[face] += 1
        elif np.random.default_rng(key).random() >= options.share:
            untouched["not chosen (--share)"] += 1
        elif drawn := _draw(picture, boxes[index], index, face, others, np.random.default_rng([*key, 1]), options):
            picture, treated = drawn
            done.append(treated)
        else:
            untouched["nothing fits without hiding another face, or it does not hide the mouth"] += 1
    return picture, done, untouched


def _draw(
    image: Image, box: Box, index: int, face: Face, others: Floats, rng: np.random.Generator, options: Options
) -> tuple[Image, Treated] | None:
    """A picture with this face treated, or None where that does not work."""
    chance = rng.random()
    wrongly = chance < options.confusers + options.worn_wrongly
    kind = "confuser" if chance < options.confusers else "worn wrongly" if wrongly else "mask"
    for _ in range(TRIES):
        picture = image.copy()
        worn: Worn | None = None
        if kind == "confuser":
            chances = np.array([CHANCES[name] for name in options.kinds])
            what = str(rng.choice(options.kinds, p=chances / chances.sum()))
            drawn = CONFUSERS[what](picture, face, rng)
        else:
            what = str(rng.choice(options.styles))
            worn = "properly" if kind == "mask" else WORN_WRONGLY[int(rng.integers(len(WORN_WRONGLY)))]
            drawn = add_mask(picture, face, what, worn, rng)
        hides = kind == "worn wrongly" or drawn.covered >= LEAST_COVER
        if hides and not _hides_others(picture, image, others):
            after = replace(_grown(box, drawn, image) if worn else box, name=CLASSES[kind != "mask"])
            return picture, Treated(index, kind, what, worn or "", box, after)
    return None


def _hides_others(picture: Image, image: Image, others: Floats) -> bool:
    """Whether more than a trace of another labelled face has changed."""
    for left, top, right, bottom in np.rint(others.clip(0)).astype(int).tolist():
        before, after = image[top:bottom, left:right], picture[top:bottom, left:right]
        if before.size and float((np.abs(before.astype(np.int16) - after).max(axis=2) > 24).mean()) > 0.06:
            return True
    return False


def _grown(box: Box, drawn: Drawn, image: Image) -> Box:
    """The box, a little larger where the mask stands out of it."""
    left, top, right, bottom = _ordered(box)
    most_x, most_y = MAX_GROWTH * (right - left), MAX_GROWTH * (bottom - top)
    height, width = image.shape[:2]
    return replace(
        box,
        xmin=max(min(left, drawn.extent[0]), left - most_x, 0),
        ymin=max(min(top, drawn.extent[1]), top - most_y, 0),
        xmax=min(max(right, drawn.extent[2]), right + most_x, width),
        ymax=min(max(bottom, drawn.extent[3]), bottom + most_y, height),
    )


def _ordered(box: Box) -> Corners:
    return (min(box.xmin, box.xmax), min(box.ymin, box.ymax), max(box.xmin, box.xmax), max(box.ymin, box.ymax))
