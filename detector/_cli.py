"""What all commands share: flags with one name everywhere, logging set-up, errors to exit codes."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import cv2

import detector
from detector.errors import DetectorError

if TYPE_CHECKING:
    from detector.engines import Engine

EXIT_OK, EXIT_PARTIAL, EXIT_USER_ERROR, EXIT_INTERRUPTED = 0, 1, 2, 130

log = logging.getLogger("detector")

T = TypeVar("T")


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Keeps the examples as they are written, and shows each default that says something."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default is None or action.default is False or action.default == []:
            return action.help
        return super()._get_help_string(action)


def make_parser(command: str, description: str, examples: str = "") -> argparse.ArgumentParser:
    """A parser for ``python -m detector.<command>`` (or ``python tools/x.py``) with ``--version`` and ``--verbose``."""
    parser = argparse.ArgumentParser(
        prog=f"python {command}" if command.endswith(".py") else f"python -m detector.{command}",
        description=description,
        epilog=f"examples:\n{examples}" if examples else None,
        formatter_class=_HelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"mask-detector {detector.__version__}")
    parser.add_argument("-v", "--verbose", action="store_true", help="say more about what happens")
    return parser


def add_engine_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of every command that runs a network; :func:`engine_from` loads what they name."""
    from detector.engines import ENGINES  # here: it loads onnxruntime, which the converters do without

    group = parser.add_argument_group("network")
    group.add_argument(
        "--engine", choices=ENGINES, default=ENGINES[0], help="one network, or a finder and a classifier"
    )
    group.add_argument(
        "--weights", type=Path, metavar="FILE",
        help="ONNX file (default: weights/mask_detector.onnx; two-step: the classifier, weights/mask_classifier.onnx)",
    )  # fmt: skip
    group.add_argument(
        "--faces", default="ssd", metavar="FINDER",
        help="what finds faces in two-step: ssd, ssd=FILE, res10=FILE (OpenCV's, .onnx or .caffemodel) or haar",
    )  # fmt: skip
    add_conf_flag(group)
    group.add_argument(
        "--iou", type=fraction,
        help="two boxes that overlap more than this are one face (default: 0.6; two-step: 0.45)",
    )  # fmt: skip
    group.add_argument("--imgsz", type=positive, help="longest side in the network, px (default: as trained)")
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, directml, coreml or openvino")
    group.add_argument("--threads", type=positive, help="CPU threads (default: the free cores)")


def add_conf_flag(group: argparse._ArgumentGroup) -> None:
    """``--conf``, which is None where nobody gave it: the engine knows what its network's file names."""
    from detector.engines import DEFAULT_CONF

    group.add_argument(
        "--conf", type=fraction,
        help=f"show faces that are at least this sure, 0 to 1 (default: what the weights name, or {DEFAULT_CONF})",
    )  # fmt: skip


def engine_from(args: argparse.Namespace) -> Engine:
    """The engine that the flags of :func:`add_engine_flags` name.

    Raises:
        ModelError: a network is missing or of another kind.
        ProviderError: the device cannot be had.
    """
    from detector.engines import load_engine

    return load_engine(
        args.engine, weights=args.weights, faces=args.faces, conf=args.conf, iou=args.iou, imgsz=args.imgsz,
        device=args.device, threads=args.threads,
    )  # fmt: skip


def add_trust_flag(parser: argparse.ArgumentParser) -> None:
    """The flag of the commands that load checkpoints."""
    parser.add_argument(
        "--trust", action="store_true", help="let a checkpoint (.pt) run the code in it: only of makers you trust"
    )


def fraction(text: str) -> float:
    """A flag's value from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def positive(text: str) -> int:
    """A flag's value from 1 up."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


def whole(text: str) -> int:
    """A flag's value from 0 up."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is less than 0")
    return value


def name_and_class(text: str) -> tuple[str, str]:
    """A flag's value of the form NAME=CLASS."""
    name, separator, target = text.rpartition("=")
    if not (name and separator and target):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=CLASS")
    return name, target


def progress_bar(items: Sequence[T], title: str) -> Iterable[T]:
    """A progress bar on a terminal, nothing elsewhere: what commands give to functions that take a ``Progress``."""
    from tqdm import tqdm

    return tqdm(items, desc=title, disable=None, leave=False)


def set_up_logging(*, verbose: bool) -> None:
    """Log lines go to stderr, so that stdout stays free for results."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    # OpenCV prints what is wrong with a damaged file by itself; we say it in our own line.
    if hasattr(cv2.utils, "logging"):
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    else:  # OpenCV 4.10 to 4.12
        vars(cv2)["setLogLevel"](0)
    log.setLevel(logging.DEBUG if verbose else logging.INFO)


def run_command(
    parser: argparse.ArgumentParser, command: Callable[[argparse.Namespace], int], argv: Sequence[str] | None
) -> int:
    """Parse ``argv``, set logging up, run ``command`` and turn what a user can cause into an exit code.

    Returns:
        The command's own code, 2 after one line on stderr for a :class:`DetectorError`, 130 after Ctrl-C or
        another signal that asks for the end.
    """
    args = parser.parse_args(argv)
    set_up_logging(verbose=args.verbose)
    try:
        with _stopped_by_signals():
            return command(args)
    except DetectorError as error:
        print(f"error: {error}", file=sys.stderr)
        log.debug("where it came from:", exc_info=True)
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of our stdout went away (| head): not an error, and nothing is left to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """A service manager's stop, or a terminal that is closed, ends a command as Ctrl-C does: every file is finished.

    A signal that is ignored (``nohup``) stays so; and only the first one counts, so that the end is not cut off.
    """
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        numbers = []  # Python forbids it there: whoever started the thread decides
    mine = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]

    def stop(*_: object) -> None:
        for number in mine:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in mine:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in mine:
            signal.signal(number, signal.SIG_DFL)
