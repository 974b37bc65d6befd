"""The next batch is prepared while the last one is learnt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["ahead"]

T = TypeVar("T")


def ahead(prepare: Callable[[int], T], starts: Iterable[int]) -> Iterator[T]:
    """``map(prepare, starts)``, one ahead, in a thread: numpy and OpenCV let go of Python's lock while they work."""
    with ThreadPoolExecutor(1) as pool:
        coming = None
        for start in starts:
            coming, ready = pool.submit(prepare, start), coming
            if ready:
                yield ready.result()
        if coming:
            yield coming.result()
