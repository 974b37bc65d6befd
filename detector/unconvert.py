"""Convert YOLO labels, or predictions in that format, to XML that LabelImg opens: ``mask-detector unconvert``."""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from detector import cli
from detector.cli.flags import add_flags
from detector.data import voc
from detector.data.progress import Progress, silent
from detector.data.yolo import CLASSES_TXT, read_names
from detector.data.yolo_labels import YoloBox, read_labels
from detector.errors import AnnotationError, DetectorError, OutputError
from detector.files import make_folder, write_file
from detector.media.images import image_size, list_images

__all__ = ["Unconverted", "main", "unconvert"]

EXAMPLES = """\
  mask-detector unconvert runs/dataset --out runs/xml
      runs/dataset/labels/train/x.txt + runs/dataset/images/train/x.jpg -> runs/xml/train/x.xml
  mask-detector unconvert --labels predict/labels --images photos --names with_mask,without_mask --out xml --conf 0.5
      predictions (a sixth column is the confidence) to look through in LabelImg
  mask-detector unconvert --labels photos --images photos --out xml
      what LabelImg itself saved in YOLO format (names in photos/classes.txt)

An XML file that is there already is never replaced without --overwrite.
"""


@dataclass(frozen=True)
class Unconverted:
    """The outcome of :func:`unconvert`.

    Args:
        written: the XML files, sorted.
        boxes: how many boxes are in them.
        skipped: a line for each label file that was not converted, with the reason.
    """

    written: tuple[Path, ...]
    boxes: int
    skipped: tuple[str, ...]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code. After Ctrl-C the files that were written are whole."""
    return cli.run_command(build_parser(), _command, argv)


def build_parser() -> argparse.ArgumentParser:
    """The flags of ``mask-detector unconvert``."""
    parser = cli.make_parser("unconvert", "Convert YOLO labels to LabelImg annotations (Pascal VOC XML).", EXAMPLES)
    folder = "YOLO folder with data.yaml, images and labels"
    parser.add_argument("dataset", nargs="?", type=Path, metavar="FOLDER", help=folder)
    labels = "folder of .txt files (default: FOLDER/labels)"
    parser.add_argument("--labels", type=Path, metavar="FOLDER", help=labels)
    add_flags(parser, "--images", action="store", help="their images (default: FOLDER/images)")
    names = "class names in order (default: those in data.yaml or classes.txt)"
    parser.add_argument("--names", type=_names, metavar="A,B", help=names)
    add_flags(parser, "--out", required=True, help="folder for the XML files")
    add_flags(parser, "--conf", default=0.0, help="leave out boxes that are less sure than this, 0 to 1")
    add_flags(parser, "--overwrite")
    return parser


def unconvert(
    labels: Path,
    images: Path,
    out: Path,
    names: Sequence[str],
    *,
    min_confidence: float = 0.0,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Unconverted:
    """Write one XML per label file; subfolders (train, val) are kept.

    Args:
        labels: folder of YOLO .txt files, searched with its subfolders.
        images: folder of the images, with the same subfolders.
        out: folder for the XML files.
        names: class names by index.
        min_confidence: boxes with a sixth column below this are left out.
        overwrite: replace XML files that are there.
        progress: wraps the loop, for a progress bar.

    Raises:
        AnnotationError: there are no label files, or none can be converted.
        OutputError: another XML file is there already (and then nothing is written), or one cannot be written.
    """
    found = (path for path in labels.rglob("*.txt") if path.name != CLASSES_TXT and not path.name.startswith("."))
    files = sorted(path for path in found if path.is_file())
    if not files:
        raise AnnotationError(f"{labels}: no .txt label files there: check the folder")
    pictures: dict[Path, dict[str, list[Path]]] = {}
    made: dict[Path, bytes] = {}
    skipped, boxes = [], 0
    for path in progress(files, "converting"):
        inside = path.relative_to(labels)
        try:
            folder = images / inside.parent
            if folder not in pictures:
                pictures[folder] = _by_stem(folder)
            annotation = _annotation(path, pictures[folder].get(path.stem, []), folder, names, min_confidence)
            made[out / inside.with_suffix(".xml")] = voc.to_bytes(annotation)
            boxes += len(annotation.boxes)
        except DetectorError as error:
            skipped.append(str(error))
    if not made:
        raise AnnotationError(f"no label file could be converted; {skipped[0]}")
    _write(made, overwrite=overwrite)
    return Unconverted(tuple(made), boxes, tuple(skipped))


def _annotation(
    path: Path, candidates: Sequence[Path], folder: Path, names: Sequence[str], min_confidence: float
) -> voc.Annotation:
    if not candidates:
        raise AnnotationError(f"{path}: no image with this name in {folder}: add it, its size is needed")
    if len(candidates) > 1:
        which = ", ".join(image.name for image in candidates)
        raise AnnotationError(f"{path}: {which} have this name in {folder}: leave only the one that was labelled")
    (image,) = candidates
    size = image_size(image)
    boxes = [box for box in read_labels(path) if box.confidence >= min_confidence]
    wrong = [box.class_id for box in boxes if box.class_id >= len(names)]
    if wrong:
        raise AnnotationError(f"{path}: class {wrong[0]}, but only {len(names)} names: check data.yaml or --names")
    return voc.Annotation(image.name, folder.name, size, tuple(_box(box, size, names) for box in boxes))


def _by_stem(folder: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = defaultdict(list)
    for image in list_images(folder):
        found[image.stem].append(image)
    return found


def _box(box: YoloBox, size: tuple[int, int], names: Sequence[str]) -> voc.Box:
    left, top, right, bottom = box.xyxy(*size)
    # LabelImg's own rule, which counts from 1 here though its pixels begin with 0.
    truncated = int(left) == 1 or int(top) == 1 or int(right) == size[0] or int(bottom) == size[1]
    return voc.Box(names[box.class_id], left, top, right, bottom, truncated=truncated)


def _write(made: Mapping[Path, bytes], *, overwrite: bool) -> None:
    """Write the files, unless others are there; what a run that was cut off has written is the same, and stays."""
    missing = {path: data for path, data in made.items() if not path.is_file() or path.read_bytes() != data}
    taken = [path for path in missing if path.exists()]
    if taken and not overwrite:
        raise OutputError(
            f"{taken[0]}: is there already ({len(taken)} such files): choose another --out, or --overwrite"
        )
    for folder in {path.parent for path in made}:
        make_folder(folder)
    for path, data in missing.items():
        write_file(path, data, replace=overwrite)


def _command(args: argparse.Namespace) -> int:
    if args.dataset is None and None in (args.labels, args.images):
        raise AnnotationError("nothing to convert: give a YOLO folder, or --labels and --images")
    root = args.dataset or args.labels
    labels = args.labels or root / "labels"
    names_file = labels / CLASSES_TXT
    if (root / "data.yaml").is_file() or not names_file.is_file():
        names_file = root / "data.yaml"
    outcome = unconvert(
        labels,
        args.images or root / "images",
        args.out,
        args.names or read_names(names_file),
        min_confidence=args.conf,
        overwrite=args.overwrite,
        progress=cli.progress_bar,
    )
    for line in outcome.skipped:
        print(f"skipped: {line}", file=sys.stderr)
    print(f"{len(outcome.written)} XML files with {outcome.boxes} boxes in {args.out}, {len(outcome.skipped)} skipped")
    return cli.EXIT_PARTIAL if outcome.skipped else cli.EXIT_OK


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text!r} has an empty name")
    return names


if __name__ == "__main__":
    sys.exit(main())
