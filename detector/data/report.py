"""What a conversion found, left out and mended: every loss with its file and reason."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Literal

from detector.detections import CLASSES, Detections
from detector.errors import DetectorError

__all__ = ["Note", "Report"]

_Kind = Literal["annotation", "box", "correction", "image"]
_COUNTED = ("images", "background", *CLASSES)


@dataclass(frozen=True)
class Note:
    """One thing that was dropped, mended or looks wrong.

    Args:
        kind: what it happened to.
        file: "set/file name"; never a path of this machine, so that the same data give the same report.
        reason: why, in one line.
    """

    kind: _Kind
    file: str
    reason: str


@dataclass
class Report:
    """Collects the outcome of :func:`detector.data.dataset.build` and the loaders of :mod:`detector.data.loading`.

    Args:
        names: boxes per class name as the annotators wrote it, after the corrections.
        classes: class name as written to the class it became, or "ignore".
        counts: per (set, split) the "images", those without a face ("background"), and the boxes of each class.
        split: how train and val were decided.
        corrected: corrections applied, per action.
        dropped, mended, suspicious: what was left out, repaired, or kept although it looks wrong.
        unreadable: lines on images that cannot be read; ``dropped`` has them too.
        warnings: about the data set as a whole.
        files: written image name to "set/file name", per split.
    """

    names: Counter[str] = field(default_factory=Counter)
    classes: dict[str, str] = field(default_factory=dict)
    counts: dict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    split: str = ""
    corrected: Counter[str] = field(default_factory=Counter)
    dropped: list[Note] = field(default_factory=list)
    mended: list[Note] = field(default_factory=list)
    suspicious: list[Note] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    files: dict[str, dict[str, str]] = field(default_factory=dict)

    def drop(self, kind: _Kind, file: str, reason: str) -> None:
        """Something was left out."""
        self.dropped.append(Note(kind, file, reason))

    def drop_unreadable(self, title: str, path: object, error: DetectorError) -> None:
        """An image cannot be read: its file, and what was raised for that."""
        reason = str(error).removeprefix(f"{path}: ")
        self.drop("image", title, reason)
        self.unreadable.append(f"{title}: {reason}")

    def mend(self, kind: _Kind, file: str, reason: str) -> None:
        """Something was repaired."""
        self.mended.append(Note(kind, file, reason))

    def suspect(self, kind: _Kind, file: str, reason: str) -> None:
        """Something was kept, but a person should look at it."""
        self.suspicious.append(Note(kind, file, reason))

    def why(self) -> str:
        """The most common reason for a loss, in brackets for the end of a message; "" where there is none."""
        reasons = Counter(note.reason for note in self.dropped).most_common(1)
        return f" ({reasons[0][0]})" if reasons else ""

    def count(self, set_name: str, split: str, truth: Detections) -> None:
        """Count one image of the set ``set_name``."""
        self.counts[set_name, split].update(images=1, background=int(not len(truth)))
        self.counts[set_name, split].update(truth.names)

    def total(self, split: str) -> Counter[str]:
        """The counts of one split over all sets."""
        return sum((counts for (_, side), counts in self.counts.items() if side == split), Counter())

    def text(self) -> str:
        """The report for people: a table of counts, then every note."""
        lines = [*self._table(), "", *([self.split, ""] if self.split else []), "class names in the annotations:"]
        for name, count in sorted(self.names.items()):
            lines.append(f"  {_line(name)}: {count} boxes -> {self.classes.get(name, '?')}")
        if self.corrected:
            done = ", ".join(f"{action} {count}" for action, count in sorted(self.corrected.items()))
            lines += ["", f"corrections applied: {done}"]
        if self.warnings:
            lines += ["", "warnings:", *(f"  {_line(warning)}" for warning in self.warnings)]
        for title, notes in self._notes().items():
            lines += ["", f"{title}: {_tally(notes)}"]
            lines += [f"  {note.kind} {_line(note.file)}: {_line(note.reason)}" for note in notes]
        return "\n".join(lines) + "\n"

    def content(self) -> dict[str, object]:
        """The same content as :meth:`text` and the list of files, ready for JSON."""
        return {
            "sets": [
                {"set": set_name, "split": split} | {name: counts[name] for name in _COUNTED}
                for (set_name, split), counts in sorted(self.counts.items())
            ],
            "split": self.split,
            "names": {name: {"boxes": n, "class": self.classes.get(name)} for name, n in sorted(self.names.items())},
            "corrected": dict(sorted(self.corrected.items())),
            "warnings": self.warnings,
            **{title: [vars(note) for note in notes] for title, notes in self._notes().items()},
            "files": self.files,
        }

    def _notes(self) -> dict[str, list[Note]]:
        return {"dropped": self.dropped, "mended": self.mended, "suspicious": self.suspicious}

    def _table(self) -> list[str]:
        counted = [(_line(set_name), split, counts) for (set_name, split), counts in sorted(self.counts.items())]
        counted += [("all", split, self.total(split)) for split in sorted({split for _, split in self.counts})]
        rows: list[tuple[str, ...]] = [("set", "split", *_COUNTED)]
        rows += [(name, split, *(str(counts[column]) for column in _COUNTED)) for name, split, counts in counted]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        align = [str.ljust, str.ljust, *[str.rjust] * len(_COUNTED)]
        return ["  ".join(a(cell, w) for a, cell, w in zip(align, row, widths, strict=True)) for row in rows]


def _tally(notes: list[Note]) -> str:
    kinds = sorted(Counter(note.kind for note in notes).items())
    plural = {"box": "boxes"}
    named = (f"{count} {kind if count == 1 else plural.get(kind, f'{kind}s')}" for kind, count in kinds)
    return ", ".join(named) or "none"


def _line(text: str) -> str:
    """One printable line: a file name may hold line breaks or bytes that are not text."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
