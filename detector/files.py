"""Files and folders that appear whole or not at all, and names that replace nothing that a user has."""

from __future__ import annotations

import hashlib
import logging
import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from detector.errors import OutputError
from detector.staging import ALONE, NEW, OLD, BusyError, numbered, staging_folder, sweep, uninterrupted

__all__ = [
    "alone",
    "already_there",
    "check_free",
    "make_folder",
    "new_folder",
    "refuse_existing",
    "shell_line",
    "write_file",
    "write_late",
]

log = logging.getLogger(__name__)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, and sweep away what a run that died left there.

    Raises:
        OutputError: a file is in the way, or the place is read-only.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise OutputError(f"{folder}: is a file, not a folder: choose another name") from error
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror}): choose another place") from error
    sweep(folder)


def refuse_existing(path: Path) -> None:
    """Keep a file that is there.

    Raises:
        OutputError: something is at ``path``.
    """
    if os.path.lexists(path):
        raise already_there(path)


def check_free(folder: Path, flag: str = "folder") -> None:
    """Keep what is there.

    Args:
        folder: a place for results.
        flag: what the messages say to choose another of, such as the command-line flag that named it.

    Raises:
        OutputError: something is there.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder}: is there and not empty: remove it or choose another {flag}")


def write_file(path: Path, data: bytes, *, replace: bool = False, free: bool = False) -> Path:
    """Write a file that appears whole or not at all, and is on the disk when this returns.

    Args:
        path: its place.
        data: all of it.
        replace: take the place of a file that is there; otherwise that is an error, whoever made it and when.
        free: take the first name of :func:`numbered` that is free.

    Returns:
        The name that it got.

    Raises:
        OutputError: something is there, or the file cannot be written.
    """
    try:
        with uninterrupted(), _written(path, data) as part:
            if replace:
                return part.replace(path)
            for candidate in numbered(path) if free else (path,):
                with suppress(FileExistsError):
                    _take_name(part, candidate)
                    return candidate
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}): choose another place") from error
    raise already_there(path)


def write_late(path: Path, data: bytes, *, replace: bool = False) -> None:
    """Write the result of long work, whose name was free when the work began; if it no longer is, the next free one.

    Raises:
        OutputError: the file cannot be written.
    """
    make_folder(path.parent)
    if (done := write_file(path, data, replace=replace, free=True)) != path:
        log.warning("%s was made by another run meanwhile: this result is in %s", path, done)
    else:
        log.info("wrote %s", path)


@contextmanager
def new_folder(
    folder: Path, flag: str = "folder", may_replace: Callable[[Path], object] | None = None
) -> Iterator[Path]:
    """Hand out a folder beside ``folder`` that takes its place at the end, or vanishes if the block fails.

    Args:
        folder: one that does not exist yet, or is empty.
        flag: what the messages say to choose another of, such as the command-line flag that named it.
        may_replace: raises if the folder that is there must stay; without it, only an empty one may go.

    Raises:
        OutputError: something is there, another run is writing it, or it cannot be written.
    """
    folder = folder.absolute()  # "." has no name to make another one of
    check = may_replace or (lambda path: check_free(path, flag))
    above = [parent for parent in folder.parents if not parent.exists()]
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        sweep(folder.parent)  # first: it may bring back what a run that died had moved away
        check(folder)
        before = _identity(folder)
        name = hashlib.sha256(folder.name.encode(errors="surrogateescape")).hexdigest()
        with staging_folder(folder.parent, name) as stage:
            new = stage / NEW / folder.name
            new.mkdir(parents=True)
            yield new
            if hasattr(os, "sync"):
                os.sync()  # not only the names: after a power cut the files would be there, and empty
            check(folder)
            _swap(new, stage / OLD / folder.name, folder, before)
    except BusyError as error:
        raise OutputError(f"{folder}: another run is writing it: wait for that, or choose another {flag}") from error
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"{folder}: cannot be written ({reason}): make room or choose another {flag}") from error
    finally:
        for parent in above:
            with suppress(OSError):  # not empty: it holds the result
                parent.rmdir()


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Make a folder that files are added to, if it is missing, and keep other runs of this program out of it.

    Raises:
        OutputError: another run is at work there, or the folder cannot be written to.
    """
    make_folder(folder)
    try:
        with staging_folder(folder, ALONE):
            yield
    except BusyError as error:
        raise OutputError(f"{folder}: another run is at work there: wait until it has ended") from error


def shell_line(*words: str | Path) -> str:
    """Words as a line that can be pasted into the system's shell, whatever is in the names of files."""
    return subprocess.list2cmdline(map(str, words)) if os.name == "nt" else shlex.join(map(str, words))


def already_there(path: Path) -> OutputError:
    """The error for a file that stays: its name was given on purpose, so another one would only surprise."""
    return OutputError(f"{path}: exists already: remove it or choose another name")


_sweep_once = lru_cache(maxsize=64)(sweep)
"""Not before each of ten thousand files."""


@contextmanager
def _written(path: Path, data: bytes) -> Iterator[Path]:
    """A file with this content in a staging folder beside ``path``."""
    _sweep_once(path.parent)
    with staging_folder(path.parent) as stage:
        part = stage / "file"
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield part


def _take_name(part: Path, path: Path) -> None:
    """Give a finished file its name if nothing has it; unlike a look and a move, this cannot be overtaken.

    Raises:
        FileExistsError: something has it.
    """
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        path.open("xb").close()
        part.replace(path)


def _swap(new: Path, old: Path, folder: Path, before: tuple[int, int] | None) -> None:
    """Put ``new`` in the place of ``folder``, if that is still what it was when the work began."""
    if folder.exists():
        try:
            folder.rmdir()
        except OSError:  # not empty, and may be replaced
            old.parent.mkdir()
            folder.rename(old)
            if _identity(old) != before:
                old.rename(folder)
                raise OutputError(f"{folder}: was made by another run meanwhile: choose another name") from None
    new.rename(folder)


def _identity(folder: Path) -> tuple[int, int] | None:
    if not folder.exists():
        return None
    found = folder.stat()
    return found.st_dev, found.st_ino
