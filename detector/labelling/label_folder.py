"""The folder of the label files: which images have one, and which of them may be written."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

from detector.data import voc
from detector.files import write_file
from detector.labelling.ledger import Ledger
from detector.labelling.prelabel_record import COLUMNS, RECORD, Entry, digest, in_order, is_untouched, untouched
from detector.labelling.proposals import Proposal, to_annotation

__all__ = ["LabelFolder"]


@dataclass
class LabelFolder:
    """LabelImg's save folder.

    Args:
        path: the folder; it may be missing.
        force: every label file may be replaced.
        refresh: pre-labels that nobody has saved since may be.
        background: an image without a face gets a label file without boxes.
        dry_run: write nothing.

    Attributes:
        earlier: the untouched pre-labels that are there, by the file's name.
        new: what was done since.
    """

    path: Path
    force: bool = False
    refresh: bool = False
    background: bool = False
    dry_run: bool = False
    earlier: dict[str, Entry] = field(init=False)
    new: list[Entry] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self._record = Ledger(self.path / RECORD, COLUMNS)
        self.earlier = untouched(self.path, self._record)

    def label_of(self, image: Path) -> Path | None:
        """The label file that an image has, here (LabelImg's YOLO format counts) or beside it; None if it has none."""
        places = (self.path / f"{image.stem}.xml", self.path / f"{image.stem}.txt", image.with_suffix(".xml"))
        return next((place for place in places if place.exists()), None)

    def is_prelabel(self, label: Path) -> bool:
        """Whether a label file was written here and nobody has saved it since."""
        entry = self.earlier.get(label.name) if label.parent == self.path else None
        return entry is not None and is_untouched(self.path, entry)

    def may_write(self, image: Path) -> bool:
        """Whether an image has no label file, or one that may be replaced."""
        there = self.label_of(image)
        return there is None or self.force or (self.refresh and self.is_prelabel(there))

    def write(self, image: Path, size: tuple[int, int], proposal: Proposal) -> None:
        """Write the label file of an image; without a face, take away a pre-label that is there, and note it.

        Raises:
            AnnotationError: the image's name cannot stand in XML.
            OutputError: the file cannot be written.
        """
        label = self.path / f"{image.stem}.xml"
        wanted = len(proposal.faces) > 0 or self.background
        data = voc.to_bytes(to_annotation(image, size, proposal))
        entry = Entry(
            image.name,
            label.name if wanted else "",
            str(len(proposal.faces)),
            str(int(proposal.unsure.sum())),
            f"{proposal.doubt:.2f}",
            digest(data) if wanted else "",
        )
        ours = self.is_prelabel(label)
        self.new.append(entry)  # before the file: however this ends, a label that is there is in the list
        if self.dry_run:
            return
        if wanted:
            self._record.add(asdict(entry))
            write_file(label, data, replace=self.force or (self.refresh and ours))
        elif ours:
            label.unlink()

    def unseen(self) -> list[Entry]:
        """The images that nobody has been at, of this run and earlier ones, least certain first."""
        done = {entry.image for entry in self.new}
        return in_order([*(entry for entry in self.earlier.values() if entry.image not in done), *self.new])
