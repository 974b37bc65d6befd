"""One word per face on each set of a folder of labelled photographs, as in weights/README.md. See --help."""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from compare_peers import add_peer_flag, peer_contender
from detector import cli
from detector.cli.flags import add_engine_flags, add_flags, engine_from
from detector.data.loading import load_voc
from detector.data.regions import Regions
from detector.data.sample import Sample
from detector.evaluation.contenders import find, open_contender
from detector.evaluation.figures import Figures, by_set, measure
from detector.evaluation.text import WORDS, describe, markdown, number, word_cells
from detector.scoring import FACE_SIZES

EXAMPLES = """\
  python tools/val_figures.py --data ../shared/data
  python tools/val_figures.py --data ../shared/data --imgsz 512 --weights runs/mine/mask_detector.onnx
  python tools/val_figures.py --data ../shared/data --engine two-step
  python tools/val_figures.py --data ../shared/data --peer rfb=../shared/peers/rfb_ssd_640.onnx

--data holds one folder per set, each with images/ and annotations/, beside split.csv (set, image, group, split) and,
optionally, unlabelled.csv (set, image, xmin, ymin, xmax, ymax): faces that the annotators left out, ignored here.
For everything else about one engine: mask-detector evaluate.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = cli.make_parser("tools/val_figures.py", "One word per face on the validation split.", EXAMPLES)
    add_flags(parser, "--data", required=True, metavar="FOLDER", help="the sets and their split.csv")
    add_flags(parser, "--part", help="the part of the split to score")
    parser.add_argument("--sets", nargs="+", metavar="SET", help="sets to score (default: all)")
    parser.add_argument("--headline", nargs="+", default=["kaggle", "ilc"], metavar="SET", help="sets of the mean")
    add_peer_flag(parser)
    add_engine_flags(parser)
    return cli.run_command(parser, _command, argv)


def _table(sets: Sequence[Figures]) -> str:
    """A Markdown _table, one row per set and class."""
    rows = [["set", "class", "faces", "AP50", "AP50-95", *(f"AP50 of {size} px" for size in FACE_SIZES), *WORDS]]
    for one in sets:
        for c in one.scores:
            by_size = [f"{number(c.ap50_by_size[size])} ({c.support_by_size[size]})" for size in FACE_SIZES]
            words = word_cells(one.chosen.overall, c.name)
            rows.append([one.name, c.name, str(c.support), number(c.ap50), number(c.ap50_95), *by_size, *words])
    return markdown(rows)


def _command(args: argparse.Namespace) -> int:
    logging.getLogger("detector").setLevel(logging.WARNING)
    labelled = load_sets(args.data, args.part, args.sets)
    with contextlib.ExitStack() as stack:
        if args.peer:
            kind, path = args.peer
            contender = peer_contender(kind, path, args)
        else:
            contender = open_contender(stack, args.engine, partial(engine_from, args), conf=args.conf)
        findings = find([contender], labelled, cli.progress_bar)
    (examples,) = findings.examples
    measured = partial(measure, conf=contender.conf)
    sets = by_set(measured, findings.labelled, examples)
    mean = mean_precision([one for one in sets if one.name in args.headline])
    print(f"{_table(sets)}\n\n{describe(measured('all sets', examples), sets)}\n")
    print(f"mean AP50 of {', '.join(args.headline)}: {mean:.4f}")
    return cli.EXIT_OK


def mean_precision(sets: Sequence[Figures]) -> float:
    """The mean AP50 over sets and classes; not a number where there is none."""
    return float(np.nanmean([score.ap50 for one in sets for score in one.scores] or [np.nan]))


def load_sets(data: Path, part: str, names: Sequence[str] | None = None) -> list[Sample]:
    """The labelled images of one part of ``split.csv``, of some sets or all; see the examples of this script."""
    folders = sorted(p for p in data.iterdir() if (p / "images").is_dir() and p.name in (names or [p.name]))
    unlabelled = data / "unlabelled.csv"
    return load_voc(
        [folder / "annotations" for folder in folders],
        [folder / "images" for folder in folders],
        split=data / "split.csv",
        part=part,
        regions=Regions(unlabelled if unlabelled.is_file() else None),
    )


if __name__ == "__main__":
    sys.exit(main())
