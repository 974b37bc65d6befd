"""The files of a page's visitors: which of them are uploads, who holds which, how much there may be, and when they go.

Gradio files an upload as ``folder/hash of its content/name``, so two visitors who send the same picture share one file.
It is deleted when nobody holds it any more. Nothing outside this folder is ever looked at, whatever a request names.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from detector.errors import DetectorError
from detector.web.folder import OWNED

__all__ = ["MEGABYTE", "ROOM", "ROOM_FOR_EACH", "FullError", "Store"]

MEGABYTE = 2**20  # as Gradio counts, whose messages say sizes too
ROOM = 2048 * MEGABYTE
"""All files together, or half of what the disk has left, whichever is less."""

ROOM_FOR_EACH = 500 * MEGABYTE
"""The files of one visitor."""

AWAITED_S = 60.0
"""So long an upload is kept that no page has shown yet, and one whose next part does not come."""

YOUNG_S = 5.0
"""What changed more recently may just be arriving."""

HASH = re.compile("[0-9a-f]{64}")


class FullError(DetectorError):
    """There is no room for an upload."""


class Store:
    """The folder of all uploads and results; safe to use from many threads.

    Args:
        folder: where Gradio puts uploads. A folder that is a page's own, see :mod:`detector.web.folder`, is swept of
            everything that nobody holds; in any other, only what visitors of this page held is deleted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.own = (self.folder / OWNED).is_file()
        self._held: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._awaited: defaultdict[str, dict[str, float]] = defaultdict(dict)
        self._results: dict[Path, str] = {}
        self._arriving: dict[object, tuple[str, int]] = {}
        self._lock = threading.RLock()

    def key(self, path: object) -> str | None:
        """The hash of an upload's content if ``path`` is an upload that is here, else None.

        The words of the path are compared first: of a path elsewhere, not even its existence is asked for.
        """
        if not isinstance(path, str | Path) or not (found := self._inside(str(path))):
            return None
        return found if HASH.fullmatch(found) else None

    def owner(self, path: str) -> str | None:
        """Whose result a path is; None if it is none."""
        return self._results.get(self.folder / folder) if (folder := self._inside(path)) else None

    def _inside(self, path: str) -> str:
        """The name of the folder in which a file lies, "" unless that lies in the store's and the file is there."""
        above, name = os.path.split(path)
        base, folder = os.path.split(above)
        if base != str(self.folder) or name in {"", ".", ".."} or folder in {"", ".", ".."}:
            return ""
        with suppress(OSError, ValueError):  # too long, or no text that a file system knows
            place = Path(path)
            return folder if place.resolve(strict=True) == place and place.is_file() else ""
        return ""

    def await_(self, paths: Iterable[str], owner: str) -> None:
        """Uploads of ``owner`` have come: they are kept until a page holds them, for a minute."""
        with self._lock:
            for key in filter(None, map(self.key, paths)):
                self._awaited[key][owner] = time.monotonic() + AWAITED_S

    def hold(self, key: str, owner: str) -> None:
        """Keep an upload until it is let go as often as it was held."""
        with self._lock:
            self._awaited[key].pop(owner, None)
            self._held[key][owner] += 1

    def let_go(self, key: str, owner: str) -> None:
        """The opposite of :meth:`hold`; the next sweep deletes what nobody holds."""
        with self._lock:
            self._held[key][owner] -= 1
            self._held[key] += Counter()  # only what is above zero stays

    def new_result(self, owner: str) -> Path:
        """An empty folder for the results of ``owner``, which stays until a sweep is not told to keep it."""
        with self._lock:
            self.folder.mkdir(parents=True, exist_ok=True)
            made = Path(tempfile.mkdtemp(prefix="result-", dir=self.folder))
            self._results[made] = owner
            return made

    @contextmanager
    def arriving(self, owner: str, size: int) -> Iterator[None]:
        """Keep room for an upload of at most ``size`` bytes while it arrives.

        Raises:
            FullError: there is none.
        """
        ticket = object()
        with self._lock:
            self._check_room(owner, size)
            self._arriving[ticket] = owner, size
        try:
            yield
        finally:
            with self._lock:
                del self._arriving[ticket]
                if not self._arriving and self.own:
                    self._delete_parts(0)

    def _check_room(self, owner: str, size: int) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # some systems clear their temporary folder
        sizes = {entry.name: _size(entry) for entry in os.scandir(self.folder) if entry.is_dir(follow_symlinks=False)}
        theirs = sum(size for name, size in sizes.items() if owner in self._owners(name))
        theirs += sum(size for other, size in self._arriving.values() if other == owner)
        if theirs + size > ROOM_FOR_EACH:
            raise FullError(f"You have {ROOM_FOR_EACH // MEGABYTE} MB on this page: remove files, or close other tabs")
        everything = sum(sizes.values())
        room = min(ROOM, (shutil.disk_usage(self.folder).free + everything) // 2)
        if everything + sum(size for _, size in self._arriving.values()) + size > room:
            raise FullError("There is no room for more files on this page right now: try again in a few minutes")

    def _owners(self, name: str) -> Collection[str]:
        if result := self._results.get(self.folder / name):
            return {result}
        return {*self._held.get(name, ()), *self._awaited.get(name, ())}

    def sweep(self, results: Collection[Path]) -> None:
        """Delete what nobody holds: uploads, parts of uploads that broke off, and all results but ``results``."""
        with self._lock:
            for folder in [each for each in self._results if each not in results]:
                shutil.rmtree(folder, ignore_errors=True)
                if not folder.exists():
                    del self._results[folder]
            now = time.monotonic()
            for key, owners in list(self._awaited.items()):
                self._awaited[key] = {owner: until for owner, until in owners.items() if until > now}
            for key in {*self._held, *self._awaited, *self._uploads()}:
                if not self._held.get(key) and not self._awaited.get(key) and self._delete(self.folder / key):
                    self._held.pop(key, None)
                    self._awaited.pop(key, None)
            if self.own:
                self._delete_parts(AWAITED_S)

    def _uploads(self) -> list[str]:
        """All that may be swept beside what this page knows of."""
        return [each.name for each in os.scandir(self.folder) if HASH.fullmatch(each.name)] if self.own else []

    def _delete(self, folder: Path) -> bool:
        """Delete a folder with an upload, unless that is just arriving; whether it is gone."""
        with suppress(OSError):
            if folder.is_symlink():
                return False
            files = [folder, *folder.iterdir()]
            if all(time.time() - max(file.lstat().st_ctime, file.lstat().st_mtime) > YOUNG_S for file in files):
                for file in files[1:]:
                    file.unlink()
                folder.rmdir()
        return not folder.exists()

    def _delete_parts(self, age: float) -> None:
        """Delete the parts of uploads, as Gradio calls them while they arrive, that have not grown for so long."""
        for part in self.folder.glob("tmp*"):
            with suppress(OSError):
                if part.is_file() and time.time() - part.lstat().st_mtime >= age:
                    part.unlink()


def _size(folder: os.DirEntry[str]) -> int:
    """Bytes of the files in a folder, some of which may just be going."""
    total = 0
    with suppress(OSError):
        for file in os.scandir(folder.path):
            with suppress(OSError):
                total += file.stat(follow_symlinks=False).st_size
    return total
