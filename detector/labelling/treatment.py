"""What happens to one picture: which of its faces are treated, and how."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from detector.data.voc import Box
from detector.detections import CLASSES
from detector.labelling.bare_faces import Rules, find
from detector.labelling.confusers import CONFUSERS, add_confuser
from detector.labelling.cuts import Worn
from detector.labelling.drawn_masks import STYLES, WORN_WRONGLY, Drawn, add_mask
from detector.labelling.landmarks import Corners, Face, FaceMesh, Floats
from detector.media.images import Image

__all__ = ["WORN_BADLY_BY_NAME", "Plan", "Treated", "Wishes", "plan", "treat"]

WITH_MASK, WITHOUT_MASK = CLASSES

WORN_BADLY_BY_NAME = ("incorrect", "improper", "wrong")
"""Parts of class names of faces that wear a mask, though not as they should: these are not bare."""

CHANCES = {"hand": 4, "cup": 3, "scarf": 2, "bandana": 1}
"""How often each confuser is taken: the more it looks like a mask, the less, or real cloth masks would be doubted."""

TRIES = 4
"""An arm that would hide another face is drawn anew this often."""

MAX_GROWTH = 0.12
"""A box grows around a mask by at most this share of its side."""

LEAST_COVER = 0.75
"""Share of mouth and nose that a proper mask, or whatever else is held before them, must hide."""


@dataclass(frozen=True)
class Wishes:
    """What the user wants.

    Args:
        share: of the faces that can be treated, 0 to 1.
        worn_wrongly: share of the treated faces that get a mask below the nose or on the chin.
        confusers: share of the treated faces that get something else before the mouth.
        styles: of the masks, see :data:`STYLES`.
        kinds: of the confusers, see :data:`CONFUSERS`.
        seed: another number, other choices.
        rules: which faces can be treated.
    """

    share: float = 0.8
    worn_wrongly: float = 0.15
    confusers: float = 0.2
    styles: tuple[str, ...] = tuple(STYLES)
    kinds: tuple[str, ...] = tuple(CONFUSERS)
    seed: int = 0
    rules: Rules = field(default_factory=Rules)


@dataclass(frozen=True)
class Treated:
    """What is done to one face.

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


@dataclass(frozen=True)
class Plan:
    """What is to be done in one picture.

    Args:
        faces: index of the box, its landmarks and the seed of its drawing.
        untouched: how many bare faces are left as they are, for each reason.
    """

    faces: tuple[tuple[int, Face, tuple[int, ...]], ...]
    untouched: Counter[str]


def plan(image: Image, boxes: Sequence[Box], bare: Sequence[int], title: str, mesh: FaceMesh, wishes: Wishes) -> Plan:
    """Choose the faces of a picture that are treated.

    Args:
        image: BGR uint8 (H, W, 3).
        boxes: all labelled faces.
        bare: indices of the bare ones among them.
        title: of the picture: its name, on which the random choices depend, and not on the other pictures.
        mesh: finds landmarks.
        wishes: what the user wants.
    """
    faces, untouched = [], Counter[str]()
    corners = np.array([_ordered(box) for box in boxes], np.float64).reshape(-1, 4)
    for index in bare:
        key = (wishes.seed, zlib.crc32(title.encode()), index)
        found = find(mesh, image, _ordered(boxes[index]), np.delete(corners, index, axis=0), wishes.rules)
        if isinstance(found, str):
            untouched[found] += 1
        elif np.random.default_rng(key).random() >= wishes.share:
            untouched["not chosen (--share)"] += 1
        else:
            faces.append((index, found, key))
    return Plan(tuple(faces), untouched)


def treat(
    image: Image, boxes: Sequence[Box], chosen: Plan, wishes: Wishes
) -> tuple[Image, list[Treated], Counter[str]]:
    """Draw onto the faces that :func:`plan` chose.

    Args:
        image: BGR uint8 (H, W, 3); not changed.
        boxes: all labelled faces.
        chosen: what to do.
        wishes: what the user wants.

    Returns:
        The new picture, what was done, and why some faces were left as they are after all.
    """
    picture, done, untouched = image.copy(), [], Counter[str]()
    for index, face, key in chosen.faces:
        others = np.array([_ordered(box) for i, box in enumerate(boxes) if i != index], np.float64).reshape(-1, 4)
        outcome = _treat_face(picture, boxes[index], index, face, others, np.random.default_rng([*key, 1]), wishes)
        if outcome is None:
            untouched["nothing fits without hiding another face, or it does not hide the mouth"] += 1
        else:
            picture, treated = outcome
            done.append(treated)
    return picture, done, untouched


def _treat_face(
    image: Image, box: Box, index: int, face: Face, others: Floats, rng: np.random.Generator, wishes: Wishes
) -> tuple[Image, Treated] | None:
    """The picture with this face treated, or None where that does not work."""
    kind = _kind(rng, wishes)
    worn: Worn | None = None
    for _ in range(TRIES):
        picture = image.copy()
        if kind == "confuser":
            chances = np.array([CHANCES[name] for name in wishes.kinds])
            what, name = str(rng.choice(wishes.kinds, p=chances / chances.sum())), WITHOUT_MASK
            drawn = add_confuser(picture, face, what, rng)
        else:
            what = str(rng.choice(wishes.styles))
            worn = "properly" if kind == "mask" else WORN_WRONGLY[int(rng.integers(len(WORN_WRONGLY)))]
            name = WITH_MASK if kind == "mask" else WITHOUT_MASK
            drawn = add_mask(picture, face, what, worn, rng)
        hides = kind == "worn wrongly" or drawn.covered >= LEAST_COVER
        if hides and not _hides_others(picture, image, others):
            after = box if kind == "confuser" else _grown(box, drawn, image)
            return picture, Treated(index, kind, what, worn or "", box, replace(after, name=name))
    return None


def _kind(rng: np.random.Generator, wishes: Wishes) -> str:
    draw = rng.random()
    if draw < wishes.confusers:
        return "confuser"
    return "worn wrongly" if draw < wishes.confusers + wishes.worn_wrongly else "mask"


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
