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

from detector import _cli
from detector.data.loading import load_voc
from detector.data.regions import Regions
from detector.data.sample import Sample
from detector.engines import load_engine
from detector.evaluation.contenders import Contender, find, open_contender
from detector.evaluation.figures import Figures, by_set, measure
from detector.evaluation.text import WORDS, describe, markdown, number, word_cells
from detector.scoring import FACE_SIZES
from peers import peer, peer_contender

EXAMPLES = """\
  python tools/val_figures.py --data ../shared/data
  python tools/val_figures.py --data ../shared/data --imgsz 512 --weights runs/mine/mask_detector.onnx
  python tools/val_figures.py --data ../shared/data --engine two-step
  python tools/val_figures.py --data ../shared/data --peer rfb=../shared/peers/rfb_ssd_640.onnx

--data holds one folder per set, each with images/ and annotations/, beside split.csv (set, image, group, split) and,
optionally, unlabelled.csv (set, image, xmin, ymin, xmax, ymax): faces that the annotators left out, ignored here.
For everything else about one engine: python -m detector.evaluate.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = _cli.make_parser("tools/val_figures.py", "One word per face on the validation split.", EXAMPLES)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="the sets and their split.csv")
    parser.add_argument("--part", default="val", help="the part of the split to score")
    parser.add_argument("--sets", nargs="+", metavar="SET", help="sets to score (default: all)")
    parser.add_argument("--headline", nargs="+", default=["kaggle", "ilc"], metavar="SET", help="sets of the mean")
    parser.add_argument("--peer", type=peer, metavar="KIND=FILE", help="another's network instead of ours")
    _cli.add_engine_flags(parser)
    return _cli.run_command(parser, _command, argv)


def table(sets: Sequence[Figures]) -> str:
    """A Markdown table, one row per set and class."""
    rows = [["set", "class", "faces", "AP50", "AP50-95", *(f"AP50 of {size} px" for size in FACE_SIZES), *WORDS]]
    for one in sets:
        for c in one.scores:
            by_size = [f"{number(c.ap50_by_size[size])} ({c.support_by_size[size]})" for size in FACE_SIZES]
            words = word_cells(one.chosen, one.chosen.overall, c.name)
            rows.append([one.name, c.name, str(c.support), number(c.ap50), number(c.ap50_95), *by_size, *words])
    return markdown(rows)


def mean(sets: Sequence[Figures], names: Sequence[str]) -> float:
    """The mean AP50 over the given sets and the classes that they have."""
    return float(np.nanmean([c.ap50 for one in sets if one.name in names for c in one.scores] or [np.nan]))


def _command(args: argparse.Namespace) -> int:
    logging.getLogger("detector").setLevel(logging.WARNING)
    labelled = _load(args)
    with contextlib.ExitStack() as stack:
        contender = _contender(args, stack)
        findings = find([contender], labelled, _cli.progress_bar)
    (examples,) = findings.examples
    measured = partial(measure, conf=contender.conf)
    sets = by_set(measured, findings.labelled, examples)
    together = describe(measured("all sets", examples), sets)
    headline = f"mean AP50 of {', '.join(args.headline)}: {mean(sets, args.headline):.4f}"
    print(f"{table(sets)}\n\n{together}\n\n{headline}")
    return _cli.EXIT_OK


def _load(args: argparse.Namespace) -> list[Sample]:
    folders = sorted(p for p in args.data.iterdir() if (p / "images").is_dir() and p.name in (args.sets or [p.name]))
    unlabelled = args.data / "unlabelled.csv"
    return load_voc(
        [folder / "annotations" for folder in folders],
        [folder / "images" for folder in folders],
        split=args.data / "split.csv",
        part=args.part,
        regions=Regions(unlabelled if unlabelled.is_file() else None),
    )


def _contender(args: argparse.Namespace, stack: contextlib.ExitStack) -> Contender:
    if args.peer:
        return peer_contender(args.peer, args)
    load = partial(
        load_engine, args.engine, weights=args.weights, faces=args.faces, iou=args.iou, imgsz=args.imgsz,
        device=args.device, threads=args.threads,
    )  # fmt: skip
    return open_contender(stack, args.engine, load, conf=args.conf)


if __name__ == "__main__":
    sys.exit(main())
