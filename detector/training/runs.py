"""The folder of a run: made, kept from others, and what can go wrong while it is trained in."""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from detector.errors import TrainingError
from detector.files import alone, shell_line
from detector.staging import numbered, sweep, was_abandoned

__all__ = ["batch_size", "last_checkpoint", "new_run", "one_line_errors", "run_folder"]

OWN_NAMES = {"dataset", "crops", "weights", "args.yaml", "results.csv"}
"""In a run's folder before its first checkpoint."""


def new_run(runs: Path, name: str = "train") -> Path:
    """Make the folder of a new run: ``name``, or ``name-2``, ``name-3`` ... An old run is never touched.

    Raises:
        TrainingError: the name is no plain folder name, or the folder cannot be made.
    """
    if not re.fullmatch(r"[^\W_][\w.-]*", name):
        raise TrainingError(f"--name {name}: use letters, digits, dots and dashes only")
    _sweep_runs(runs)
    try:
        runs.mkdir(parents=True, exist_ok=True)
        for run in numbered(runs / name):
            with suppress(FileExistsError):
                run.mkdir()
                return run
    except OSError as error:
        raise TrainingError(f"{runs}: no run can be made there ({error.strerror}): choose another --runs") from error
    raise AssertionError("numbers never end")


@contextmanager
def run_folder(resumed: Path | None, runs: Path, name: str) -> Iterator[Path]:
    """The folder of a run that goes on, or of a new one, which goes at the end if no epoch was completed in it.

    Raises:
        TrainingError: see :func:`new_run`.
        OutputError: another process is at work in it.
        KeyboardInterrupt: after Ctrl-C, with the words for the user: what is kept, and the command that goes on.
    """
    run = resumed or new_run(runs, name)
    try:
        with alone(run) if run.is_dir() else nullcontext():
            yield run
    except KeyboardInterrupt:
        again = shell_line("mask-detector", "train", "--resume", run)
        words = "stopped before the first epoch was complete: there is nothing to go on from"
        if last_checkpoint(run):
            words = f"stopped; the last whole epoch is kept. Go on with: {again}"
        raise KeyboardInterrupt(words) from None
    finally:
        if not resumed and not last_checkpoint(run):  # nothing but copied data: made here, and of no more use
            shutil.rmtree(run, ignore_errors=True)


def last_checkpoint(run: Path) -> Path | None:
    """The checkpoint of the run's last whole epoch, if there is one."""
    last = run / "weights" / "last.pt"
    return last if last.is_file() else None


def batch_size(wanted: int | None, usual: int, available: int, what: str) -> int:
    """Images per step: as many as wanted, or the usual number, or all if they are fewer.

    Raises:
        TrainingError: more are wanted than there are.
    """
    if wanted and wanted > available:
        raise TrainingError(f"--batch {wanted}: there are only {available} {what}: use {available} or less")
    return wanted or min(usual, available)


@contextmanager
def one_line_errors(run: Path, size_flag: str = "--imgsz") -> Iterator[None]:
    """What can go wrong while training and is no bug becomes a TrainingError.

    Args:
        run: the folder that is written to.
        size_flag: the flag that says how large the images are in the network.
    """
    try:
        yield
    except (RuntimeError, MemoryError, OSError) as error:
        text = str(error).lower()
        if isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text:
            remedy = f"out of memory: use a smaller --batch or {size_flag}"
        elif isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT}:
            remedy = f"{run}: cannot be written ({error.strerror}): make room or choose another --runs"
        elif "nan" in text and ("loss" in text or "persisted" in text):
            remedy = f"{run}: the loss is not a number any more: check the labels, or another --start"
        elif "no valid images" in text or "no labels found" in text:
            remedy = f"{run / 'dataset'}: no image there that can be trained on: check the data"
        else:
            raise
        raise TrainingError(remedy) from error


def _sweep_runs(runs: Path) -> None:
    """Take away the runs of processes that died before their first checkpoint, if nothing else was put there."""
    for run in runs.iterdir() if runs.is_dir() else ():
        if run.is_dir() and was_abandoned(run):
            sweep(run)
            if not last_checkpoint(run) and {entry.name for entry in run.iterdir()} <= OWN_NAMES:
                shutil.rmtree(run, ignore_errors=True)
