"""Average precision of networks on the validation split of a set of labelled photographs. See --help."""

from __future__ import annotations

import argparse
import csv
import logging
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from detector import _cli
from detector.data import dataset
from detector.data.dataset import Sample
from detector.detections import Detections
from detector.engines import SingleStage, default_weights
from detector.media import images
from detector.scoring import ClassScore, Example, score
from peers import PEERS

EXAMPLES = """\
  python tools/val_figures.py --data ../shared/data
  python tools/val_figures.py --data ../shared/data --imgsz 512 --weights runs/mine/mask_detector.onnx
  python tools/val_figures.py --data ../shared/data --peer rfb=../shared/peers/rfb_ssd_640.onnx

--data holds one folder per set, each with images/ and annotations/, beside split.csv (set, image, group, split) and,
optionally, unlabelled.csv (set, image, xmin, ymin, xmax, ymax): faces that the annotators left out, ignored here.
"""

TAIL = 0.005  # confidence down to which detections are kept: a precision-recall curve needs its tail
Detector = Callable[[npt.NDArray[np.uint8]], Detections]
Scores = dict[str, tuple[ClassScore, ...]]


def evaluate(
    detector: Detector, samples: Iterable[Sample], ignored: dict[tuple[str, str], npt.NDArray[np.float32]]
) -> Scores:
    """Score a detector on samples, for each set by itself."""
    examples: dict[str, list[Example]] = defaultdict(list)
    none = np.zeros((0, 4), np.float32)
    for sample in tqdm(list(samples), "finding faces", disable=None, leave=False):
        found = detector(images.read(sample.image))
        regions = ignored.get((sample.set_name, sample.image.name), none)
        examples[sample.set_name].append(Example(sample.truth, found, regions))
    return {name: score(members) for name, members in examples.items()}


def table(scores: Scores) -> str:
    """A Markdown table, one row per set and class."""
    sizes = list(next(iter(scores.values()))[0].ap50_by_size)
    head = ["set", "class", "faces", "AP50", "AP50-95", *(f"AP50 of {size} px" for size in sizes)]
    rows = [head, ["---"] * len(head)]
    for name, classes in scores.items():
        for c in classes:
            by_size = [f"{_number(c.ap50_by_size[size])} ({c.support_by_size[size]})" for size in sizes]
            rows.append([name, c.name, str(c.support), _number(c.ap50), _number(c.ap50_95), *by_size])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def mean(scores: Scores, sets: Sequence[str]) -> float:
    """The mean AP50 over the given sets and both classes."""
    return float(np.mean([c.ap50 for name in sets if name in scores for c in scores[name]]))


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = _cli.make_parser("tools/val_figures.py", "Average precision on the validation split.", EXAMPLES)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="the sets and their split.csv")
    parser.add_argument("--split", default="val", help="the part to score")
    parser.add_argument("--sets", nargs="+", metavar="SET", help="sets to score (default: all)")
    parser.add_argument("--headline", nargs="+", default=["kaggle", "ilc"], metavar="SET", help="sets of the mean")
    parser.add_argument("--peer", action="append", default=[], metavar="KIND=FILE", help="another's network as well")
    parser.add_argument("--weights", type=Path, action="append", metavar="FILE", help="ONNX file (repeatable)")
    parser.add_argument("--imgsz", type=_cli.positive, action="append", metavar="N", help="size, px (repeatable)")
    parser.add_argument("--iou", type=_cli.fraction, default=0.6, help="two boxes that overlap more are one face")
    parser.add_argument("--threads", type=_cli.positive, help="CPU threads")
    return _cli.run_command(parser, _command, argv)


def _command(args: argparse.Namespace) -> int:
    logging.getLogger("detector").setLevel(logging.WARNING)
    folders = sorted(p for p in args.data.iterdir() if (p / "images").is_dir() and p.name in (args.sets or [p.name]))
    samples = dataset.load(
        [folder / "annotations" for folder in folders],
        [folder / "images" for folder in folders],
        split=args.data / "split.csv",
    )
    samples = [sample for sample in samples if sample.split == args.split]
    ignored = _regions(args.data / "unlabelled.csv")
    for title, detector in _detectors(args):
        scores = evaluate(detector, samples, ignored)
        headline = f"mean AP50 of {', '.join(args.headline)}: {mean(scores, args.headline):.4f}"
        print(f"{title}\n\n{table(scores)}\n\n{headline}\n")
    return _cli.EXIT_OK


def _detectors(args: argparse.Namespace) -> Iterable[tuple[str, Detector]]:
    for weights in args.weights or [default_weights()]:
        for imgsz in args.imgsz or [None]:
            with SingleStage(
                weights, conf=TAIL, iou=args.iou, imgsz=imgsz, threads=args.threads, one_class=False
            ) as engine:
                yield f"{weights.name}{f' at {imgsz} px' if imgsz else ''}", engine
    for peer in args.peer:
        kind, _, path = peer.partition("=")
        if kind not in PEERS:
            raise SystemExit(f"--peer {peer}: the kind must be {' or '.join(PEERS)}, as in rfb=file.onnx")
        yield f"peer {Path(path).name}", PEERS[kind](Path(path), conf=TAIL, threads=args.threads)


def _regions(path: Path) -> dict[tuple[str, str], npt.NDArray[np.float32]]:
    boxes: dict[tuple[str, str], list[list[float]]] = defaultdict(list)
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                box = [float(row[corner]) for corner in ("xmin", "ymin", "xmax", "ymax")]
                boxes[row["set"], row["image"]].append(box)
    return {key: np.array(value, np.float32) for key, value in boxes.items()}


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"


if __name__ == "__main__":
    sys.exit(main())
