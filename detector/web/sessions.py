"""What is kept of each visitor, and for how long: nothing of theirs outlives their page."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from detector.web.uploads import Store

__all__ = ["CALLERS", "OWNER", "PAGES", "Visitor", "Visitors", "owner_of"]

log = logging.getLogger(__name__)

PAGES = 128
"""Visitors with an open page who are remembered: none of them is forgotten for another. This is what bounds memory."""

CALLERS = 64
"""Programs that are remembered beside the pages: they never close one. Who was away longest is forgotten first."""

AWAY_S = 600.0
"""A program that has asked nothing for so long is forgotten."""

SWEEP_EVERY_S = 5.0

OWNER = "mask-detector owner"
"""Under this name the session guard leaves in a request's scope who has sent it."""


def owner_of(request: Any) -> str:
    """Who has sent a ``gr.Request``; "" where no session guard stands before the page."""
    inner = getattr(request, "request", None)
    return str(inner.scope.get(OWNER, "")) if inner else ""


class Visitor:
    """One open page, or one program.

    Attributes:
        owner: who alone may use its session: what only their browser knows, see :mod:`detector.web.session_guard`.
        picture: what its picture tab shows.
        stop: set when its video is no longer wanted.
        busy: held while its video is worked on.
        gone: it was forgotten.
    """

    def __init__(self, owner: str = "") -> None:
        self.owner = owner
        self.picture: Any = None
        self.stop = threading.Event()
        self.busy = threading.Lock()
        self.gone = False
        self._pages = self._works = 0
        self._seen = time.monotonic()
        self._keys: dict[str, str] = {}
        self._result: Path | None = None

    @property
    def _stays(self) -> bool:
        return bool(self._pages or self._works)


class Visitors:
    """All visitors by session; safe to use from many threads.

    Args:
        store: where their files are.
        pages: how many open pages are remembered.
        callers: how many programs are, beside them.
    """

    def __init__(self, store: Store, pages: int = PAGES, callers: int = CALLERS) -> None:
        self.store, self._most_pages, self._most_callers = store, pages, callers
        self._visitors: OrderedDict[str, Visitor] = OrderedDict()
        self._working: list[Visitor] = []
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._visitors)

    def admits(self, session: str, owner: str) -> bool:
        """Whether a session belongs to ``owner``, whose it is from now on if it is new."""
        with self._lock:
            known = self._visitors.get(session) or self._welcome(session, owner)
            return known.owner == owner

    def meet(self, session: str | None, owner: str = "") -> Visitor:
        """The visitor of a session, new if not met before; who has no session, or somebody else's, is a stranger."""
        with self._lock:
            if session is None or not self.admits(session, owner):
                session = secrets.token_hex()
            visitor = self._visitors.get(session) or self._welcome(session, owner)
            visitor._seen = time.monotonic()
            self._visitors.move_to_end(session)
            return visitor

    def _welcome(self, session: str, owner: str) -> Visitor:
        callers = [name for name, visitor in self._visitors.items() if not visitor._stays]
        for name in callers[: len(callers) - self._most_callers + 1]:
            self._forget(name)
        self._visitors[session] = Visitor(owner)
        return self._visitors[session]

    @contextmanager
    def page(self, session: str, owner: str = "") -> Iterator[None]:
        """The visitor of ``session`` has a page open, who is not forgotten before it is closed."""
        with self._lock:
            visitor = self.meet(session, owner)
            room = sum(each._pages > 0 for each in self._visitors.values()) < self._most_pages
            visitor._pages += room
        try:
            yield
        finally:
            with self._lock:
                visitor._pages -= room
                if self._visitors.get(session) is visitor:
                    self.leave(session)

    @contextmanager
    def working(self, session: str | None, owner: str = "") -> Iterator[Visitor]:
        """The visitor of a session, whose video is worked on and who is not forgotten meanwhile."""
        with self._lock:
            visitor = self.meet(session, owner)
            visitor._works += 1
            self._working.append(visitor)
        try:
            yield visitor
        finally:
            with self._lock:
                visitor._works -= 1
                visitor._seen = time.monotonic()
                self._working.remove(visitor)

    def hold(self, visitor: Visitor, place: str, path: Path | None) -> None:
        """Keep an upload while ``visitor`` has it in ``place``, "picture" or "video"; the one before it goes.

        What is no upload is not held, and so never deleted; nor is what a forgotten visitor names.
        """
        with self._lock:
            key = self.store.key(path)
            if key is not None and not visitor.gone:
                self.store.hold(key, visitor.owner)
            before = visitor._keys.pop(place, None)
            if key is not None and not visitor.gone:
                visitor._keys[place] = key
            if before is not None:
                self.store.let_go(before, visitor.owner)
                self._clear()

    def folder(self, visitor: Visitor) -> Path:
        """An empty folder for a visitor's results; their last one goes."""
        with self._lock:
            visitor._result = self.store.new_result(visitor.owner)
            self._clear()
            return visitor._result

    def leave(self, session: str | None) -> None:
        """Forget a visitor, unless they have another page open: their picture, uploads and results; a video stops."""
        with self._lock:
            visitor = self._visitors.get(session or "")
            if session is not None and visitor is not None and not visitor._pages:
                self._forget(session)
                self._clear()

    def sweep(self) -> None:
        """Forget the programs that have been away for long, and delete what nobody holds."""
        with self._lock:
            gone = time.monotonic() - AWAY_S
            for name in [name for name, each in self._visitors.items() if not each._stays and each._seen < gone]:
                self._forget(name)
            self._clear()

    @contextmanager
    def kept_tidy(self) -> Iterator[None]:
        """Sweep every few seconds until the ``with`` is left."""
        over = threading.Event()

        def work() -> None:
            while not over.wait(SWEEP_EVERY_S):
                self._try_to_sweep()

        thread = threading.Thread(target=work, name="sweeper", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _try_to_sweep(self) -> None:
        try:
            self.sweep()
        except OSError as error:
            log.warning("what visitors have left cannot be deleted: %s", error)

    def _clear(self) -> None:
        visitors = [*self._visitors.values(), *self._working]  # a video of somebody who has left is closed first
        self.store.sweep({each._result for each in visitors if each._result is not None})

    def _forget(self, session: str) -> None:
        visitor = self._visitors.pop(session)
        visitor.gone = True
        visitor.stop.set()
        visitor.picture = None
        for key in visitor._keys.values():
            self.store.let_go(key, visitor.owner)
        visitor._keys.clear()
