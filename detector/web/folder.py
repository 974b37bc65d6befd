"""Where a page keeps what visitors send, and that it goes. Imports no gradio, which looks for its place at once."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from detector.staging import lock

__all__ = ["OWNED", "own_folder"]

log = logging.getLogger(__name__)

PREFIX = "mask-detector-demo-"
LOCK = ".lock"
"""Held for as long as the page runs; the system lets go of it when a process dies, however it dies."""

OWNED = ".mask-detector"
"""An empty file that says: this whole folder is a page's own, and goes with it. Written once the lock is held."""


@contextlib.contextmanager
def own_folder() -> Iterator[Path]:
    """A folder for all that Gradio writes, uploads above all, which goes with the ``with``.

    What pages that were killed have left is deleted first. Gradio looks for its place when it is imported and when a
    field is made, so both belong inside.
    """
    _sweep(Path(tempfile.gettempdir()))
    before = os.environ.get("GRADIO_TEMP_DIR"), tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as made:
        folder = Path(made).resolve()
        while (held := lock(folder / LOCK, os.O_CREAT)) is None:
            time.sleep(0.01)  # another page is just looking whether this one is alive
        (folder / OWNED).touch(0o600)
        os.environ["GRADIO_TEMP_DIR"] = tempfile.tempdir = str(folder)  # parts of uploads are written to the latter
        try:
            yield folder
        finally:
            tempfile.tempdir = before[1]
            if before[0] is None:
                del os.environ["GRADIO_TEMP_DIR"]
            else:
                os.environ["GRADIO_TEMP_DIR"] = before[0]
            os.close(held)


def _sweep(place: Path) -> None:
    """Delete the folders of dead pages in ``place``."""
    for folder in place.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if not _is_private(folder) or (held := lock(folder / LOCK)) is None:  # a page that is alive holds it
                continue
            os.close(held)
            if stat.S_ISREG((folder / OWNED).lstat().st_mode):  # else it is no page's, or a page just starts
                shutil.rmtree(folder, ignore_errors=True)
                log.info("deleted what a page that was killed has left: %s", folder)


def _is_private(folder: Path) -> bool:
    """Whether it is a folder, no link to one, that nobody but this user can have filled."""
    found, lock = folder.lstat(), (folder / LOCK).lstat()
    if not (stat.S_ISDIR(found.st_mode) and stat.S_ISREG(lock.st_mode)):
        return False
    return os.name != "posix" or (found.st_uid == os.getuid() and stat.S_IMODE(found.st_mode) == 0o700)
