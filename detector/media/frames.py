"""What every source has in common: the frame it yields, its context, and reading ahead; and still images."""

from __future__ import annotations

import logging
import os
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import ClassVar, Generic, Literal, TypeVar

from detector.errors import SourceError
from detector.media import images

__all__ = ["CLOSE_S", "POLL_S", "Change", "Frame", "ReadAhead", "Source", "StillSource"]

log = logging.getLogger(__name__)

CLOSE_S = 2.0
"""Closing waits this many seconds for a thread that is blocked in a read, then leaves it to end by itself."""

POLL_S = 0.2
"""Waits are cut into pieces of this length: a lock that is waited for cannot be interrupted by Ctrl-C under Windows."""

STILLS_AHEAD = 2  # pictures decoded before they are asked for
AHEAD_BYTES = 64 << 20  # that wait at most: two frames of 4K video ...
FRAME_BYTES = 16 << 20  # ... or so many for each frame, where more cores want more

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a source.

    Args:
        image: BGR uint8 (H, W, 3), upright, of square pixels.
        index: 0, 1, 2 ... in the order in which the source hands its frames out.
        time: seconds. Of a video file since its first picture, always rising; of a camera or stream the clock
            (``time.time()``) when the picture arrived; None for a still image.
        name: the file, camera or stream the picture is from.
    """

    image: images.Image
    index: int
    time: float | None
    name: str


@dataclass(frozen=True)
class Change:
    """A source was lost, or is back.

    Args:
        what: "lost" or "back".
        time: by the clock (``time.time()``), in seconds.
    """

    what: Literal["lost", "back"]
    time: float


class Source(ABC):
    """Pictures from somewhere: a context manager to be iterated once, like an open file.

    Attributes:
        name: what the user called it, without a password.
        is_live: whether pictures are lost that are not taken in time.
        fps: frames per second, exact (30000/1001 stays); the average where the rate varies, None where it is unknown.
        length: how many frames to expect, for a progress bar; None where it is unknown or endless.
        failures: what could not be read and was passed over.
        losses: how often the connection to a camera or stream was lost.
        changes: when it was lost and when it was back, since somebody last took them out; the newest 64.
        wake: called, by any thread, when there may be something to take: set by who waits for several sources.
    """

    is_live: ClassVar[bool] = False

    def __init__(self, name: str, fps: Fraction | None = None, length: int | None = None) -> None:
        self.name = name
        self.fps = fps
        self.length = length
        self.failures: list[SourceError] = []
        self.losses = 0
        self.changes: deque[Change] = deque(maxlen=64)
        self.wake: Callable[[], object] = lambda: None

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames; raises SourceError when the source breaks."""

    @abstractmethod
    def ready(self) -> bool:
        """Whether the next frame, the end or an error can be taken without waiting; a file begins to be read."""

    def look_ahead(self, begin: Callable[[Frame], object], depth: int) -> None:  # noqa: B027 - not all can
        """Have each frame begun, by the thread that reads it, before it is asked for.

        A live source does nothing: it reads no frame ahead.

        Args:
            begin: called with each frame in turn.
            depth: frames that wait at most; of large ones fewer.
        """

    @abstractmethod
    def close(self) -> None:
        """Release the file, camera or connection; returns within a few seconds, whatever the other side does."""

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ReadAhead(Generic[T]):
    """Runs a generator in a thread of its own, a few items ahead: decoding overlaps with what is done to the frames.

    Nothing is dropped or reordered; an exception of the generator is raised where its item would have been.

    Args:
        items: the generator; it runs, and is closed, in the thread.
        depth: how many items may wait.
        weigh: bytes of an item; of large ones fewer wait, but always one.
        wake: called by the thread when there is something new to take.
    """

    def __init__(
        self,
        items: Generator[T, None, None],
        depth: int,
        weigh: Callable[[T], int] = lambda _: 0,
        wake: Callable[[], object] = lambda: None,
    ) -> None:
        self._items, self._depth, self._weigh, self._wake = items, depth, weigh, wake
        self._begin: Callable[[T], object] = lambda _: None
        self._taken = False
        self._waiting: deque[tuple[T | None, BaseException | None, int]] = deque()
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._fill, name="read-ahead", daemon=True)

    def __iter__(self) -> Iterator[T]:
        if self._taken:
            return  # read once already
        self._taken = True
        self._start()
        try:
            while True:
                with self._changed:
                    while not self._waiting and not self._stopped.is_set():
                        self._changed.wait(POLL_S)
                    if self._stopped.is_set():
                        return
                    item, error, _ = self._waiting.popleft()
                    self._changed.notify_all()
                if error is not None:
                    raise error
                if item is None:
                    return
                yield item
        finally:
            self.close()

    def ready(self) -> bool:
        """Whether an item, the end or an error can be taken without waiting; starts to read."""
        self._start()
        return bool(self._waiting) or self._stopped.is_set()

    def look_ahead(self, begin: Callable[[T], object], depth: int) -> None:
        """Call ``begin``, in the thread, with each item when there is room for it, and let at least so many wait."""
        self._begin, self._depth = begin, max(depth, self._depth)

    def close(self) -> bool:
        """Stop reading; returns whether the generator is at rest, so that what it reads from may be closed."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join(CLOSE_S)
        return not self._thread.is_alive()

    def _start(self) -> None:
        if self._thread.ident is None and not self._stopped.is_set():
            self._thread.start()

    def _fill(self) -> None:
        end: BaseException | None = None
        try:
            with closing(self._items):
                for item in self._items:
                    if not self._put(item, None, self._weigh(item)):
                        return
        except BaseException as error:  # noqa: BLE001, RUF100 - handed over to the thread that takes the items
            end = error
        self._put(None, end, 0)

    def _put(self, item: T | None, error: BaseException | None, weight: int) -> bool:
        with self._changed:
            most = max(AHEAD_BYTES, self._depth * FRAME_BYTES)
            while len(self._waiting) >= self._depth or (
                self._waiting and weight + sum(waiting[2] for waiting in self._waiting) > most
            ):
                if self._stopped.is_set():
                    return False
                self._changed.wait(POLL_S)
            if item is not None:
                self._begin(item)
            self._waiting.append((item, error, weight))
            self._changed.notify_all()
        self._wake()
        return not self._stopped.is_set()


class StillSource(Source):
    """Still images one after the other; a file is decoded while the one before it is worked on.

    Args:
        name: what the user called the whole.
        pictures: (name, function that decodes it) of each image.
        tolerant: pass over what cannot be read, log it and keep it in ``failures``; otherwise it is raised.

    Attributes:
        folders: where its files lie, links and what they lead to.
        tree: the folder from which on all folders are searched, if so.
    """

    folders: frozenset[Path] = frozenset()
    tree: Path | None = None

    def __init__(
        self, name: str, pictures: Sequence[tuple[str, Callable[[], images.Image]]], *, tolerant: bool
    ) -> None:
        super().__init__(name, length=len(pictures))
        self._pictures = pictures
        self._tolerant = tolerant
        self._frames = ReadAhead(self._decode(), STILLS_AHEAD, lambda frame: frame.image.nbytes, lambda: self.wake())

    @classmethod
    def of_files(cls, name: str, paths: Sequence[Path], *, tolerant: bool, tree: Path | None = None) -> StillSource:
        """The image files ``paths``, which were found by a search of ``tree`` if that is given."""
        source = cls(name, [(str(path), partial(images.read, path)) for path in paths], tolerant=tolerant)
        source.folders = frozenset(place.parent for path in paths for place in (path, path.resolve()))
        source.tree = tree
        return source

    def reads_from(self, folder: Path) -> bool:
        """Whether an image that is written into this folder would lie among those that are read."""
        place = Path(os.path.realpath(folder))  # not resolve(): "..", too, of a folder that is not there yet
        above = [parent for parent in (place, *place.parents) if parent.exists()]
        if self.tree and any(parent.samefile(self.tree) for parent in above):
            return True
        return place.exists() and any(own.exists() and place.samefile(own) for own in self.folders)

    @classmethod
    def of_bytes(cls, name: str, data: bytes) -> StillSource:
        """One image that is in memory as a file's bytes."""
        return cls(name, [(name, partial(images.decode, data, name))], tolerant=False)

    def __iter__(self) -> Iterator[Frame]:
        return iter(self._frames)

    def ready(self) -> bool:
        """Whether the next image is decoded, or there is none."""
        return self._frames.ready()

    def look_ahead(self, begin: Callable[[Frame], object], depth: int) -> None:
        """Have each image begun as soon as it is decoded."""
        self._frames.look_ahead(begin, depth)

    def close(self) -> None:
        """Stop reading ahead."""
        self._frames.close()

    def _decode(self) -> Generator[Frame, None, None]:
        index = 0
        for name, load in self._pictures:
            try:
                image = load()
            except SourceError as error:
                if not self._tolerant:
                    raise
                log.warning("%s", error)
                self.failures.append(error)
                continue
            yield Frame(image, index, None, name)
            index += 1
