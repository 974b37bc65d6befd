"""Hidden folders for what is unfinished, which a later run can tell from those of the living.

A staging folder has a lock that the system takes from a process that ends in any way, also by a power cut. So a run
leaves it alone while its process lives, and sweeps it away when that has died.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import stat
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = [
    "ALONE",
    "NEW",
    "OLD",
    "BusyError",
    "lock",
    "numbered",
    "staging_folder",
    "sweep",
    "temporary_folder",
    "uninterrupted",
    "was_abandoned",
]

PREFIX, LOCK = ".mask-detector-", "lock"
NEW, OLD = "new", "old"
"""In a staging folder: the folder to come, and the one that it is to replace, each in a folder of this name."""

ALONE = "alone"
"""Name of the staging folder of a run that has a folder to itself."""


class BusyError(Exception):
    """A staging folder of this name is there, and its process lives."""


def numbered(path: Path) -> Iterator[Path]:
    """``path``, then ``name-2.jpg``, ``name-3.jpg`` ..."""
    yield path
    for number in count(2):
        yield path.with_name(f"{path.stem}-{number}{path.suffix}")


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Put off Ctrl-C and its like until the end of a short block, whose steps belong together."""
    if threading.current_thread() is not threading.main_thread():
        yield  # it comes to the main thread only
        return
    came: list[int] = []
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    handlers = {number: handler for number in numbers if callable(handler := signal.getsignal(number))}
    try:
        for number in handlers:
            signal.signal(number, lambda number, _: came.append(number))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in came[:1]:
            signal.raise_signal(number)


def was_abandoned(folder: Path) -> bool:
    """Whether a process died within :func:`detector.files.alone`."""
    stage = folder / f"{PREFIX}{ALONE}"
    descriptor = lock(stage / LOCK) if _is_ours(stage) else None
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is not None


@contextmanager
def staging_folder(parent: Path, name: str | None = None) -> Iterator[Path]:
    """A hidden folder for what is unfinished; it goes at the end of the block with all that is in it.

    Args:
        parent: an existing folder.
        name: two staging folders of one name cannot be there at once.

    Raises:
        OSError: it cannot be made.
    """
    stage, descriptor = None, None
    try:
        with uninterrupted():
            stage, descriptor = _open_stage(parent, name)
        yield stage
    finally:
        if stage is not None and descriptor is not None:
            with uninterrupted():
                _clear(stage, descriptor)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A staging folder in the system's place for temporary files; those of dead processes are swept away first.

    Raises:
        OSError: it cannot be made.
    """
    parent = Path(tempfile.gettempdir())
    sweep(parent)
    with staging_folder(parent) as stage:
        (stage / NEW).mkdir()
        yield stage / NEW


def sweep(parent: Path) -> None:
    """Take away the staging folders that processes of this user left in a folder when they died.

    What such a process had moved away to replace it, and had not yet replaced, goes back to its place.
    """
    with suppress(OSError):
        for stage in [Path(entry) for entry in os.scandir(parent) if entry.name.startswith(PREFIX)]:
            if not _is_ours(stage):
                continue
            if (descriptor := lock(stage / LOCK)) is not None:
                _clear(stage, descriptor)
            else:
                with suppress(OSError):  # in use, or a process died before it had locked it: then it is empty
                    stage.rmdir()


def _open_stage(parent: Path, name: str | None) -> tuple[Path, int]:
    """A new staging folder and the descriptor of its lock."""
    while True:
        stage = parent / f"{PREFIX}{name[:12] if name else secrets.token_hex(4)}"
        try:
            stage.mkdir(mode=0o700)
            if (descriptor := lock(stage / LOCK, os.O_CREAT)) is not None:
                return stage, descriptor
        except FileExistsError:
            if name:
                raise BusyError from None
        except OSError:
            with suppress(OSError):
                stage.rmdir()
            raise


def _is_ours(stage: Path) -> bool:
    """Whether this is a folder, not a link to one, and of this user."""
    try:
        found = stage.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and (sys.platform == "win32" or found.st_uid == os.geteuid())


def lock(path: Path, create: int = 0) -> int | None:
    """Open and lock a file; None where it is locked, or gone, or is none. It stays locked as long as it is open."""
    try:
        descriptor = os.open(path, os.O_RDWR | create | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except OSError:
        if create and path.parent.exists():
            raise
        return None
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(path.stat(), os.fstat(descriptor)):
            return descriptor
    except (BlockingIOError, PermissionError, FileNotFoundError):
        pass
    except OSError:  # no locks on this file system: then nobody can take what is there for dead
        if create:
            return descriptor
    os.close(descriptor)
    return None


def _clear(stage: Path, descriptor: int) -> None:
    """Delete a staging folder, the lock last, and let go of the lock, which this process has."""
    with suppress(OSError):
        if any((stage / NEW).iterdir()):  # it did not come to the replacing
            for folder in (stage / OLD).iterdir():
                folder.rename(next(name for name in numbered(stage.parent / folder.name) if not name.exists()))
    with suppress(OSError):
        for entry in list(stage.iterdir()):
            if entry.name != LOCK:
                shutil.rmtree(entry, ignore_errors=True)
                entry.unlink(missing_ok=True)
    if sys.platform == "win32":  # it deletes no file that is open
        os.close(descriptor)
    with suppress(OSError):
        (stage / LOCK).unlink(missing_ok=True)
        stage.rmdir()
    if sys.platform != "win32":
        os.close(descriptor)
