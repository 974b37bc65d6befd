"""A folder of results that appears whole or not at all, where nothing was before."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from detector.errors import OutputError

__all__ = ["check_free", "new_folder"]


def check_free(folder: Path, flag: str) -> None:
    """Keep what is there.

    Args:
        folder: a place for results.
        flag: the command-line flag that named it.

    Raises:
        OutputError: something is there.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder}: is there and not empty: remove it or choose another {flag}")


@contextmanager
def new_folder(folder: Path, flag: str) -> Iterator[Path]:
    """Hand out a folder beside ``folder`` that takes its place at the end, or vanishes if the block fails.

    Args:
        folder: one that does not exist yet, or is empty.
        flag: the command-line flag that named it.

    Raises:
        OutputError: something is there, or it cannot be written.
    """
    check_free(folder, flag)
    folder = folder.absolute()  # "." has no name to make another one of
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        part.mkdir(parents=True)
        yield part
        if folder.exists():
            folder.rmdir()
        part.replace(folder)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror}): choose another {flag}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
