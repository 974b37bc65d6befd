"""Still images: files, the matches of a pattern, a picture from a pipe or a URL."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from pathlib import Path

from detector.errors import SourceError
from detector.media import images
from detector.media.frames import Frame, ReadAhead, Source

__all__ = ["StillSource"]

log = logging.getLogger(__name__)

AHEAD = 2  # pictures decoded before they are asked for


class StillSource(Source):
    """Still images one after the other; a file is decoded while the one before it is worked on.

    Args:
        name: what the user called the whole.
        pictures: (name, function that decodes it) of each image.
        tolerant: pass over what cannot be read, log it and keep it in ``failures``; otherwise it is raised.
    """

    def __init__(
        self, name: str, pictures: Sequence[tuple[str, Callable[[], images.Image]]], *, tolerant: bool
    ) -> None:
        super().__init__(name, length=len(pictures))
        self._pictures = pictures
        self._tolerant = tolerant
        self._frames = ReadAhead(self._decode(), AHEAD, lambda frame: frame.image.nbytes)

    @classmethod
    def of_files(cls, name: str, paths: Sequence[Path], *, tolerant: bool) -> StillSource:
        """The image files ``paths``."""
        return cls(name, [(str(path), partial(images.read, path)) for path in paths], tolerant=tolerant)

    @classmethod
    def of_bytes(cls, name: str, data: bytes) -> StillSource:
        """One image that is in memory as a file's bytes."""
        return cls(name, [(name, partial(images.decode, data, name))], tolerant=False)

    def __iter__(self) -> Iterator[Frame]:
        return iter(self._frames)

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
