"""The pictures of the sample (``scenes.json``): which photograph, which mask, seen how.

``photographs.json`` says of each photograph where its face is and where masks lie on it, measured by hand, in its
pixels. Sources and rights: data/README.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from _sample.mask_painting import Light, Outline, Points
from detector.errors import MissingExtraError
from detector.media.images import Image, read

EXIF_SIDEWAYS = 6  # a viewer turns the stored picture a quarter clockwise


@dataclass(frozen=True)
class Photograph:
    """A photograph with at most one face.

    Args:
        source: the package that it comes with, and its name there.
        face: points around the face: hairline, ears, jaw and chin; none where there is no face.
        light: how masks on it are lit.
        outlines: where a mask lies that is worn "properly", "under_nose" or "on_chin".
    """

    source: str
    face: Points = ()
    light: Light | None = None
    outlines: Mapping[str, Outline] = field(default_factory=dict)

    def load(self) -> Image:
        """BGR uint8 (H, W, 3).

        Raises:
            MissingExtraError: the package is not installed.
        """
        package, name = self.source.split()
        try:
            if package == "matplotlib":
                from matplotlib import get_data_path

                return read(Path(get_data_path()) / "sample_data" / name)
            from skimage import data
        except ImportError as error:
            raise MissingExtraError(package, "dev") from error
        picture = np.asarray(getattr(data, name)(), np.uint8)
        code = cv2.COLOR_GRAY2BGR if picture.ndim == 2 else cv2.COLOR_RGB2BGR
        return np.asarray(cv2.cvtColor(picture, code), np.uint8)


@dataclass(frozen=True)
class View:
    """A window onto a photograph.

    Args:
        photograph: a key of PHOTOGRAPHS.
        center: the point of the photograph in the middle of the view, px.
        width: how many pixels of the photograph the view is wide; its height follows from its place in the picture.
        mask: a key of FABRICS, or None.
        worn: how the mask is worn.
        angle: the face turns clockwise, degrees.
        mirrored: left and right change places.
    """

    photograph: str
    center: Sequence[float]
    width: float
    mask: str | None = None
    worn: str = "properly"
    angle: float = 0
    mirrored: bool = False


@dataclass(frozen=True)
class Tone:
    """What happens to the picture as a whole.

    Args:
        gain: factor on the brightness.
        gamma: above 1, dark parts grow darker.
        warmth: red grows and blue shrinks by this fraction.
        noise: standard deviation of white noise, 0 to 1.
        blur: standard deviation of a Gaussian, px.
    """

    gain: float = 1
    gamma: float = 1
    warmth: float = 0
    noise: float = 0
    blur: float = 0


@dataclass(frozen=True)
class Scene:
    """One picture of the sample.

    Args:
        size: (width, height) of the upright picture, px.
        views: one that fills the picture, or several of the same size, row by row.
        columns: how many views a row has.
        tone: what happens to the whole.
        quality: of the JPEG, 1 to 100.
        orientation: EXIF's number, 1 (upright) or EXIF_SIDEWAYS.
        grey: the JPEG has one channel.
        split: whether the picture trains or validates.
    """

    size: tuple[int, int]
    views: Sequence[View]
    columns: int = 1
    tone: Tone = Tone()
    quality: int = 88
    orientation: int = 1
    grey: bool = False
    split: str = "train"


def _read(name: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / name).read_text(encoding="utf-8"))
    return found


def _photograph(values: dict[str, Any]) -> Photograph:
    light = Light(**values["light"]) if "light" in values else None
    outlines = {worn: Outline(**outline) for worn, outline in values.get("outlines", {}).items()}
    return Photograph(values["source"], values.get("face", ()), light, outlines)


def _scene(values: dict[str, Any]) -> Scene:
    views = [View(**view) for view in values["views"]]
    return Scene(**{**values, "size": tuple(values["size"]), "views": views, "tone": Tone(**values.get("tone", {}))})


PHOTOGRAPHS = {name: _photograph(values) for name, values in _read("photographs.json").items()}
SCENES = {name: _scene(values) for name, values in _read("scenes.json").items()}
"""By file name without its suffix."""
