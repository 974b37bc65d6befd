"""Speed and sameness, side by side with what people use now, in one run. See --help."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from _benchmark.timing import Ratio, machine
from detector import _cli
from detector.engines import default_weights
from detector.engines.session import available_threads

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("frame", "overhead", "process", "parity", "labels", "train", "stream", "page")
NEED_DATA = ("parity", "labels", "train")

EXAMPLES = """\
  python tools/benchmark.py                              all that needs no data beyond the clone
  python tools/benchmark.py --data ../shared/data        all of it (about 20 minutes)
  python tools/benchmark.py frame overhead --rounds 200

parts: frame     time per 1280x720 frame against ultralytics predict, square and dynamic ONNX
       overhead  time around session.run
       process   start to end on one image against yolo predict, time and memory
       parity    the same boxes as ultralytics predict (--data)
       labels    conversion against supervision (--data)
       train     an epoch on the CPU against yolo train, and the accuracy (--data)
       stream    delay of a local live stream
       page      the web demo before a crowd of programs, and its live view in a browser

The two sides take turns in one run, so compare within a table, not between machines. Other programs that use the
processor blur it.
"""


def measure(part: str, args: argparse.Namespace) -> Iterator[Ratio]:
    """The lines of one part."""
    # Imported here: ultralytics and torch take seconds, and the process part must not have them in memory.
    threads = args.threads or available_threads()
    if part == "frame":
        from _benchmark.engine import speed

        yield from speed(args.weights, args.checkpoint, args.picture, args.rounds, threads)
    elif part == "overhead":
        from _benchmark.engine import overhead

        yield overhead(args.weights, args.picture, args.rounds, threads)
    elif part == "process":
        from _benchmark.process import whole_process

        yield from whole_process(args.weights, args.picture, max(args.rounds // 15, 3))
    elif part == "parity":
        from _benchmark.engine import parity

        yield parity(args.weights, args.data)
    elif part == "labels":
        from _benchmark.labels import convert

        yield convert(args.data)
    elif part == "train":
        from _benchmark.training import epochs

        yield from epochs(args.checkpoint, args.data, args.train_images, args.train_epochs, 416)
    elif part == "page":
        from _benchmark.page import crowd, webcam

        yield from crowd(args.picture)
        yield from webcam(args.picture)
    else:
        from _benchmark.live import stream_delay

        yield from stream_delay(args.weights, args.picture, args.seconds, threads)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code, 1 where a promise is not kept."""
    parser = _cli.make_parser("tools/benchmark.py", "Measure ratios side by side.", EXAMPLES)
    parser.add_argument("parts", nargs="*", metavar="PART", help="what to measure (default: all)")
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER", help="real photographs, as tools/val_figures.py reads them"
    )
    parser.add_argument("--weights", type=Path, default=default_weights(), metavar="FILE", help="our ONNX file")
    parser.add_argument("--checkpoint", type=Path, default=ROOT / "weights" / "mask_detector.pt", metavar="FILE")
    parser.add_argument(
        "--picture", type=Path, default=ROOT / "data" / "images" / "video_call_four.jpg", metavar="FILE"
    )
    parser.add_argument("--rounds", type=_cli.positive, default=60, help="calls of each side")
    parser.add_argument("--threads", type=_cli.positive, help="CPU threads of our side (default: the free cores)")
    parser.add_argument("--seconds", type=float, default=300, help="length of the stream")
    parser.add_argument("--train-images", type=_cli.positive, default=320, help="images of the training part")
    parser.add_argument("--train-epochs", type=_cli.positive, default=3, help="epochs of the training part")
    return _cli.run_command(parser, _command, argv)


def _command(args: argparse.Namespace) -> int:
    unknown = set(args.parts) - set(PARTS)
    if unknown:
        raise SystemExit(f"no such part: {', '.join(sorted(unknown))}: use {', '.join(PARTS)}")
    parts = args.parts or PARTS
    missing = [part for part in parts if part in NEED_DATA and not args.data]
    if args.parts and missing:
        raise SystemExit(f"{', '.join(missing)}: needs --data")
    os.environ.setdefault("YOLO_OFFLINE", "true")
    print(f"{machine()}\n\n| what | ours | theirs | ratio | wanted | met |\n|---|---|---|---|---|---|", flush=True)
    kept = True
    for part in parts:
        if part in missing:
            print(f"| {part} | not measured: no --data | | | | |")
            continue
        for line in measure(part, args):
            kept &= line.met
            cells = (line.what, line.ours, line.theirs, line.ratio, line.wanted, "yes" if line.met else "NO")
            print(f"| {' | '.join(cells)} |", flush=True)
    return _cli.EXIT_OK if kept else _cli.EXIT_PARTIAL


if __name__ == "__main__":
    sys.exit(main())
