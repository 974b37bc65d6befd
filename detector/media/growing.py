"""Files that are written bit by bit, for hours, and keep what they have whatever ends the process."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

from detector.errors import OutputError
from detector.files import already_there, make_folder
from detector.staging import numbered

__all__ = ["GrowingFile", "Pieces"]

SYNC_S = 1.0
"""A power cut costs at most so many seconds of a file that grows."""


class GrowingFile:
    """A new file that is written bit by bit, and keeps what it has when the process is killed, or the disk is full.

    It has its own name from the start, and nobody else can take it; once a second it is put onto the disk.

    Args:
        path: its place.
        free: where something has this name, take ``name-2``, ``name-3`` ... instead of refusing.

    Attributes:
        path: the name that it got.
        size: in bytes.

    Raises:
        OutputError: something has this name, or the file cannot be made.
    """

    def __init__(self, path: Path, *, free: bool = False) -> None:
        make_folder(path.parent)
        try:
            for self.path in numbered(path) if free else (path,):
                with suppress(FileExistsError):
                    self._file = self.path.open("xb", buffering=0)
                    break
            else:
                raise already_there(path)
        except OSError as error:
            raise OutputError(f"{path}: cannot be written ({error.strerror}): choose another place") from error
        self.size = 0
        self._closed = threading.Event()
        self._syncing = threading.Thread(target=self._sync, name=f"sync {path.name}", daemon=True)
        self._syncing.start()

    def write(self, data: bytes, at: int | None = None) -> None:
        """Write all of it, by default at the end, or leave the file as long as it was.

        Raises:
            OSError: the disk is full.
        """
        try:
            self._file.seek(self.size if at is None else at)
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            self.cut(self.size)
            raise
        self.size = max(self.size, self._file.tell())

    def cut(self, size: int) -> None:
        """Take away what is behind so many bytes."""
        with suppress(OSError):
            self._file.truncate(size)
            self.size = size

    def close(self) -> None:
        """Put all of it onto the disk and let it go; a second call does nothing.

        Raises:
            OSError: the disk is full, or gone.
        """
        if self._closed.is_set():
            return
        self._closed.set()
        self._syncing.join()
        with self._file:
            os.fsync(self._file.fileno())

    def _sync(self) -> None:
        while not self._closed.wait(SYNC_S):
            with suppress(OSError):  # the write that failed says it
                os.fsync(self._file.fileno())


class Pieces:
    """The file, as FFmpeg writes to it: whole pieces, and at the end an index.

    The index goes to the end before the head is changed to say so, and nothing of it stays if there is no room for it:
    at any moment the file can be played, as pieces or as a whole. FFmpeg before 8 does it the other way round.
    """

    def __init__(self, file: GrowingFile) -> None:
        self._file = file
        self._at = 0
        self._held: list[tuple[int, bytes]] | None = None
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write at the place where FFmpeg is."""
        if self._held is not None:
            self._held.append((self._at, data))
        else:
            try:
                self._file.write(data, self._at)
            except OSError as error:
                self.error = error
                raise
        self._at += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go there."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._file.size}[whence]
        return self._at

    def tell(self) -> int:
        """Where FFmpeg is."""
        return self._at

    def hold(self) -> None:
        """Keep in memory what is written from now on."""
        self._held = []

    def let_go(self) -> None:
        """Write what was kept, the end before the head."""
        size = self._file.size
        try:
            for at, data in sorted(self._held or [], key=lambda part: part[0] < size):
                self._file.write(data, at)
        except OSError:
            self._file.cut(size)
            raise
