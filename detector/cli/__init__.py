"""What all commands share: a parser, logging, a progress bar, and errors that become exit codes."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import detector
from detector.errors import DetectorError

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
    """A parser for ``mask-detector <command>`` (or ``python tools/x.py``) with ``--version`` and ``--verbose``."""
    parser = argparse.ArgumentParser(
        prog=f"python {command}" if command.endswith(".py") else f"mask-detector {command}",
        description=description,
        epilog=f"examples:\n{examples}" if examples else None,
        formatter_class=_HelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"mask-detector {detector.__version__}")
    parser.add_argument("-v", "--verbose", action="store_true", help="say more about what happens")
    return parser


def progress_bar(items: Sequence[T], title: str) -> Iterable[T]:
    """A progress bar on a terminal, nothing elsewhere: what commands give to functions that take a ``Progress``."""
    from tqdm import tqdm

    return tqdm(items, desc=title, disable=None, leave=False)


def some(count: int, thing: str) -> str:
    """``1 image``, ``2 images``, ``2 boxes``."""
    return f"{count} {thing}{'' if count == 1 else 'es' if thing.endswith('x') else 's'}"


def run_command(
    parser: argparse.ArgumentParser, command: Callable[[argparse.Namespace], int], argv: Sequence[str] | None
) -> int:
    """Parse ``argv``, set logging up, run ``command`` and turn what a user can cause into an exit code.

    Returns:
        The command's own code; 2 after one line on stderr for a :class:`DetectorError`; 130 after Ctrl-C or another
        signal that asks for the end, with the words that the ``KeyboardInterrupt`` holds, if any.
    """
    args = parser.parse_args(argv)
    _set_up_logging(verbose=args.verbose)
    try:
        with _stopped_by_signals():
            return command(args)
    except DetectorError as error:
        print(f"error: {error}", file=sys.stderr)
        log.debug("where it came from:", exc_info=True)
        return EXIT_USER_ERROR
    except KeyboardInterrupt as stop:
        print(str(stop) or "stopped", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of our stdout went away (| head): not an error, and nothing is left to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK


def _set_up_logging(*, verbose: bool) -> None:
    """Log lines go to stderr, so that stdout stays free for results."""
    import cv2  # here: --help does without it

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    # OpenCV prints what is wrong with a damaged file by itself; we say it in our own line.
    if hasattr(cv2.utils, "logging"):
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    else:  # OpenCV 4.10 to 4.12
        vars(cv2)["setLogLevel"](0)
    log.setLevel(logging.DEBUG if verbose else logging.INFO)


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
