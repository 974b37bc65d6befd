"""The list of pre-labelled files that nobody has saved since: ``prelabels.csv``, at the end least certain first.

It grows with each label, before the label is written: a run that is killed may have listed one that never appeared,
which does no harm, but never the other way round.
LabelImg writes its own bytes when it saves, so a file with the bytes that are recorded here has not been looked at, or
at least not been confirmed. Without the list every file counts as a person's.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from detector.files import write_file
from detector.labelling.ledger import Ledger

__all__ = ["COLUMNS", "RECORD", "Entry", "digest", "in_order", "is_untouched", "untouched", "write_record"]

RECORD = "prelabels.csv"


@dataclass(frozen=True)
class Entry:
    """One image that a person has not been at.

    Args:
        image: its file name.
        annotation: the name of the file that was written for it; "" where no face was found and none was.
        faces, unsure: how many boxes are in that file, and how many of them are marked.
        doubt: how many corrections are foreseen, see :func:`detector.labelling.proposals.propose`; two decimals.
        sha256: of that file, hexadecimal; "" where there is none.
    """

    image: str
    annotation: str
    faces: str
    unsure: str
    doubt: str
    sha256: str


COLUMNS = tuple(field.name for field in fields(Entry))


def untouched(folder: Path, record: Ledger) -> dict[str, Entry]:
    """The entries whose file is there as it was written, by the file's name."""
    entries = [Entry(**{column: row[column] for column in COLUMNS}) for row in record.rows]
    return {entry.annotation: entry for entry in entries if is_untouched(folder, entry)}


def write_record(folder: Path, entries: Iterable[Entry]) -> None:
    """Write the list, least certain first; entries that tie go by name.

    Raises:
        OutputError: it cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(astuple(entry) for entry in in_order(entries))
    write_file(folder / RECORD, text.getvalue().encode(errors="backslashreplace"), replace=True)


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """Least certain first; entries that tie go by name."""
    return sorted(entries, key=lambda entry: (-float(entry.doubt), entry.image))


def digest(data: bytes) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def is_untouched(folder: Path, entry: Entry) -> bool:
    """Whether the file of an entry is there with the bytes that were written."""
    path = folder / entry.annotation
    return bool(entry.annotation) and path.is_file() and digest(path.read_bytes()) == entry.sha256
