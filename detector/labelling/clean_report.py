"""What became of each file that was cleaned, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from detector.data.progress import Progress
from detector.evaluation.pages import write_page

__all__ = ["CleanReport", "CleanedImage"]


@dataclass(eq=False)
class CleanedImage:
    """A picture, and what is remembered of it: a few hundred bytes, so that the number of files does not matter.

    Args:
        source: the name of the file that it was made from, below the source folder.
        file: its name below the output folder.
        old_size, size: (width, height) in pixels, upright, before and after.
        changed: what was done to it, such as "png to JPEG"; empty for a file that was copied byte for byte.
        digest: of the source file's bytes.
        hash: bool (128,), the bits that near-duplicates nearly share.
        mirrored_hash: those of its mirror image; None if mirrored copies are not looked for.
        rank: of files that show the same picture, the one with the highest is kept.
        original: the picture that is kept instead of this one; None if this one is kept.
        differs: the share of its area that differs from that, 0 to 1; None if the two are the same byte for byte.
        mirrored: it is the mirror image of that.
        format: of the source file.
        orientation: of the source file's EXIF.
    """

    source: str
    file: str
    old_size: tuple[int, int]
    size: tuple[int, int]
    changed: str
    digest: bytes
    hash: npt.NDArray[np.bool_]
    mirrored_hash: npt.NDArray[np.bool_] | None
    rank: tuple[float, ...]
    original: CleanedImage | None = None
    differs: float | None = None
    mirrored: bool = False
    format: str = ""
    orientation: int = 1

    @property
    def link(self) -> str:
        """Its address on a page in the output folder."""
        return quote(self.file.encode(errors="surrogateescape"))

    @property
    def fate(self) -> str:
        """Whether it was kept, and if not, how it differs from the picture that was."""
        if self.original is None:
            return "kept"
        if self.differs is None:
            return "the same file"
        mirrored = ", mirrored" if self.mirrored else ""
        return f"the same picture{mirrored}" + (f", {self.differs:.1%} differs" if self.differs else "")

    def row(self) -> dict[str, object]:
        """What the report says of it."""
        width, height = self.size
        facts = {"file": self.file, "source": self.source, "width": width, "height": height, "changed": self.changed}
        return facts if self.original is None else {**facts, "differs": self.differs, "mirrored": self.mirrored}


@dataclass
class CleanReport:
    """The outcome of :func:`detector.labelling.cleaning.clean`.

    Args:
        images: the readable pictures.
        unreadable: source name to the reason.
        labels: name of a label file that could not go with its image, to the reason.
        others: files that are no images, left where they are.
    """

    images: list[CleanedImage] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)

    def groups(self) -> list[list[CleanedImage]]:
        """Each picture that has copies, with these."""
        groups: dict[str, list[CleanedImage]] = {}
        for image in self.images:
            if image.original:
                groups.setdefault(image.original.source, [image.original]).append(image)
        return [groups[name] for name in sorted(groups)]

    def counts(self) -> dict[str, int]:
        """How many files met which fate."""
        kept = [image for image in self.images if image.original is None]
        return {
            "images": len(self.images) + len(self.unreadable),
            "kept": len(kept),
            "kept_unchanged": sum(not image.changed for image in kept),
            "unreadable": len(self.unreadable),
            "duplicates": len(self.images) - len(kept),
            "duplicates_same_bytes": sum(image.fate == "the same file" for image in self.images),
            "groups": len(self.groups()),
            "no_images": len(self.others),
        }

    def json(self) -> str:
        """Everything. No path of this machine, so that the same files give the same report."""
        content = {
            "made_by": "clean",
            "counts": self.counts(),
            "kept": [image.row() for image in self.images if image.original is None],
            "groups": {kept.source: [copy.row() for copy in copies] for kept, *copies in self.groups()},
            "unreadable": self.unreadable,
            "labels": self.labels,
            "others": self.others,
        }
        return json.dumps(content, indent=1) + "\n"

    def lines(self) -> list[str]:
        """What a person should know of single files, a line each."""
        return [
            *(f"unreadable: {name}: {reason}" for name, reason in self.unreadable.items()),
            *(
                f"duplicate: {copy.source}: {copy.fate} as {kept.source}"
                for kept, *rest in self.groups()
                for copy in rest
            ),
            *(f"label file: {name}: {reason}" for name, reason in self.labels.items()),
        ]

    def page(self, thumbnail: Callable[[str], bytes], progress: Progress) -> str:
        """A page with all groups of duplicates, the doubtful ones first, to check them by eye.

        Args:
            thumbnail: gives a small JPEG for a source name.
            progress: told while thumbnails are made.
        """
        groups = sorted(self.groups(), key=lambda group: -max(copy.differs or 0 for copy in group))
        shown = [[(image, thumbnail(image.source)) for image in group] for group in progress(groups, "contact sheet")]
        return write_page("duplicates.html", groups=shown, unreadable=self.unreadable)
