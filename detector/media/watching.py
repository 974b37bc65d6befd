"""A folder that fills: each image that comes into it, once, when it is whole."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

from detector.errors import SourceError
from detector.media import images
from detector.media.frames import Frame, StillSource

__all__ = ["WatchedFolder"]

log = logging.getLogger(__name__)

LOOK_S = 0.5  # pause between two looks at the folder
QUIET_S = 10.0
"""A file that cannot be decoded is still being written until it has not changed for so long."""


class WatchedFolder(StillSource):
    """The images of a folder, first those that are there, then each new one, until the source is closed.

    An image that is half written is waited for: it is read when it has not changed between two looks, and again for as
    long as it changes. One that stays unreadable is logged and kept in ``failures``. A file that is replaced by another
    of its name is not looked at again.

    Args:
        folder: where images appear.

    Raises:
        SourceError: the folder is missing or unreadable.
    """

    def __init__(self, folder: Path) -> None:
        images.list_images(folder)  # raises now, not at the first frame
        super().__init__(str(folder), [], tolerant=True)
        self.folders = frozenset({folder})
        self.length = None
        self._folder, self._closing = folder, threading.Event()

    def close(self) -> None:
        """Stop looking."""
        self._closing.set()
        super().close()

    def _decode(self) -> Generator[Frame, None, None]:
        done: set[Path] = set()
        seen: dict[Path, tuple[tuple[int, int] | None, float]] = {}  # size and time of a file, and since when
        index = 0
        while not self._closing.is_set():
            there = images.list_images(self._folder, strange=True)
            done &= set(there)  # names that went take no memory
            seen = {path: seen[path] for path in there if path in seen}
            for path in there:
                if path in done or not self._at_rest(path, seen):
                    continue
                try:
                    image = images.read(path)
                except SourceError as error:
                    if not path.exists() or time.monotonic() - seen[path][1] < QUIET_S:
                        continue
                    log.warning("%s", error)
                    self.failures.append(error)
                else:
                    yield Frame(image, index, None, str(path))
                    index += 1
                done.add(path)
            self._closing.wait(LOOK_S)

    @staticmethod
    def _at_rest(path: Path, seen: dict[Path, tuple[tuple[int, int] | None, float]]) -> bool:
        """Whether a file is as it was when it was last looked at."""
        state = None
        with suppress(OSError):  # it has just gone
            found = path.stat()
            state = (found.st_size, found.st_mtime_ns)
        if path in seen and seen[path][0] == state:
            return True
        seen[path] = (state, time.monotonic())
        return False
