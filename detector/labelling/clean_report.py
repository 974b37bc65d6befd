"""What mask-detector clean found, for people and for programs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

__all__ = ["Aside", "Kept", "Report"]


@dataclass(frozen=True)
class Kept:
    """A picture in ``images/``.

    Args:
        file: its name below the output folder.
        source: the name of the file that it was made from, below the source folder.
        width, height: in pixels, upright.
        changed: what was done to it, such as "png to JPEG"; empty for a file that was copied byte for byte.
    """

    file: str
    source: str
    width: int
    height: int
    changed: str


@dataclass(frozen=True)
class Aside(Kept):
    """A copy of a picture that is kept.

    Args:
        differs: the share of its area that differs, 0 to 1; None if the two sources are the same byte for byte.
        mirrored: it is the mirror image.
    """

    differs: float | None
    mirrored: bool


@dataclass
class Report:
    """The outcome of :func:`detector.labelling.cleaning.clean`.

    Args:
        settings: what was asked for.
        kept: the pictures that remain.
        groups: source name of a kept picture to its copies.
        unreadable: source name to the reason.
        labels: name of a label file that could not go with its image, to the reason.
        others: files that are no images, left where they are.
    """

    settings: dict[str, object]
    kept: list[Kept] = field(default_factory=list)
    groups: dict[str, list[Aside]] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)

    @property
    def copies(self) -> list[Aside]:
        """All pictures that were set aside."""
        return [copy for copies in self.groups.values() for copy in copies]

    def counts(self) -> dict[str, int]:
        """How many files met which fate."""
        return {
            "images": len(self.kept) + len(self.copies) + len(self.unreadable),
            "kept": len(self.kept),
            "kept_unchanged": sum(not picture.changed for picture in self.kept),
            "unreadable": len(self.unreadable),
            "duplicates": len(self.copies),
            "duplicates_same_bytes": sum(copy.differs is None for copy in self.copies),
            "groups": len(self.groups),
            "no_images": len(self.others),
        }

    def json(self) -> str:
        """Everything. No path of this machine, so that the same files give the same report."""
        return json.dumps({"made_by": "clean", "counts": self.counts(), **asdict(self)}, indent=1) + "\n"

    def lines(self) -> list[str]:
        """What a person should know of single files, a line each."""
        lines = [f"unreadable: {name}: {reason}" for name, reason in self.unreadable.items()]
        for kept, copies in self.groups.items():
            lines += [f"duplicate: {copy.source}: {describe(copy)} as {kept}" for copy in copies]
        return lines + [f"label file: {name}: {reason}" for name, reason in self.labels.items()]


def describe(copy: Aside) -> str:
    """How alike a copy is to the picture that is kept."""
    if copy.differs is None:
        return "the same file"
    mirrored = ", mirrored" if copy.mirrored else ""
    return f"the same picture{mirrored}" + (f", {copy.differs:.1%} differs" if copy.differs else "")
