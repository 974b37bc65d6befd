"""LabelImg's save folder: which images have a label file, and which of these nobody has saved since it was written.

``prelabels.csv`` lists the latter, at the end least certain first. LabelImg writes its own bytes when it saves, so a
file with the bytes that are listed has not been looked at, or at least not been confirmed. Without the list every file
counts as a person's. It grows by a row before the label is written: a run that is killed may have listed a label that
never appeared, which does no harm, but never the other way round.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path

from detector.data import voc
from detector.files import new_folder, write_file
from detector.labelling.ledger import Ledger
from detector.labelling.proposals import Proposal, to_annotation
from detector.staging import uninterrupted

__all__ = ["RECORD", "LabelFolder", "link_in_order"]

RECORD = "prelabels.csv"


@dataclass(frozen=True)
class _Entry:
    """One image that a person has not been at.

    Args:
        image: its file name.
        annotation: the name of the file that was written for it; "" where no face was found and none was.
        faces, unsure: how many boxes are in that file, and how many of them are marked.
        doubt: how many corrections are foreseen, see :class:`Proposal`; two decimals.
        sha256: of that file, hexadecimal; "" where there is none.
    """

    image: str
    annotation: str
    faces: str
    unsure: str
    doubt: str
    sha256: str


COLUMNS = tuple(field.name for field in fields(_Entry))


class LabelFolder:
    """The label files of a folder of images.

    Args:
        path: LabelImg's save folder; it may be missing.
        overwrite: every label file may be replaced.
        refresh: pre-labels that nobody has saved since may be.
        background: an image without a face gets a label file without boxes.
        dry_run: write nothing.
    """

    def __init__(self, path: Path, *, overwrite: bool, refresh: bool, background: bool, dry_run: bool) -> None:
        self.path = path
        self._overwrite, self._refresh, self._background, self._dry_run = overwrite, refresh, background, dry_run
        self._record = Ledger(path / RECORD, COLUMNS)
        entries = [_Entry(**row) for row in self._record.rows]
        self._earlier = {entry.annotation: entry for entry in entries if self._is_untouched(entry)}
        self._new: list[_Entry] = []
        there = path.iterdir() if path.is_dir() else ()
        self._in_another_case = {place.name.casefold(): place for place in there if place.suffix.lower() == ".xml"}

    def label_of(self, image: Path) -> Path | None:
        """The label file that an image has, here (LabelImg's YOLO format counts) or beside it; None if it has none."""
        places = (self.path / f"{image.stem}.xml", self.path / f"{image.stem}.txt", image.with_suffix(".xml"))
        other = self._in_another_case.get(f"{image.stem}.xml".casefold())
        return next((place for place in (*places, other) if place and place.exists()), None)

    def is_prelabel(self, label: Path) -> bool:
        """Whether a label file was written here and nobody has saved it since."""
        entry = self._earlier.get(label.name) if label.parent == self.path else None
        return entry is not None and self._is_untouched(entry)

    def may_write(self, image: Path) -> bool:
        """Whether an image has no label file, or one that may be replaced."""
        there = self.label_of(image)
        return there is None or self._overwrite or (self._refresh and self.is_prelabel(there))

    def write(self, image: Path, size: tuple[int, int], proposal: Proposal) -> None:
        """Write the label file of an image; without a face, take away a pre-label that is there, and note it.

        Args:
            image: its file.
            size: (width, height) of the upright image.
            proposal: what is in it.

        Raises:
            AnnotationError: the image's name cannot stand in XML.
            OutputError: the file cannot be written.
        """
        label = self.path / f"{image.stem}.xml"
        wanted = len(proposal.faces) > 0 or self._background
        data = voc.to_bytes(to_annotation(image, size, proposal))
        counts = str(len(proposal.faces)), str(int(proposal.unsure.sum())), f"{proposal.doubt:.2f}"
        entry = _Entry(image.name, label.name if wanted else "", *counts, _digest(data) if wanted else "")
        ours = self.is_prelabel(label)
        with uninterrupted():  # first both lists, then the file: however this ends, a label that is there is listed
            self._new.append(entry)
            if wanted and not self._dry_run:
                self._record.add(asdict(entry))
                write_file(label, data, replace=self._overwrite or (self._refresh and ours))
            elif ours and not self._dry_run:
                label.unlink()

    def unseen(self) -> list[_Entry]:
        """The images that nobody has been at, of this run and earlier ones, least certain first, then by name."""
        done = {entry.image for entry in self._new}
        entries = [*(entry for entry in self._earlier.values() if entry.image not in done), *self._new]
        return sorted(entries, key=lambda entry: (-float(entry.doubt), entry.image))

    def write_record(self) -> None:
        """Write the list in order.

        Raises:
            OutputError: it cannot be written.
        """
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([COLUMNS, *map(astuple, self.unseen())])
        write_file(self.path / RECORD, text.getvalue().encode(errors="backslashreplace"), replace=True)

    def _is_untouched(self, entry: _Entry) -> bool:
        path = self.path / entry.annotation
        return bool(entry.annotation) and path.is_file() and _digest(path.read_bytes()) == entry.sha256


def link_in_order(images: Sequence[Path], folder: Path) -> None:
    """Make ``folder/0001/<first>``, ``folder/0002/<second>`` ... of links; all of it appears or nothing does.

    LabelImg walks through a folder and all below it in the order of the paths, and looks for the labels of an image in
    its save folder by the image's own name: so each image has a numbered folder, and its labels are found. A link is
    symbolic where that is allowed, else hard, else (another drive under Windows) a copy.

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
            for make in (os.symlink, os.link, shutil.copyfile):
                try:
                    make(image.resolve(), place / image.name)
                    break
                except OSError:  # forbidden, or another drive
                    if make is shutil.copyfile:
                        raise


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
