"""Several sources at once, read in turns."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from detector.errors import SourceError
from detector.media.frames import POLL_S, Frame, Source

__all__ = ["in_turns"]

log = logging.getLogger(__name__)


def in_turns(sources: Sequence[Iterable[Frame]]) -> Iterator[tuple[int, Frame] | None]:
    """The frames of several sources, round robin: whose last turn is longest ago is first, if it has something.

    A source that has nothing yet keeps nobody waiting, and has missed nothing: its turn comes when it has. Nothing is
    fetched before its turn, so a live source still hands out its newest picture.

    Args:
        sources: open sources; any other frames are taken to be always there.

    Yields:
        (which source, its frame), or None a few times a second while no source has one.

    Raises:
        SourceError: the source broke off. One of several that does is logged, kept in its ``failures`` and left out.
    """
    news = threading.Event()
    for source in sources:
        if isinstance(source, Source):
            source.wake = news.set
    queue = deque((index, source, iter(source)) for index, source in enumerate(sources))
    while queue:
        news.clear()
        turn = next((turn for turn in queue if not isinstance(turn[1], Source) or turn[1].ready()), None)
        if turn is None:
            if not news.wait(POLL_S):
                yield None
            continue
        queue.remove(turn)
        index, source, frames = turn
        try:
            frame = next(frames, None)
        except SourceError as error:
            if len(sources) == 1 or not isinstance(source, Source):
                raise
            log.error("%s%s", error, "; the other sources go on" if queue else "")
            source.failures.append(error)
            continue
        if frame is not None:
            queue.append(turn)
            yield index, frame
