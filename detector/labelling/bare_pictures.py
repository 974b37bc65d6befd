"""The labelled pictures that masks are added to."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from detector.data import corrections as correcting
from detector.data.classmap import IGNORE, resolve
from detector.data.csvfile import read_rows
from detector.data.pairing import Pair, pair
from detector.data.progress import Progress
from detector.data.report import Report
from detector.data.voc import Box
from detector.detections import CLASSES
from detector.errors import AnnotationError
from detector.labelling.treatment import WORN_BADLY_BY_NAME

__all__ = ["Labels", "Picture", "load"]


@dataclass(frozen=True)
class Labels:
    """What names labelled pictures: the flags of the same names, see --help."""

    annotations: Sequence[Path]
    images: Sequence[Path]
    class_map: Mapping[str, str]
    split: Path | None = None
    part: str = "train"
    corrections: Path | None = None


@dataclass(frozen=True)
class Picture:
    """A labelled picture.

    Args:
        path: its file.
        set_name: the name of its set.
        boxes: its faces, named by their classes; boxes that are ignored keep the annotator's name.
        bare: which of the boxes are bare faces.
        group: its near-duplicates' name in the file of --split; "" where there is none.
    """

    path: Path
    set_name: str
    boxes: tuple[Box, ...]
    bare: tuple[int, ...]
    group: str = ""

    @property
    def title(self) -> str:
        """Set and file name: how reports call it."""
        return f"{self.set_name}/{self.path.name}"


def load(labels: Labels, report: Report, progress: Progress) -> list[Picture]:
    """The pictures of one part of a split, or all, sorted by set and name; with their boxes corrected.

    Args:
        labels: where they are.
        report: collects what is left out.
        progress: wraps the loops.

    Raises:
        AnnotationError: a folder or file cannot be used, a class name is unknown, or the part has no picture.
        SourceError: a folder of images cannot be read.
    """
    groups = _groups(labels.split, labels.part) if labels.split else None
    rows: dict[tuple[str | None, str], list[correcting.Correction]] = defaultdict(list)
    for row in correcting.read_corrections(labels.corrections) if labels.corrections else ():
        rows[row.set_name, row.image].append(row)
    found = []
    for each in pair(labels.annotations, labels.images, report, progress):
        if groups is None or _group(groups, each) is not None:
            corrected = _correct(each, rows)
            if corrected is not None:
                found.append(corrected)
    if not found:
        part = f" in {labels.part!r}" if labels.split else ""
        raise AnnotationError(f"no labelled picture is left{part}: check --split, --part and --corrections")
    names = Counter(box.name for each in found for box in each.label.boxes)
    classes, _ = resolve(names, labels.class_map)
    return [_picture(each, classes, (groups and _group(groups, each)) or "") for each in found]


def _groups(path: Path, part: str) -> dict[tuple[str, str], str]:
    """Group by set and image name of those that the file of --split puts into ``part``."""
    rows = read_rows(path, ("image", "split"), "--split")
    return {(row.get("set", ""), row["image"]): row.get("group", "") for _, row in rows if row["split"] == part}


def _group(groups: Mapping[tuple[str, str], str], each: Pair) -> str | None:
    return groups.get((each.set_name, each.image.name), groups.get(("", each.image.name)))


def _correct(each: Pair, rows: Mapping[tuple[str | None, str], list[correcting.Correction]]) -> Pair | None:
    """The pair with the corrections of its image applied; None if they drop it."""
    wanted = [row for name in (each.set_name, None) for row in rows.get((name, each.image.name), ())]
    boxes = correcting.apply(each.label.boxes, sorted(wanted, key=lambda row: row.line)).boxes
    return None if boxes is None else replace(each, label=replace(each.label, boxes=boxes))


def _picture(each: Pair, classes: Mapping[str, str], group: str) -> Picture:
    boxes, bare = [], []
    for index, box in enumerate(each.label.boxes):
        target = classes[box.name]
        if target == CLASSES[1] and not any(part in box.name.casefold() for part in WORN_BADLY_BY_NAME):
            bare.append(index)
        boxes.append(box if target == IGNORE else replace(box, name=target))
    return Picture(each.image, each.set_name, tuple(boxes), tuple(bare), group)
