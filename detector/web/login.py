"""A growing pause after wrong passwords.

Whoever guesses gets one guess a minute from an address, and one a second from all together, since unchecked tries cost
nothing and a right password could not be told from a guess without a check. The door stays open for the right one: a
browser that is logged in is not asked again, a try waits its turn instead of failing where the turn is near, other
addresses have pauses of their own, one that gave the right password before is not held up by the guesses of others,
and when a flood ends so does the pause.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from detector.web.hosts import household

__all__ = ["LoginBrake"]

FREE = 5
"""Wrong passwords of an address without a pause; then it waits 1 s, 2 s, 4 s and so on."""

LONGEST_S, FORGIVEN_S = 60.0, 900.0
"""The longest pause, and when a wrong password is forgotten."""

PATIENCE_S, WAITING = 4.0, 3
"""A try whose turn comes within so many seconds waits for it; of an address, so many at once."""

BURST = 30
"""Wrong passwords of all addresses together, in a row; after that one a second is checked."""

ADDRESSES = 1024
"""Addresses that are remembered. Who has more is held by the limit for all together."""


@dataclass
class _Lane:
    """What is known of one address."""

    wrong: int = 0
    last: float = 0.0
    trusted: bool = False
    waiting: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def pause(self) -> float:
        """Seconds until its next try."""
        now = time.monotonic()
        if now - self.last > FORGIVEN_S:
            self.wrong = 0
        if self.wrong < FREE:
            return 0.0
        return max(0.0, self.last + min(LONGEST_S, 2.0 ** min(self.wrong - FREE, 10)) - now)


@dataclass
class _Try:
    """One try to log in.

    Attributes:
        refused_s: seconds to wait before another try, if this one may not be checked; else 0.
        right: to be set to whether the password was right; None if there was none to check.
    """

    refused_s: float = 0.0
    right: bool | None = None


class LoginBrake:
    """Says which tries to log in are checked, and when."""

    def __init__(self) -> None:
        self._lanes: OrderedDict[str, _Lane] = OrderedDict()
        self._debt, self._debt_at = 0.0, 0.0  # wrong passwords of all together, paid off at one a second

    @asynccontextmanager
    async def attempt(self, address: str) -> AsyncIterator[_Try]:
        """A try from an IP address, begun when it is its turn: check the password inside, unless it is refused."""
        lane = self._lane(household(address))
        if lane.waiting >= WAITING:
            yield _Try(refused_s=max(1.0, lane.pause()))
            return
        lane.waiting += 1
        try:
            async with lane.turn:
                pause = max(lane.pause(), self._crowd(lane))
                if pause > PATIENCE_S:
                    yield _Try(refused_s=pause)
                    return
                self._debt += 1  # before the check: many wait at once
                each = _Try()
                try:
                    await asyncio.sleep(pause)
                    yield each
                finally:
                    self._learn(lane, each.right)
        finally:
            lane.waiting -= 1

    def _lane(self, key: str) -> _Lane:
        lane = self._lanes.setdefault(key, _Lane())
        self._lanes.move_to_end(key)
        if len(self._lanes) > ADDRESSES:
            strangers = (key for key, each in self._lanes.items() if not each.trusted)
            del self._lanes[next(strangers, next(iter(self._lanes)))]
        return lane

    def _crowd(self, lane: _Lane) -> float:
        """Seconds to wait because of all addresses together."""
        now = time.monotonic()
        self._debt, self._debt_at = max(0.0, self._debt - (now - self._debt_at)), now
        return 0.0 if lane.trusted else self._debt - BURST

    def _learn(self, lane: _Lane, right: bool | None) -> None:
        if right is False:
            lane.wrong, lane.last = lane.wrong + 1, time.monotonic()
        else:
            lane.trusted = lane.trusted or right is True
            self._debt = max(0.0, self._debt - 1)
