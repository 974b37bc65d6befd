"""Convert LabelImg annotations to a YOLO folder that ultralytics trains on: ``mask-detector convert``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from detector import cli
from detector.cli.flags import add_flags
from detector.cli.label_flags import add_label_flags, build_dataset, say_what_is_missing
from detector.data.report import Report
from detector.detections import CLASSES
from detector.files import shell_line

EXAMPLES = """\
  mask-detector convert
      data/annotations + data/images -> runs/dataset, with what data/split.csv says for validation
  mask-detector convert --annotations a/xml --images a/jpg --annotations b/xml --images b/jpg --out runs/both
      two sets: the first --annotations belong to the first --images, and so on
  mask-detector convert --map scarf=without_mask --map helmet=background --map blurred=ignore
      class names that are not known by default; an image with a box that is ignored is left out, because what may be
      a face must not be learnt as background
  mask-detector convert --split split.csv --corrections fixes.csv
      your own split (columns: image, split, and optionally set, group) and corrections
      (columns: image, action, xmin, ymin, xmax, ymax, name, and optionally set, reason;
      actions: add, remove, class, drop)

Without --split and --val a file split.csv beside the folder of annotations decides; where there is none, every tenth
image validates, chosen at random with near-duplicates on one side. Your files are never modified. What is left out or
mended is in OUT/report.txt, with file and reason.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code, 1 where images cannot be read. Nothing is written unless all of it is."""
    return cli.run_command(build_parser(), _command, argv)


def build_parser() -> argparse.ArgumentParser:
    """The flags of ``mask-detector convert``."""
    purpose = "Convert LabelImg annotations (Pascal VOC XML) to a YOLO folder that ultralytics trains on."
    parser = cli.make_parser("convert", purpose, EXAMPLES)
    add_label_flags(parser, data=False)
    overwrites = "where to write; replaced only if this command made it and nobody changed it"
    add_flags(parser, "--out", default=Path("runs/dataset"), help=overwrites)
    return parser


def _command(args: argparse.Namespace) -> int:
    report = build_dataset(args, args.out, cli.progress_bar)
    if not args.split:
        print(report.split)
    print(_summary(report, args.out))
    return say_what_is_missing(report.unreadable)


def _summary(report: Report, out: Path) -> str:
    lines = []
    for split in ("train", "val"):
        counts = report.total(split)
        lines.append(f"{split}: {', '.join(f'{counts[name]} {name}' for name in ('images', *CLASSES))}")
    lines += [f"warning: {warning}" for warning in report.warnings]
    notes = f"{len(report.dropped)} dropped, {len(report.mended)} mended, {len(report.suspicious)} to look at"
    train = shell_line("mask-detector", "train", "--data", out / "data.yaml")
    return "\n".join([*lines, f"{notes}: see {out / 'report.txt'}", f"next: {train}"])


if __name__ == "__main__":
    sys.exit(main())
