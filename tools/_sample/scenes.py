"""The pictures of the sample: which photograph, which mask, seen how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["EXIF_SIDEWAYS", "SCENES", "Scene", "Tone", "View", "Worn"]

Worn = Literal["properly", "under_nose", "on_chin"]

EXIF_SIDEWAYS = 6  # a viewer turns the stored picture a quarter clockwise


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
    center: tuple[float, float]
    width: float
    mask: str | None = None
    worn: Worn = "properly"
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
    views: tuple[View, ...]
    columns: int = 1
    tone: Tone = Tone()
    quality: int = 88
    orientation: int = 1
    grey: bool = False
    split: Literal["train", "val"] = "train"


SCENES: dict[str, Scene] = {
    "collins_bare": Scene((512, 512), (View("collins", (256, 256), 512),)),
    "collins_surgical_mask": Scene((480, 480), (View("collins", (240, 201), 400, "surgical"),)),
    "collins_ffp2_mask": Scene((360, 420), (View("collins", (225, 150), 240, "ffp2"),), split="val"),
    "collins_black_cloth_mask": Scene(
        (480, 360), (View("collins", (230, 151), 400, "black_cloth", mirrored=True),), tone=Tone(warmth=0.06)
    ),
    "collins_dotted_mask_tilted": Scene((300, 400), (View("collins", (222, 142), 180, "dotted_cloth", angle=10),)),
    "collins_mask_under_nose": Scene((400, 400), (View("collins", (225, 140), 260, "surgical", "under_nose"),)),
    "collins_mask_on_chin": Scene(
        (420, 480), (View("collins", (228, 162), 280, "ffp2", "on_chin"),), tone=Tone(gain=1.06), split="val"
    ),
    "collins_bare_tilted": Scene(
        (320, 320), (View("collins", (225, 136), 220, angle=-12, mirrored=True),), tone=Tone(noise=0.02), split="val"
    ),
    "collins_surgical_mask_far": Scene(
        (320, 320), (View("collins", (256, 256), 512, "surgical"),), tone=Tone(warmth=-0.05), quality=70
    ),
    "collins_口罩": Scene(
        (360, 360), (View("collins", (225, 152), 300, "surgical", mirrored=True),), tone=Tone(gamma=1.4, noise=0.015)
    ),
    "hopper_bare": Scene((512, 600), (View("hopper", (256, 300), 512),)),
    "hopper_surgical_mask": Scene((480, 540), (View("hopper", (260, 245), 400, "surgical"),), split="val"),
    "hopper_ffp2_mask": Scene((400, 440), (View("hopper", (265, 240), 300, "ffp2"),), tone=Tone(blur=0.6)),
    "hopper_black_cloth_mask": Scene(
        (600, 525), (View("hopper", (260, 230), 480, "black_cloth"),), tone=Tone(warmth=-0.07), quality=80
    ),
    "hopper_dotted_mask_tilted": Scene((400, 440), (View("hopper", (263, 246), 400, "dotted_cloth", angle=-8),)),
    "hopper_mask_under_nose": Scene(
        (384, 448), (View("hopper", (265, 245), 340, "ffp2", "under_nose", mirrored=True),), split="val"
    ),
    "hopper_mask_on_chin": Scene((450, 500), (View("hopper", (262, 250), 400, "surgical", "on_chin"),)),
    "hopper_bare_dark": Scene(
        (300, 340), (View("hopper", (263, 250), 300, angle=12, mirrored=True),), tone=Tone(gamma=1.7, noise=0.02)
    ),
    "hopper_sideways_exif": Scene(
        (480, 600), (View("hopper", (260, 290), 440, "surgical"),), orientation=EXIF_SIDEWAYS
    ),
    "cameraman_bare_grey": Scene((512, 512), (View("cameraman", (256, 256), 512),), grey=True),
    "cameraman_ffp2_mask": Scene((480, 384), (View("cameraman", (240, 160), 300, "ffp2"),)),
    "pair_one_mask": Scene(
        (880, 440), (View("collins", (225, 167), 330), View("hopper", (262, 235), 430, "surgical")), columns=2
    ),
    "pair_two_masks": Scene(
        (760, 480),
        (View("hopper", (263, 245), 350, "black_cloth", mirrored=True), View("collins", (225, 160), 250, "ffp2")),
        columns=2,
        split="val",
    ),
    "video_call_three": Scene(
        (900, 340),
        (
            View("collins", (225, 150), 260, "dotted_cloth", mirrored=True),
            View("cameraman", (225, 165), 250),
            View("hopper", (263, 245), 380, "surgical", "under_nose"),
        ),
        columns=3,
    ),
    "video_call_four": Scene(
        (800, 640),
        (
            View("collins", (225, 146), 360),
            View("hopper", (262, 225), 480, "ffp2"),
            View("cameraman", (225, 165), 360, "surgical"),
            View("collins", (240, 150), 370, "black_cloth", mirrored=True),
        ),
        columns=2,
        quality=82,
    ),
    "video_call_six": Scene(
        (720, 480),
        (
            View("hopper", (262, 235), 440),
            View("collins", (225, 140), 260, "surgical", mirrored=True),
            View("cameraman", (225, 165), 260, mirrored=True),
            View("collins", (225, 170), 330, "ffp2"),
            View("hopper", (262, 240), 380, "dotted_cloth", mirrored=True),
            View("collins", (225, 150), 290, "ffp2", "on_chin"),
        ),
        columns=3,
        quality=82,
        split="val",
    ),
    "no_face_coffee": Scene((320, 212), (View("coffee", (300, 200), 600),), quality=80),
    "no_face_shuttle_model": Scene((240, 316), (View("shuttle_model", (413, 126), 190),), quality=80, split="val"),
}
"""By file name without its suffix."""
