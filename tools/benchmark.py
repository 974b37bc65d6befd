"""Speed and sameness, side by side with what people use now, in one run. See --help."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from _benchmark.ratios import ROOT, Settings
from compare_peers import add_peer_flag
from detector import cli
from detector.cli.flags import add_flags, positive
from detector.cores import available_cores
from detector.engines import default_weights
from detector.errors import require_extra
from detector.evaluation.timing import machine

PARTS = {
    "frame": "engine_speed.speed",
    "overhead": "engine_speed.overhead",
    "process": "engine_speed.whole_process",
    "video": "throughput.video",
    "folder": "throughput.folder",
    "parity": "engine_speed.parity",
    "curve": "curve.curve",
    "labels": "conversion_speed.convert",
    "track": "steady_verdicts.steady_verdicts",
    "blur": "hidden_faces.hidden_faces",
    "arrivals": "quiet_room.arrivals",
    "rest": "quiet_room.empty_room",
    "train": "training_speed.epochs",
    "stream": "stream_delay.stream_delay",
    "soak": "stream_soak.stream_soak",
    "cameras": "stream_soak.several",
    "archive": "archive_speed.archive",
    "page": "demo_load.page",
}
PACKAGES = ("numpy", "opencv-python", "onnxruntime", "ultralytics", "torch", "supervision")
NEED_DATA = ("parity", "curve", "labels", "track", "blur", "arrivals", "rest", "train")

EXAMPLES = """\
  python tools/benchmark.py                              all that needs no data beyond the clone
  python tools/benchmark.py --data ../shared/data        all of it
  python tools/benchmark.py frame overhead --rounds 200

parts: frame     time per 1280x720 frame against ultralytics predict, square and dynamic ONNX
       overhead  time around session.run
       process   start to end on one image against yolo predict, time and memory
       video     a video from end to end against the network alone
       folder    a folder of images against a loop of ultralytics predict
       parity    the same boxes as ultralytics predict (--data)
       curve     accuracy against time of nano, pico and others (--data, --peer, --plots)
       labels    conversion against supervision (--data)
       track     changes of verdict, people counted and cost of --track on filmed photographs (--data)
       blur      faces found again in videos saved with --blur, by our network and by --peer (--data)
       arrivals  people who enter an empty room and are missed by --rest (--data)
       rest      processor time of an empty room (--data)
       train     an epoch on the CPU against yolo train, and the accuracy (--data)
       stream    delay of a local live stream
       soak      streams whose servers are killed every 20 s (--seconds 1800)
       cameras   four live streams at once
       archive   an archive by Ray against a plain loop (--seconds 2000 for 20,000 images)
       page      the web demo before a crowd of programs, and its live view in a browser

The two sides take turns in one run, so compare within a table, not between machines. Other programs that use the
processor blur it.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code, 1 where a promise is not kept."""
    parser = cli.make_parser("tools/benchmark.py", "Measure ratios side by side.", EXAMPLES)
    parser.add_argument("parts", nargs="*", type=_part, metavar="PART", help="what to measure (default: all)")
    add_flags(parser, "--data", metavar="FOLDER", help="real photographs, as tools/val_figures.py reads them")
    add_flags(parser, "--weights", default=default_weights(), help="our ONNX file")
    add_flags(parser, "--threads")
    pictures = {"checkpoint": ROOT / "weights/mask_detector.pt", "picture": ROOT / "data/images/video_call_four.jpg"}
    for name, path in pictures.items():
        parser.add_argument(f"--{name}", type=Path, default=path, metavar="FILE")
    parser.add_argument("--rounds", type=positive, default=60, help="calls of each side")
    parser.add_argument("--seconds", type=float, default=300, help="length of the stream")
    parser.add_argument("--folder-images", type=positive, default=3000, help="images of the folder")
    parser.add_argument("--train-images", type=positive, default=320, help="images of the training part")
    parser.add_argument("--train-epochs", type=positive, default=3, help="epochs of the training part")
    add_peer_flag(parser, action="append", default=[])
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="write curve.svg and curve.json here")
    return cli.run_command(parser, _command, argv)


def _part(name: str) -> str:
    if name not in PARTS:
        raise argparse.ArgumentTypeError(f"{name}: no such part: use {', '.join(PARTS)}")
    return name


def _command(args: argparse.Namespace) -> int:
    require_extra("test", "psutil")
    import psutil  # here: --help does without it

    values = {name: getattr(args, name) for name in Settings.__dataclass_fields__}
    settings = Settings(**{**values, "threads": args.threads or available_cores()})
    os.environ.setdefault("YOLO_OFFLINE", "true")
    print(f"{machine(settings.threads, PACKAGES)}, load {psutil.getloadavg()[0]:.1f} at the start")
    print("\n| what | ours | theirs | ratio | wanted | met |\n|---|---|---|---|---|---|", flush=True)
    kept = True
    for part in args.parts or PARTS:
        if part in NEED_DATA and not args.data:
            print(f"| {part} | not measured: no --data | | | | |")
            kept &= part not in args.parts
            continue
        # Imported here: ultralytics and torch take seconds, and only some parts need them.
        module, _, function = PARTS[part].partition(".")
        for line in getattr(import_module(f"_benchmark.{module}"), function)(settings):
            kept &= line.met
            cells = (line.what, line.ours, line.theirs, line.ratio, line.wanted, "yes" if line.met else "NO")
            print(f"| {' | '.join(cells)} |", flush=True)
    return cli.EXIT_OK if kept else cli.EXIT_PARTIAL


if __name__ == "__main__":
    sys.exit(main())
