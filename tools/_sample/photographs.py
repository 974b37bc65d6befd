"""The photographs that the sample is made from, and where on each face a mask lies, measured by hand.

Sources and rights: data/README.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from detector.errors import MissingExtraError
from detector.media.images import Image, read

from .masks import Light, Outline, Points

__all__ = ["PHOTOGRAPHS", "Photograph"]


@dataclass(frozen=True)
class Photograph:
    """A photograph with at most one face.

    Args:
        load: reads it as BGR uint8 (H, W, 3).
        face: points around the face in pixels: hairline, ears, jaw and chin; none where there is no face.
        light: how masks on it are lit.
        outlines: where a mask lies that is worn "properly", "under_nose" or "on_chin".
    """

    load: Callable[[], Image]
    face: Points = ()
    light: Light = field(default_factory=lambda: Light((0, 0, 1), (1, 1, 1), 0, 1))
    outlines: Mapping[str, Outline] = field(default_factory=dict)


def _skimage(name: str) -> Callable[[], Image]:
    def load() -> Image:
        try:
            from skimage import data
        except ImportError as error:
            raise MissingExtraError("scikit-image", "dev") from error
        picture = np.asarray(getattr(data, name)(), np.uint8)
        code = cv2.COLOR_GRAY2BGR if picture.ndim == 2 else cv2.COLOR_RGB2BGR
        return np.asarray(cv2.cvtColor(picture, code), np.uint8)

    return load


def _grace_hopper() -> Image:
    try:
        from matplotlib import get_data_path
    except ImportError as error:
        raise MissingExtraError("matplotlib", "dev") from error
    return read(Path(get_data_path()) / "sample_data" / "grace_hopper.jpg")


COLLINS = Photograph(
    load=_skimage("astronaut"),
    face=(
        *((188, 80), (205, 72), (225, 70), (245, 73), (262, 82)),
        *((271, 105), (272, 130), (266, 145), (253, 165), (240, 175)),
        *((225, 179), (210, 176), (195, 166), (184, 145), (178, 130), (179, 105)),
    ),
    light=Light(direction=(-0.3, -0.5, 0.8), white=(0.93, 0.95, 0.96), grain=0.012, blur=0.6),
    outlines={
        "properly": Outline(
            top=(
                *((182, 124), (195, 119), (210, 113), (219, 107), (226, 105.5)),
                *((233, 108), (243, 115), (257, 121), (268, 126)),
            ),
            bottom=((190, 163), (204, 176), (224, 184), (244, 177), (258, 164)),
            left=((184, 145),),
            right=((265.5, 146),),
            loops=(
                ((183, 126), (178, 121), (175, 117)),
                ((190, 160), (182, 147), (177, 131)),
                ((267, 128), (272, 125), (276, 122)),
                ((258, 161), (267, 149), (272, 135)),
            ),
        ),
        "under_nose": Outline(
            top=((184, 139), (200, 138), (213, 136), (226, 135), (240, 136), (254, 139), (267, 140)),
            bottom=((192, 168), (206, 180), (225, 188), (244, 181), (257, 169)),
            left=((186, 153),),
            right=((264, 154),),
            loops=(
                ((184, 141), (179, 128), (175, 119)),
                ((191, 165), (182, 150), (177, 131)),
                ((266, 142), (271, 130), (276, 123)),
                ((258, 166), (267, 150), (272, 135)),
            ),
        ),
        "on_chin": Outline(
            top=((187, 153), (200, 158), (225, 161), (248, 159), (262, 154)),
            bottom=((194, 173), (208, 185), (225, 191), (243, 186), (256, 174)),
            left=((190, 163),),
            right=((260, 164),),
            loops=(
                ((187, 155), (180, 138), (176, 126)),
                ((194, 171), (184, 152), (177, 132)),
                ((262, 156), (269, 142), (275, 128)),
                ((256, 172), (266, 152), (272, 136)),
            ),
        ),
    },
)

HOPPER = Photograph(
    load=_grace_hopper,
    face=(
        *((180, 150), (205, 134), (235, 129), (267, 128), (300, 129), (325, 136), (346, 152)),
        *((354, 185), (356, 225), (349, 265), (330, 300), (318, 320), (300, 331)),
        *((267, 334), (235, 331), (215, 320), (200, 300), (185, 265), (177, 225), (175, 185)),
    ),
    light=Light(direction=(-0.3, -0.6, 0.75), white=(0.96, 0.985, 1.0), grain=0.025, blur=0.7),
    outlines={
        "properly": Outline(
            top=(
                *((186, 232), (200, 236), (216, 240), (232, 238), (246, 229), (256, 216), (267, 210)),
                *((279, 215), (289, 228), (304, 236), (320, 236), (334, 232), (344, 228)),
            ),
            bottom=((203, 305), (222, 331), (245, 341), (267, 344), (290, 342), (311, 331), (328, 305)),
            left=((192, 270),),
            right=((339, 268),),
            loops=(
                ((187, 235), (178, 210), (173, 190)),
                ((203, 302), (190, 283), (181, 269)),
                ((343, 232), (350, 208), (354, 186)),
                ((328, 302), (339, 284), (346, 270)),
            ),
        ),
        "under_nose": Outline(
            top=((189, 260), (215, 260), (240, 257), (267, 257), (294, 257), (318, 260), (342, 258)),
            bottom=((205, 312), (223, 335), (245, 346), (267, 349), (290, 347), (311, 335), (327, 312)),
            left=((195, 286),),
            right=((336, 285),),
            loops=(
                ((190, 263), (180, 225), (173, 190)),
                ((205, 309), (191, 288), (181, 269)),
                ((341, 261), (349, 225), (354, 186)),
                ((327, 309), (339, 288), (346, 270)),
            ),
        ),
        "on_chin": Outline(
            top=((197, 292), (220, 301), (245, 304), (267, 305), (290, 304), (312, 301), (333, 290)),
            bottom=((210, 325), (226, 343), (245, 354), (267, 358), (290, 355), (309, 343), (323, 324)),
            left=((202, 308),),
            right=((329, 308),),
            loops=(
                ((198, 295), (184, 240), (173, 190)),
                ((210, 321), (192, 293), (181, 269)),
                ((333, 293), (346, 240), (354, 186)),
                ((323, 320), (338, 293), (346, 270)),
            ),
        ),
    },
)

CAMERAMAN = Photograph(
    load=_skimage("camera"),
    face=(
        *((206, 128), (228, 124), (246, 132), (250, 145), (255, 167)),
        *((246, 178), (240, 195), (225, 196), (200, 180), (196, 150)),
    ),
    light=Light(direction=(0.6, -0.4, 0.5), white=(0.78, 0.78, 0.78), grain=0.012, blur=0.6),
    outlines={
        "properly": Outline(
            top=((203, 163), (218, 160), (233, 159), (244, 156), (250.5, 152)),
            bottom=((210, 183), (222, 192), (231, 197), (240, 200)),
            left=((205, 173),),
            right=((257, 160), (260, 169), (254, 183)),
            loops=(((204, 165), (198, 150), (195, 136)), ((210, 181), (200, 170), (195, 156))),
        ),
    },
)

PHOTOGRAPHS: dict[str, Photograph] = {
    "collins": COLLINS,
    "hopper": HOPPER,
    "cameraman": CAMERAMAN,
    "coffee": Photograph(load=_skimage("coffee")),
    "shuttle_model": Photograph(load=_skimage("astronaut")),  # for views that leave the face out
}
