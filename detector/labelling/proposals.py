"""What a network proposes for one image: whole-pixel boxes, which of them are unsure, how much is left to a person."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from detector.data import voc
from detector.detections import Detections
from detector.media.images import header_of

__all__ = ["FLOOR", "Proposal", "propose", "shown_otherwise", "to_annotation"]

FLOOR = 0.05
"""Confidence down to which a face that is not proposed still counts as one that may have been missed."""

LABELIMG_SUFFIXES = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
"""What LabelImg lists of the formats that we read (Qt 5.15)."""


@dataclass(frozen=True, eq=False)
class Proposal:
    """What is written for one image.

    Args:
        faces: the boxes, in whole pixels inside the image, the surest first: LabelImg opens a file with the last one
            selected, and so shows its mark.
        unsure: bool (N,), which of them a person should look at.
        doubt: how many boxes a person will have to add, remove or rename, as far as the network can tell.
    """

    faces: Detections
    unsure: npt.NDArray[np.bool_]
    doubt: float


def propose(found: Detections, size: tuple[int, int], *, conf: float, sure: float) -> Proposal:
    """Choose the boxes to write, and foresee how many of these choices a person will have to correct.

    A confidence half way between ``conf`` and ``sure`` is taken to be right every second time, one at ``sure`` seven
    times in eight (a logistic curve: on photographs that the shipped network has not seen, 55 % of the boxes from 0.25
    to 0.6 were right and 96 % of those above). The doubt about an image is the sum over its faces of the chance that
    what is done with each, to propose it or not, is wrong.

    Args:
        found: the network's faces down to :data:`FLOOR`, in pixels of the upright image.
        size: (width, height) of that image.
        conf: faces that are at least this sure are proposed, 0 to 1.
        sure: those under this are marked as unsure; above ``conf``.
    """
    found = found[np.argsort(-found.confidence, kind="stable")]
    corners = np.rint(np.clip(found.xyxy, 0, [*size, *size]))
    proposed = (found.confidence >= conf) & ((corners[:, 2:] - corners[:, :2]).min(axis=1, initial=np.inf) >= 1)
    chance = 1 / (1 + np.exp(-4 * (found.confidence - (conf + sure) / 2) / (sure - conf)))
    doubt = float(np.where(proposed, 1 - chance, chance).sum())
    faces = Detections(corners[proposed], found.confidence[proposed], found.class_id[proposed])
    return Proposal(faces, faces.confidence < sure, doubt)


def to_annotation(image: Path, size: tuple[int, int], proposal: Proposal) -> voc.Annotation:
    """What LabelImg reads: an unsure box is "difficult", and nobody has verified the image."""
    boxes = tuple(
        voc.Box(name, left, top, right, bottom, difficult=unsure)
        for ((left, top, right, bottom), _, name), unsure in zip(proposal.faces, proposal.unsure.tolist(), strict=True)
    )
    return voc.Annotation(filename=image.name, folder=image.absolute().parent.name, size=size, boxes=boxes)


def shown_otherwise(image: Path) -> str | None:
    """Why LabelImg would not show an image as we read it, so that boxes would be wrong there; None if it does.

    LabelImg turns JPEG and TIFF upright as we do; of PNG and WebP it shows the stored pixels, whatever their EXIF says.

    Raises:
        SourceError: the file cannot be opened.
    """
    if image.suffix.lower() not in LABELIMG_SUFFIXES:
        return f"LabelImg does not list {image.suffix} files: save it as JPEG or PNG"
    header = header_of(image)
    if header.format in {"png", "webp"} and header.orientation != 1:
        return "LabelImg does not turn it as its EXIF orientation says: save it upright"
    return None
