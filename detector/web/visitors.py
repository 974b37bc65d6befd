"""What is kept of each visitor, and for how long: nothing of theirs outlives their page.

Gradio files an upload under the hash of its content, so two visitors who send the same picture share one file. It is
therefore deleted when the last page that holds it is closed or holds another one.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections import Counter, OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["CAPACITY", "Visitor", "Visitors"]

CAPACITY = 64
"""Visitors who are remembered; the one who was away longest is forgotten first. A program that calls the demo as an API
never closes a page, so this is also what bounds memory and disk."""


class Visitor:
    """One open page.

    Attributes:
        picture: what its picture tab shows.
        stop: set when its video is no longer wanted.
        busy: held while its video is worked on.
    """

    def __init__(self) -> None:
        self.picture: Any = None
        self.stop = threading.Event()
        self.busy = threading.Lock()
        self._files: dict[str, Path] = {}
        self._folder: Path | None = None


class Visitors:
    """All open pages by session; safe to use from many threads."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._visitors: OrderedDict[str, Visitor] = OrderedDict()
        self._held: Counter[Path] = Counter()
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._visitors)

    def meet(self, session: str | None) -> Visitor:
        """The visitor of a session, who is new if not met before; a request without a session is a stranger's."""
        if session is None:
            return Visitor()
        gone = []
        with self._lock:
            visitor = self._visitors.setdefault(session, Visitor())
            self._visitors.move_to_end(session)
            while len(self._visitors) > self._capacity:
                gone.append(self._forget(next(iter(self._visitors))))
        for each in gone:  # without the lock: a video under way needs it before it can end
            _clear(each)
        return visitor

    def hold(self, visitor: Visitor, place: str, path: Path | None) -> None:
        """Keep an upload while ``visitor`` has it in ``place``, "picture" or "video"; the one before it goes.

        Nobody would let go of what a stranger or a forgotten visitor holds: that is left to Gradio's own cleaning.
        """
        with self._lock:
            if visitor not in self._visitors.values():
                return
            before = visitor._files.pop(place, None)
            if path is not None:
                visitor._files[place] = path
                self._held[path] += 1
            if before is not None:
                self._drop(before)

    def folder(self, visitor: Visitor, beside: Path) -> Path:
        """An empty folder for a visitor's results, made in the folder ``beside``; their last one goes."""
        with self._lock:
            if visitor._folder is not None:
                shutil.rmtree(visitor._folder, ignore_errors=True)
            beside.mkdir(parents=True, exist_ok=True)
            visitor._folder = Path(tempfile.mkdtemp(prefix="result-", dir=beside))
            return visitor._folder

    def leave(self, session: str | None) -> None:
        """Forget a visitor: their picture, their uploads and their results; their video is stopped."""
        with self._lock:
            if session is None or session not in self._visitors:
                return
            visitor = self._forget(session)
        _clear(visitor)

    def _forget(self, session: str) -> Visitor:
        visitor = self._visitors.pop(session)
        visitor.stop.set()
        visitor.picture = None
        for path in visitor._files.values():
            self._drop(path)
        visitor._files.clear()
        return visitor

    def _drop(self, path: Path) -> None:
        self._held[path] -= 1
        if self._held[path] > 0:
            return
        del self._held[path]
        with suppress(OSError):
            path.unlink()
        with suppress(OSError):
            path.parent.rmdir()  # Gradio's folder for this content


def _clear(visitor: Visitor) -> None:
    """Delete the results of a visitor who was forgotten."""
    with visitor.busy:  # a video that is being written is closed first
        if visitor._folder is not None:
            shutil.rmtree(visitor._folder, ignore_errors=True)
