"""Single-stage against two-step on the same images: ``mask-detector compare``."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from detector import cli
from detector.cli.flags import add_flags, positive
from detector.cli.image_flags import add_image_flags, load_scored_images
from detector.cli.label_flags import say_what_is_missing
from detector.data.progress import Progress, silent
from detector.data.sample import Sample
from detector.engines import load_engine
from detector.errors import ModelError, require_extra
from detector.evaluation import text
from detector.evaluation.charts import LINES
from detector.evaluation.comparison import Comparison, most_different, table
from detector.evaluation.comparison_page import write_comparison
from detector.evaluation.contenders import Contender, find, open_contender
from detector.evaluation.figures import measure
from detector.evaluation.timing import COUNTS, ROUNDS, cut_faces, machine, time_engines
from detector.files import refuse_existing, write_late
from detector.scoring import MIN_SIDE

__all__ = ["build_parser", "compare", "main", "run"]

log = logging.getLogger(__name__)

EXAMPLES = """\
  mask-detector compare                                                  on the sample in data/
  mask-detector compare --annotations my/xml --images my/photos --out report.html --markdown table.md
  mask-detector compare --data my_yolo_folder/data.yaml --faces ssd --faces res10=res10_300x300_ssd.onnx

The single-stage engine stands beside a two-step engine for each --faces. The report holds copies of the images on which
they differ most: mind whose faces you send around."""

Opener = Callable[[ExitStack], list[Contender]]
"""Loads further engines to compare with; the stack closes them."""


def compare(
    contenders: Sequence[Contender],
    labelled: Sequence[Sample],
    *,
    min_side: float = MIN_SIDE,
    counts: Sequence[int] = COUNTS,
    rounds: int = ROUNDS,
    progress: Progress = silent,
) -> Comparison:
    """Score and time engines on the same images, in one run.

    Args:
        contenders: the engines, at most five; any callables can be made into one.
        labelled: the images.
        min_side: faces whose shorter side is under this many px neither help nor hurt.
        counts: numbers of faces to time with.
        rounds: calls of each engine for each of them.
        progress: wraps the loops.

    Raises:
        AnnotationError: no image can be read.
        MissingExtraError: faster-coco-eval is not installed.
    """
    findings = find(contenders, labelled, progress, min_side=min_side)
    figures = [
        measure(contender.name, examples, conf=contender.conf, min_side=min_side)
        for contender, examples in zip(contenders, findings.examples, strict=True)
    ]
    cells = cut_faces(findings.labelled)
    timings = time_engines(contenders, cells, counts=counts, rounds=rounds, progress=progress) if cells else []
    differences = most_different(findings, [contender.conf for contender in contenders], min_side=min_side)
    return Comparison(figures, timings, differences, findings.labelled, findings.unreadable, min_side)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code, 1 where some images could not be read."""
    return cli.run_command(build_parser(), run, argv)


def build_parser(command: str = "compare", examples: str = EXAMPLES) -> argparse.ArgumentParser:
    """The flags of ``mask-detector compare``, for it and for scripts that compare with other engines too."""
    parser = cli.make_parser(command, "Compare the engines on the same labelled images.", examples)
    add_image_flags(parser)
    network = parser.add_argument_group("networks")
    add_flags(network, "--weights", help="of the single-stage engine: ONNX file, nano or pico (default: nano)")
    network.add_argument(
        "--classifier", type=Path, metavar="FILE", help="of the two-step engine (default: the shipped)"
    )
    add_flags(
        network,
        "--faces",
        action="append",
        default=None,
        help="what finds faces in a two-step engine: ssd, ssd=FILE, res10=FILE or haar; repeatable (default: ssd)",
    )
    add_flags(network, "--conf", "--iou", "--imgsz", "--device", "--threads")
    output = parser.add_argument_group("results")
    add_flags(output, "--out", metavar="FILE.html", help="write the report, one file that needs no other")
    output.add_argument("--markdown", type=Path, metavar="FILE.md", help="write the table to a file, not to stdout")
    add_flags(output, "--overwrite")
    output.add_argument("--rounds", type=positive, default=ROUNDS, help="calls of each engine for each time")
    return parser


def run(args: argparse.Namespace, others: Opener = lambda _: []) -> int:
    """What the command does with its flags.

    Args:
        args: from :func:`build_parser`.
        others: loads engines that are compared as well.

    Returns:
        The exit code.

    Raises:
        DetectorError: whatever the user can mend.
    """
    for path in (args.out, args.markdown) if not args.overwrite else ():
        if path:
            refuse_existing(path)
    if args.out:
        require_extra("score", "matplotlib", "jinja2")
    with ExitStack() as stack:
        contenders = [*_ours(args, stack), *others(stack)]
        if len(contenders) > LINES:
            raise ModelError(f"--faces: {len(contenders)} engines in one comparison: a chart can show {LINES} at most")
        samples = load_scored_images(args)
        compared = compare(contenders, samples, min_side=args.min_side, rounds=args.rounds, progress=cli.progress_bar)
    if args.markdown:
        write_late(args.markdown, f"{table(compared)}\n".encode(), replace=args.overwrite)
    else:
        print(table(compared))
    if caveat := text.caveat(compared.labelled):
        log.warning("note: %s", caveat)
    if args.out:
        report = write_comparison(compared, machine(args.threads), cli.progress_bar)
        write_late(args.out, report.encode(), replace=args.overwrite)
    return max(int(args.unreadable), say_what_is_missing(compared.unreadable))


def _ours(args: argparse.Namespace, stack: ExitStack) -> list[Contender]:
    load = partial(load_engine, iou=args.iou, device=args.device, threads=args.threads)
    single = partial(load, "single-stage", weights=args.weights, imgsz=args.imgsz)
    contenders = [open_contender(stack, "single-stage", single, conf=args.conf)]
    finders = [faces.partition("=") for faces in args.faces or ["ssd"]]
    kinds = [kind for kind, _, _ in finders]
    for kind, separator, file in finders:
        imgsz = None if kind in {"res10", "haar"} else args.imgsz
        two_step = partial(load, "two-step", weights=args.classifier, faces=f"{kind}{separator}{file}", imgsz=imgsz)
        name = f"two-step ({kind}{f': {Path(file).stem}' if kinds.count(kind) > 1 else ''})"
        contenders.append(open_contender(stack, name, two_step, conf=args.conf))
    return contenders


if __name__ == "__main__":
    sys.exit(main())
