"""What is kept of each visitor, and for how long: nothing of theirs outlives their page."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from detector.web.uploads import Store

__all__ = ["OWNER", "Session", "Sessions"]

PAGES = 128
"""Sessions with an open page that are remembered: none is forgotten for another. This is what bounds memory."""

CALLERS = 64
"""Programs that are remembered beside the pages: they never close one. Who was away longest is forgotten first."""

AWAY_S = 600.0
"""A program that has asked nothing for so long is forgotten."""

SWEEP_EVERY_S = 5.0

PLACES = ("picture", "video", "result")
"""Where a session keeps one file each, or one folder."""

OWNER, NAMED = "mask-detector owner", "mask-detector session"
"""Under these names the guard leaves in a request's scope who has sent it, and which session of theirs it names."""


@dataclass(eq=False)
class Session:
    """One open page, or one program.

    Attributes:
        owner: who alone may use it: what only their browser knows, see :mod:`detector.web.guard`.
        picture: what its picture tab shows.
        job: its video, from when it was asked for until it is no longer wanted.
        stop: set when that shall end.
        busy: held while its video is worked on.
        gone: it was forgotten.
    """

    owner: str = ""
    picture: Any = None
    job: Any = None
    stop: threading.Event = field(default_factory=threading.Event)
    busy: threading.Lock = field(default_factory=threading.Lock)
    gone: bool = False
    _pages: int = 0
    _works: int = 0
    _seen: float = field(default_factory=time.monotonic)

    @property
    def open(self) -> bool:
        """Whether a page of it is open, which it is not for programs and while the connection is lost."""
        return self._pages > 0

    @property
    def _stays(self) -> bool:
        return bool(self._pages or self._works)


class Sessions:
    """All sessions by Gradio's hash of each; safe to use from many threads.

    Args:
        store: where their files are.
        pages: how many open pages are remembered.
        callers: how many programs are, beside them.
    """

    def __init__(self, store: Store, pages: int = PAGES, callers: int = CALLERS) -> None:
        self.store, self._most_pages, self._most_callers = store, pages, callers
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._sessions)

    def admits(self, name: str, owner: str) -> bool:
        """Whether a session belongs to ``owner``, whose it is from now on if it is new."""
        with self._lock:
            known = self._sessions.get(name) or self._begin(name, owner)
            return known.owner == owner

    def of(self, request: Any) -> Session:
        """The session of a ``gr.Request``; of nobody's where no guard stands before the page."""
        inner = getattr(request, "request", None)
        return self.meet(request.session_hash, str(inner.scope.get(OWNER, "")) if inner else "")

    def asking(self, request: Any, message: object) -> Session:
        """The session of a request to a server function, which Gradio hands over as it comes.

        Where no guard stands before the page, the page's own name for itself tells it from others.
        """
        own = str(message.get("page", ""))[:64] if isinstance(message, dict) else ""
        return self.meet(request.scope.get(NAMED) or own or None, str(request.scope.get(OWNER, "")))

    def meet(self, name: str | None, owner: str = "") -> Session:
        """A session, new if not met before; who names none, or somebody else's, gets one that nobody else can name."""
        with self._lock:
            if name is None or not self.admits(name, owner):
                name = secrets.token_hex()
            session = self._sessions.get(name) or self._begin(name, owner)
            session._seen = time.monotonic()
            self._sessions.move_to_end(name)
            return session

    def _begin(self, name: str, owner: str) -> Session:
        callers = [name for name, session in self._sessions.items() if not session._stays]
        for each in callers[: len(callers) - self._most_callers + 1]:
            self._forget(each)
        self._sessions[name] = Session(owner)
        return self._sessions[name]

    @contextmanager
    def page(self, name: str, owner: str = "") -> Iterator[None]:
        """The session has a page open, and is not forgotten before it is closed."""
        with self._lock:
            session = self.meet(name, owner)
            room = sum(each._pages > 0 for each in self._sessions.values()) < self._most_pages
            session._pages += room
        try:
            yield
        finally:
            with self._lock:
                session._pages -= room
                if self._sessions.get(name) is session:
                    self.leave(name)

    @contextmanager
    def working(self, session: Session) -> Iterator[None]:
        """A video of the session is worked on: it is not forgotten, and its files stay, even if its page is closed."""
        with self._lock:
            session._works += 1
        try:
            yield
        finally:
            with self._lock:
                session._works -= 1
                session._seen = time.monotonic()
                if session.gone:
                    self._let_go(session)

    def hold(self, session: Session, place: str, path: Path | None) -> None:
        """Keep an upload while ``session`` has it in ``place``, one of :data:`PLACES`; the one before it goes.

        What is no upload is not held, and so never deleted; nor is what a forgotten session names.
        """
        with self._lock:
            key = None if session.gone else self.store.key(path)
            before = self.store.let_go((session, place))
            if key is not None:
                self.store.keep(key, (session, place), session.owner)
            if before:
                self.store.sweep()

    def folder(self, session: Session) -> Path:
        """An empty folder for a session's results; its last one goes."""
        with self._lock:
            made = self.store.new_result((session, "result"), session.owner)
            self.store.sweep()
            return made

    def leave(self, name: str | None) -> None:
        """Forget a session, unless it has another page open: its picture, uploads and results; a video stops."""
        with self._lock:
            session = self._sessions.get(name or "")
            if name is not None and session is not None and not session._pages:
                self._forget(name)
                self.store.sweep()

    def sweep(self) -> None:
        """Forget the programs that have been away for long, and delete what nobody keeps."""
        with self._lock:
            gone = time.monotonic() - AWAY_S
            for name in [name for name, each in self._sessions.items() if not each._stays and each._seen < gone]:
                self._forget(name)
            self.store.sweep()

    @contextmanager
    def kept_tidy(self) -> Iterator[None]:
        """Sweep every few seconds until the ``with`` is left."""
        over = threading.Event()

        def work() -> None:
            while not over.wait(SWEEP_EVERY_S):
                self.sweep()

        thread = threading.Thread(target=work, name="sweeper", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _forget(self, name: str) -> None:
        session = self._sessions.pop(name)
        session.gone = True
        session.stop.set()
        session.picture = session.job = None
        if not session._works:
            self._let_go(session)

    def _let_go(self, session: Session) -> None:
        for place in PLACES:
            self.store.let_go((session, place))
