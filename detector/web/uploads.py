"""The page's folder: which files are uploads, who keeps which, how much there may be, and when they go.

Gradio files an upload as ``folder/hash of its content/name``, so two visitors who send the same picture share one file.
It is deleted when nobody keeps it any more. Nothing outside this folder is ever looked at, whatever a request names.
Imports no gradio, which looks for its folder at once.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from detector.errors import DetectorError
from detector.staging import temporary_folder

__all__ = ["MAX_BYTES", "MEGABYTE", "FullError", "Store", "own_folder"]

MEGABYTE = 2**20  # as Gradio counts, whose messages say sizes too
MAX_BYTES = 200 * MEGABYTE
"""One file."""

ROOM = 2048 * MEGABYTE
"""All files together, or half of what the disk has left, whichever is less."""

ROOM_FOR_EACH = 500 * MEGABYTE
"""The files of one visitor."""

AWAITED_S = 50.0
"""So long an upload is kept that no page has shown yet, and one whose next part does not come: gone within a minute."""

YOUNG_S = 5.0
"""What changed more recently may just be arriving."""

HASH = re.compile("[0-9a-f]{64}")

OWNED = ".mask-detector"
"""An empty file that says: this whole folder is a page's own, and goes with it."""


class FullError(DetectorError):
    """There is no room for an upload."""


@dataclass(frozen=True)
class _Lease:
    """Why a folder stays: for whom, and until when by :func:`time.monotonic`."""

    owner: str
    until: float


class Store:
    """The folder of all uploads and results; safe to use from many threads.

    Args:
        folder: where Gradio puts uploads. A folder that is a page's own, see :func:`own_folder`, is swept of everything
            that nobody keeps; in any other, only what visitors of this page kept is deleted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.own = (self.folder / OWNED).is_file()
        self._leases: defaultdict[str, dict[Hashable, _Lease]] = defaultdict(dict)
        self._arriving: dict[object, tuple[str, int]] = {}
        self._lock = threading.RLock()

    def key(self, path: object) -> str | None:
        """The hash of an upload's content if ``path`` is an upload that is here, else None.

        The words of the path are compared first: of a path elsewhere, not even its existence is asked for.
        """
        if not isinstance(path, str | Path):
            return None
        found = self._inside(str(path))
        return found if HASH.fullmatch(found) else None

    def may_read(self, path: str, owner: str) -> bool:
        """Whether a path is an upload, which is for who knows the hash of its content, or a result of ``owner``."""
        name = self._inside(path)
        return bool(HASH.fullmatch(name)) or owner in self._owners(name)

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
        """Uploads of ``owner`` have come: they are kept until a page keeps them, for a while."""
        with self._lock:
            for key in filter(None, map(self.key, paths)):
                self._leases[key][owner] = _Lease(owner, time.monotonic() + AWAITED_S)

    def keep(self, name: str, holder: Hashable, owner: str) -> None:
        """Keep a folder for ``holder``, who keeps no other one any more; the next sweep deletes what nobody keeps."""
        with self._lock:
            self.let_go(holder)
            self._leases[name].pop(owner, None)
            self._leases[name][holder] = _Lease(owner, math.inf)

    def let_go(self, holder: Hashable) -> bool:
        """The opposite of :meth:`keep`, of the one folder that a holder has; whether there was one."""
        with self._lock:
            return any(leases.pop(holder, None) for leases in self._leases.values())

    def new_result(self, holder: Hashable, owner: str) -> Path:
        """An empty folder for the results of ``owner``, kept for ``holder``."""
        with self._lock:
            self.folder.mkdir(parents=True, exist_ok=True)
            made = Path(tempfile.mkdtemp(prefix="result-", dir=self.folder))
            self.keep(made.name, holder, owner)
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

    def _owners(self, name: str) -> set[str]:
        with self._lock:
            return {lease.owner for lease in self._leases.get(name, {}).values()}

    def sweep(self) -> None:
        """Delete what nobody keeps: uploads, results, and parts of uploads that broke off."""
        with self._lock:
            now = time.monotonic()
            for name in {*self._leases, *self._unknown()}:
                left = {holder: lease for holder, lease in self._leases[name].items() if lease.until > now}
                if left or not self._delete(self.folder / name):
                    self._leases[name] = left
                else:
                    del self._leases[name]
            if self.own:
                self._delete_parts(AWAITED_S)

    def _unknown(self) -> list[str]:
        """Uploads that may be swept though no visitor of this page has named them yet."""
        with suppress(OSError):  # some systems clear their temporary folder
            return [each.name for each in os.scandir(self.folder) if HASH.fullmatch(each.name)] if self.own else []
        return []

    def _delete(self, folder: Path) -> bool:
        """Delete a folder, unless its upload is just arriving; whether it is gone."""
        with suppress(OSError):
            if folder.is_symlink():
                return False
            files = [folder, *folder.iterdir()]
            if all(time.time() - max(file.lstat().st_ctime, file.lstat().st_mtime) > YOUNG_S for file in files):
                shutil.rmtree(folder, ignore_errors=True)
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


@contextmanager
def own_folder() -> Iterator[Path]:
    """A folder for all that Gradio writes, uploads above all, which goes with the ``with``.

    What pages that were killed have left is deleted first. Gradio looks for its place when it is imported and when a
    field is made, so both belong inside.
    """
    before = os.environ.get("GRADIO_TEMP_DIR"), tempfile.tempdir
    with temporary_folder() as made:
        folder = made.resolve()
        (folder / OWNED).touch(0o600)
        os.environ["GRADIO_TEMP_DIR"] = tempfile.tempdir = str(folder)  # parts of uploads are written to the latter
        try:
            yield folder
        finally:
            tempfile.tempdir = before[1]
            del os.environ["GRADIO_TEMP_DIR"]
            if before[0] is not None:
                os.environ["GRADIO_TEMP_DIR"] = before[0]
