"""The network on all cores: frames of files are looked at while they are read, before anyone asks for their faces."""

from __future__ import annotations

import logging
import math
import statistics
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import partial
from itertools import chain, pairwise
from queue import SimpleQueue

from detector.detections import Detections
from detector.engines.image_network import Engine, Image
from detector.engines.session import Closing
from detector.errors import DetectorError
from detector.media.frames import POLL_S, Frame, Source

__all__ = ["Ahead"]

log = logging.getLogger(__name__)

SHORTEST = 200  # frames: loading further engines and the trial take as long as 20 of them
TRIAL_AT = 16  # the first frames come before it: a program's start is no time to measure
TRIAL_CALLS = 3  # of each engine


class Ahead(Closing):
    """An engine that has looked at a file's frames by the time it is called with their images.

    One engine with N threads leaves cores idle wherever its threads wait for each other, from layer to layer; N engines
    with one thread each do not, but a frame takes N times as long in them. So in a file that is long enough both are
    timed on one frame, the one after the other, and the rest is done by what is faster. Each frame's faces are the same
    as without, and come to whoever calls in whatever order the images are asked for; so does an error.

    Args:
        engine: what looks at the frames until then, and at all images of sources that are not followed.
        another: makes an engine of one thread that is like it; None where it has the cores of a graphics card.
        threads: how many frames may be looked at at once.
    """

    def __init__(self, engine: Engine, another: Callable[[], Engine] | None, threads: int) -> None:
        self.engine, self._another, self._threads = engine, another if threads > 1 else None, threads
        self._free: SimpleQueue[Engine] = SimpleQueue()
        self._free.put(engine)
        self._single: list[Engine] = []
        self._begun: dict[int, tuple[weakref.ref[Image], Future[Detections]]] = {}
        self._pool = ThreadPoolExecutor(threads, "look-ahead")

    def follow(self, source: Source, every: int = 1) -> None:
        """Look at the frames of this source, or at each so-many-th, as they are read; a live one reads none ahead."""
        length = source.length or SHORTEST
        if length > 1:
            trial = TRIAL_AT if source.length else SHORTEST // 2
            source.look_ahead(partial(self._begin, trial if length >= SHORTEST else math.inf, every), self._threads + 2)

    def __call__(self, image: Image) -> Detections:
        """The faces in one BGR uint8 (H, W, 3) image; waits until it was looked at.

        Raises:
            ModelError: the network fails on it.
        """
        begun = self._begun.pop(id(image), None)
        if begun is None:
            return self.engine(image)
        while not wait([begun[1]], POLL_S).done:
            pass
        return begun[1].result()

    def close(self) -> None:
        """Give up what nobody has asked for, and free the memory of all engines but the first."""
        self._pool.shutdown(cancel_futures=True)
        for engine in self._single:
            engine.close()

    def _begin(self, trial: float, every: int, frame: Frame) -> None:
        if frame.index % every:
            return
        look = self._look
        if frame.index >= trial and self._another:
            look = partial(self._try, self._another)
            self._another = None
        key, image = id(frame.image), frame.image
        gone = weakref.ref(image, lambda _: self._begun.pop(key, None))  # nobody will ask for it
        self._begun[key] = gone, self._pool.submit(look, image)

    def _look(self, image: Image) -> Detections:
        engine = self._free.get()
        try:
            return engine(image)
        finally:
            self._free.put(engine)

    def _try(self, another: Callable[[], Engine], image: Image) -> Detections:
        """Look at an image, then time both ways on it, undisturbed, and leave free what is faster."""
        chosen: Sequence[Engine] = [self._free.get()]
        try:
            found = chosen[0](image)
            together = _seconds(chosen, image)
            with suppress(DetectorError), ThreadPoolExecutor(self._threads, "load") as loading:
                self._single = list(loading.map(lambda _: another(), range(self._threads)))
                apart = _seconds(self._single, image) / self._threads
                if apart < together:
                    chosen = self._single
                log.debug("a frame takes %.1f ms in one engine, %.1f in several", 1e3 * together, 1e3 * apart)
            return found
        finally:
            for engine in chosen:
                self._free.put(engine)


def _seconds(engines: Sequence[Engine], image: Image) -> float:
    """What a call takes while all of these engines are called at once: the median, for one call may be disturbed."""

    def work(engine: Engine) -> list[float]:
        engine(image)  # takes the memory that it will need
        times = [time.perf_counter()]
        for _ in range(TRIAL_CALLS):
            engine(image)
            times.append(time.perf_counter())
        return [after - before for before, after in pairwise(times)]

    with ThreadPoolExecutor(len(engines), "trial") as pool:
        return statistics.median(chain.from_iterable(pool.map(work, engines)))
