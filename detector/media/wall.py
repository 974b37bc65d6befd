"""Several sources in one window, a tile for each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from detector.detections import Detections
from detector.media.draw import draw, draw_status
from detector.media.frames import Frame
from detector.media.images import Image
from detector.media.sinks import Sink
from detector.media.window import LARGEST, Rate, WindowSink, status

__all__ = ["tiles"]


def tiles(window: WindowSink, names: Sequence[str]) -> Sequence[Sink]:
    """A sink for each source, which shows its frames in this window: one alone fills it, several stand side by side."""
    return [window] if len(names) == 1 else _Wall(window, names).tiles


class _Wall:
    """Several sources in one window: the tiles side by side, each with its source's name.

    Args:
        window: shows the wall.
        names: of the sources.
    """

    def __init__(self, window: WindowSink, names: Sequence[str]) -> None:
        self.window = window
        columns = math.ceil(math.sqrt(len(names)))
        width, height = LARGEST[0] // columns, LARGEST[1] // math.ceil(len(names) / columns)
        self._canvas = np.zeros((height * math.ceil(len(names) / columns), width * columns, 3), np.uint8)
        self.tiles = []
        for index, name in enumerate(names):
            row, column = divmod(index, columns)
            place = self._canvas[row * height : (row + 1) * height, column * width : (column + 1) * width]
            self.tiles.append(_Tile(self, name, place))

    def show(self) -> None:
        """Show all tiles as they are now."""
        for tile in self.tiles:
            tile.say_how_old()
        self.window.show(self._canvas)


class _Tile(Sink):
    """One source's part of a wall.

    Args:
        wall: what it is a part of.
        name: of the source.
        place: BGR uint8 (H, W, 3), the part of the wall's picture to paint.
    """

    def __init__(self, wall: _Wall, name: str, place: Image) -> None:
        self._wall, self._name, self._place = wall, name, place
        self._rate = Rate()
        self._picture: Image | None = None

    @property
    def closed(self) -> bool:  # type: ignore[override]
        """Whether the viewer has closed the window."""
        return self._wall.window.closed

    def write(self, frame: Frame, detections: Detections) -> None:
        """Show a frame: scaled before it is drawn on, so that letters and lines can be read."""
        self._rate.tick()
        height, width = self._place.shape[:2]
        scale = min(width / frame.image.shape[1], height / frame.image.shape[0])
        small = cv2.resize(frame.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:height, :width]
        drawn = draw(np.asarray(small, np.uint8), replace(detections, xyxy=detections.xyxy * scale))
        y, x = (height - drawn.shape[0]) // 2, (width - drawn.shape[1]) // 2
        self._picture = np.zeros_like(self._place)
        self._picture[y : y + drawn.shape[0], x : x + drawn.shape[1]] = drawn
        self._place[:] = draw_status(self._picture, f"{self._name}   {status(self._rate.fps, detections)}")
        self._wall.show()

    def say_how_old(self) -> None:
        """Write into the tile for how long nothing has come."""
        stale = self._rate.stale()
        if self._picture is not None and stale:
            self._place[:] = draw_status(self._picture, f"{self._name}   {stale}")

    def idle(self) -> None:
        """Let the viewer end the show, and see that nothing comes."""
        self._wall.show()

    def close(self) -> None:
        """Do nothing: the window is closed as a whole."""
