"""A folder in which LabelImg shows images in a given order.

LabelImg walks through a folder and all below it in the order of the paths, and looks for the labels of an image in its
save folder by the image's own name. So each image gets a numbered folder of its own, and its labels are found, and
saved, where they belong.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from detector.files import new_folder

__all__ = ["link_in_order"]


def link_in_order(images: Sequence[Path], folder: Path) -> None:
    """Make ``folder/0001/<first>``, ``folder/0002/<second>`` ... of links; all of it appears or nothing does.

    A link is symbolic where that is allowed, else hard, else (another drive under Windows) a copy.

    Args:
        images: the images, in the order in which they are to be shown.
        folder: one that does not exist yet, or is empty.

    Raises:
        OutputError: the place is taken or cannot be written.
    """
    digits = max(4, len(str(len(images))))
    with new_folder(folder, "--review") as part:
        for number, image in enumerate(images, 1):
            place = part / f"{number:0{digits}}"
            place.mkdir()
            _link(image.resolve(), place / image.name)


def _link(image: Path, place: Path) -> None:
    for make in (os.symlink, os.link):
        try:
            make(image, place)
        except OSError:  # forbidden, or another drive
            continue
        return
    shutil.copyfile(image, place)
