"""Work that a thread does behind whoever asks for it: encoding overlaps with what comes next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from detector.media.frames import AHEAD_BYTES, POLL_S
from detector.media.images import Image

__all__ = ["Backlog"]

BEHIND = 8  # pictures that may wait; of large ones fewer


class Backlog:
    """Pictures that are worked off in their order, while those who hand them in go on.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, name)
        self._waiting: deque[tuple[int, Future[None]]] = deque()

    def add(self, work: Callable[[Image], None], image: Image) -> None:
        """Have this done with the picture; waits while too many others are waiting, and raises what an older one did.

        After an error nothing is undone: what was handed in is still worked off.
        """
        self._waiting.append((image.nbytes, self._thread.submit(work, image)))
        self._settle(BEHIND)

    def finish(self, last: Callable[[], None] = lambda: None) -> None:
        """Work off what is waiting, then do this, and end the thread; raises what one of them did."""
        self._waiting.append((0, self._thread.submit(last)))
        try:
            self._settle(0)
        finally:
            self._thread.shutdown()

    def _settle(self, most: int) -> None:
        """Wait until at most so many pictures are waiting, and they take no more than their share of memory."""
        while self._waiting and (
            len(self._waiting) > most
            or (len(self._waiting) > 1 and sum(size for size, _ in self._waiting) > AHEAD_BYTES)
            or self._waiting[0][1].done()
        ):
            if wait([self._waiting[0][1]], POLL_S).done:
                self._waiting.popleft()[1].result()
