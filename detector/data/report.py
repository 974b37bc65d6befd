"""What a conversion found, left out and mended: every loss with its file and reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from detector.detections import CLASSES, Detections

__all__ = ["Kind", "Note", "Report"]

Kind = Literal["annotation", "box", "correction", "image"]

PLURALS: dict[Kind, str] = {"annotation": "annotations", "box": "boxes", "correction": "corrections", "image": "images"}


@dataclass(frozen=True)
class Note:
    """One thing that was dropped, mended or looks wrong.

    Args:
        kind: what it happened to.
        file: "set/file name"; never a path of this machine, so that the same data give the same report.
        reason: why, in one line.
    """

    kind: Kind
    file: str
    reason: str


@dataclass
class Report:
    """Collects the outcome of :func:`detector.data.dataset.build` and the loaders of :mod:`detector.data.loading`.

    Args:
        names: boxes per class name as the annotators wrote it, after the corrections.
        classes: class name as written to the class it became, or "ignore".
        images, background: images, and images without a face among them, per (set, split).
        boxes: boxes per (set, split, class).
        split: how train and val were decided.
        corrected: corrections applied, per action.
        dropped, mended, suspicious: what was left out, repaired, or kept although it looks wrong.
        warnings: about the data set as a whole.
        files: written image name to "set/file name", per split.
    """

    names: Counter[str] = field(default_factory=Counter)
    classes: dict[str, str] = field(default_factory=dict)
    images: Counter[tuple[str, str]] = field(default_factory=Counter)
    background: Counter[tuple[str, str]] = field(default_factory=Counter)
    boxes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    split: str = ""
    corrected: Counter[str] = field(default_factory=Counter)
    dropped: list[Note] = field(default_factory=list)
    mended: list[Note] = field(default_factory=list)
    suspicious: list[Note] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    files: dict[str, dict[str, str]] = field(default_factory=dict)

    def drop(self, kind: Kind, file: str, reason: str) -> None:
        """Something was left out."""
        self.dropped.append(Note(kind, file, reason))

    def mend(self, kind: Kind, file: str, reason: str) -> None:
        """Something was repaired."""
        self.mended.append(Note(kind, file, reason))

    def suspect(self, kind: Kind, file: str, reason: str) -> None:
        """Something was kept, but a person should look at it."""
        self.suspicious.append(Note(kind, file, reason))

    def count(self, set_name: str, split: str, truth: Detections) -> None:
        """Count one image of the set ``set_name``."""
        self.images[set_name, split] += 1
        self.background[set_name, split] += not len(truth)
        for name in CLASSES:
            self.boxes[set_name, split, name] += truth.count(name)

    def why(self) -> str:
        """The most common reason for a loss, in brackets for the end of a message; "" where there is none."""
        reasons = Counter(note.reason for note in self.dropped).most_common(1)
        return f" ({reasons[0][0]})" if reasons else ""

    def total(self, split: str) -> tuple[int, dict[str, int]]:
        """Images, and boxes per class, of one split."""
        images = sum(count for (_, side), count in self.images.items() if side == split)
        boxes = Counter(dict.fromkeys(CLASSES, 0))
        for (_, side, name), count in self.boxes.items():
            boxes[name] += count if side == split else 0
        return images, dict(boxes)

    def text(self) -> str:
        """The report for people: a table of counts, then every note."""
        lines = [*self._table(), "", *([self.split, ""] if self.split else [])]
        lines += ["class names in the annotations:"]
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
        sets = [
            {"set": set_name, "split": split, "images": count, "background": self.background[set_name, split]}
            | {name: self.boxes[set_name, split, name] for name in CLASSES}
            for (set_name, split), count in sorted(self.images.items())
        ]
        return {
            "sets": sets,
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
        rows: list[tuple[str, ...]] = [("set", "split", "images", "background", *CLASSES)]
        for (set_name, split), count in sorted(self.images.items()):
            boxes = (str(self.boxes[set_name, split, name]) for name in CLASSES)
            rows.append((_line(set_name), split, str(count), str(self.background[set_name, split]), *boxes))
        for split in sorted({split for _, split in self.images}):
            images, classes = self.total(split)
            background = sum(n for (_, side), n in self.background.items() if side == split)
            rows.append(("all", split, str(images), str(background), *map(str, classes.values())))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        align = [str.ljust, str.ljust, *[str.rjust] * (len(widths) - 2)]
        return ["  ".join(a(cell, w) for a, cell, w in zip(align, row, widths, strict=True)) for row in rows]


def _tally(notes: list[Note]) -> str:
    kinds = sorted(Counter(note.kind for note in notes).items())
    return ", ".join(f"{count} {kind if count == 1 else PLURALS[kind]}" for kind, count in kinds) or "none"


def _line(text: str) -> str:
    """One printable line: a file name may hold line breaks or bytes that are not text."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
