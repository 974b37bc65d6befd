"""Connections that never say what they want are closed, so that those who do always find room.

uvicorn has a time limit between two requests and none for the first, nor for the rest of a half-sent one.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from detector.web.hosts import household, is_local

__all__ = ["BACKLOG", "bounded", "room_for_connections"]

HEAD_S = 10.0
"""A connection that has not sent a whole request head by then is closed."""

LEAST_RATE = 1000
"""Bytes a second that a request's body must bring while the page wants more of it."""

UNREAD_S = 60.0
"""An answer of which nothing was fetched for so long is given up."""

TICK_S = 5.0

MOST, SPARE = 1000, 2
"""The most connections, and the share of all files that may be open: the other half is for uploads and networks."""

BACKLOG = 64
"""Connections that are accepted in one go: asyncio takes them all before it runs anything else."""


class _Bounded(H11Protocol):
    """uvicorn's HTTP/1.1 with limits for the time and the number of connections.

    Above the limit, in all or for one address, the connection that has waited longest without a whole request goes,
    not the newest: an honest one sends its request at once, so it is never among the oldest. This computer's own
    address has no limit of its own, since a tunnel or a proxy brings everyone from there.
    """

    limit = MOST

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        address = self.client[0] if self.client else ""
        self._home = "" if is_local(address) else household(address)
        self._since, self._received = self.loop.time(), 0
        self._in_body = False
        self._stuck_at: float | None = None
        self._make_room()
        self.loop.call_later(TICK_S, self._tick)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        super().data_received(data)

    def on_response_complete(self) -> None:
        self._since = self.loop.time()  # from now on the next request is waited for
        super().on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stuck_at = self.loop.time()  # the other side does not read

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stuck_at = None

    def _make_room(self) -> None:
        everyone = [each for each in self.connections if isinstance(each, _Bounded) and not each.transport.is_closing()]
        mine = [each for each in everyone if self._home and each._home == self._home]
        for group, limit in ((everyone, self.limit), (mine, self.limit // 4)):
            if len(group) > limit:
                waiting = (each for each in group if each.conn.their_state in (h11.IDLE, h11.SEND_BODY))
                min(waiting, key=lambda each: (each.conn.their_state is not h11.IDLE, each._since)).transport.abort()

    def _tick(self) -> None:
        if self.transport.is_closing():
            return
        now, state = self.loop.time(), self.conn.their_state
        received, self._received = self._received, 0
        late = state is h11.IDLE and now - self._since > HEAD_S
        slow = state is h11.SEND_BODY and self._in_body and not self.flow.read_paused and received < LEAST_RATE * TICK_S
        stuck = self._stuck_at is not None and now - self._stuck_at > UNREAD_S
        if late or slow or stuck:
            self.transport.abort()
        else:
            self._in_body = state is h11.SEND_BODY
            self.loop.call_later(TICK_S, self._tick)


def room_for_connections() -> int:
    """How many connections to hold: half of the files that this process may open, which is raised first."""
    try:
        import resource  # not on Windows, which has no such limit
    except ImportError:
        return MOST
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MOST
    wanted = SPARE * MOST if hard == resource.RLIM_INFINITY else min(hard, SPARE * MOST)
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return max(16, min(MOST, soft // SPARE))


def bounded(limit: int) -> Any:
    """The protocol class for uvicorn, with ``limit`` connections."""
    return type("Bounded", (_Bounded,), {"limit": limit})
