"""What the detector says to faces on which mask-detector masks has drawn. See --help."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from detector import cli
from detector.cli.flags import add_engine_flags, add_flags, engine_from
from detector.data import voc
from detector.detections import CLASSES, Detections
from detector.engines import Engine
from detector.errors import SourceError
from detector.evaluation.text import aligned
from detector.media import images
from detector.scoring import Example, match

EXAMPLES = """\
  mask-detector masks --share 1 --confusers 1 --worn-wrongly 0 --out runs/covered --report runs/covered.json
  python tools/treated_faces.py --images runs/covered/images --report runs/covered.json
      how often a hand, a scarf, a bandana or a cup before the mouth is taken for a mask
  python tools/treated_faces.py --images runs/covered/images --report runs/covered.json --engine two-step
"""

VERDICTS = (*CLASSES, "not found")


@dataclass(frozen=True)
class _Treated:
    """One treated face: its picture, what was done, and where it is, of the class that it should be given."""

    image: str
    kind: str
    what: str
    face: voc.Box


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = cli.make_parser(
        "tools/treated_faces.py", "Count what the detector says to faces on which mask-detector masks drew.", EXAMPLES
    )
    add_flags(parser, "--images", action="store", required=True, help="that mask-detector masks has written")
    add_flags(parser, "--report", required=True, help="its JSON report")
    add_engine_flags(parser)
    return cli.run_command(parser, _command, argv)


def _read_report(path: Path) -> list[_Treated]:
    """The treated faces of a report.

    Raises:
        SourceError: it cannot be read, or ``mask-detector masks`` has not written it.
    """
    try:
        return [_treated(line) for line in json.loads(path.read_text(encoding="utf-8"))["treated"]]
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}): name what masks --report wrote") from error
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(f"{path}: is no report of mask-detector masks: name what its --report wrote") from error


def _verdicts(engine: Engine, folder: Path, faces: Iterable[_Treated]) -> Counter[tuple[str, str, str]]:
    """How many faces of each (kind, what) got each of :data:`VERDICTS`.

    A face's verdict is the class of the detection on it, as :func:`detector.scoring.match` finds it.
    """
    counts: Counter[tuple[str, str, str]] = Counter()
    by_image = groupby(sorted(faces, key=lambda each: each.image), key=lambda each: each.image)
    for name, group in cli.progress_bar([(name, list(group)) for name, group in by_image], "looking"):
        truth = Detections(
            np.array([each.face.xyxy for each in group], np.float32),
            np.ones(len(group), np.float32),
            np.array([CLASSES.index(each.face.name) for each in group]),
        )
        matches = match([Example(truth, engine(images.read(folder / name)))], min_side=0)
        for each, found, confidence in zip(group, matches.found, matches.confidence, strict=True):
            counts[each.kind, each.what, VERDICTS[-1] if confidence < 0 else CLASSES[found]] += 1
    return counts


def table(counts: Counter[tuple[str, str, str]]) -> str:
    """One line for each thing that was drawn, and one for each kind."""
    rows = [["drawn", "", "faces", *VERDICTS, "share with_mask"]]
    for kind in sorted({kind for kind, _, _ in counts}):
        things = sorted({what for own, what, _ in counts if own == kind})
        for name, members in [*((what, (what,)) for what in things), ("all", tuple(things))]:
            row = [sum(counts[kind, what, verdict] for what in members) for verdict in VERDICTS]
            rows.append([kind, name, str(sum(row)), *map(str, row), f"{row[0] / sum(row):.1%}"])
    return aligned(rows, words=2)


def _treated(line: dict[str, Any]) -> _Treated:
    name, *corners = str(line["after"]).split()
    if name not in CLASSES:
        raise ValueError(name)
    xmin, ymin, xmax, ymax = map(float, corners)
    return _Treated(line["image"], line["kind"], line["what"], voc.Box(name, xmin, ymin, xmax, ymax))


def _command(args: argparse.Namespace) -> int:
    faces = _read_report(args.report)
    if not faces:
        print(f"{args.report}: no face was treated", file=sys.stderr)
        return cli.EXIT_OK
    with engine_from(args) as engine:
        print(table(_verdicts(engine, args.images, faces)))
    return cli.EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
