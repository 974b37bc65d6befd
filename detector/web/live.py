"""The live view: the page sends its newest camera picture, gets the faces back, and only then sends the next.

So a picture is never old, whatever the network does, and the server never holds more than one for each viewer. Nothing
is written to disk.
"""

from __future__ import annotations

import base64
import binascii
import threading
import time
from dataclasses import dataclass
from typing import Any

from detector.detections import CLASSES
from detector.engines import DEFAULT_CONF
from detector.errors import DetectorError, SourceError
from detector.media import images
from detector.web.bench import Bench, narrowed
from detector.web.words import sentence

__all__ = ["TIME_LIMIT_S", "VIEWERS", "LiveDesk"]

VIEWERS = 8
"""Who can watch at once; a further one waits until somebody stops."""

TIME_LIMIT_S = 120.0
"""After this a view stops by itself: a page that somebody forgot does not take the place of others."""

IDLE_S = 5.0
"""A viewer who has sent nothing for so long has gone."""

MAX_BYTES = 2_000_000
MAX_SIDE = 1920
OVERLAP = 0.6


@dataclass
class _Viewing:
    began: float
    last: float


class LiveDesk:
    """Answers the live view's pictures.

    Args:
        bench: the engines.
        viewers: how many can watch at once.
        time_limit: seconds after which a view stops.
    """

    def __init__(self, bench: Bench, viewers: int = VIEWERS, time_limit: float = TIME_LIMIT_S) -> None:
        self.bench, self.viewers, self.time_limit = bench, viewers, time_limit
        self._viewings: dict[str, _Viewing] = {}
        self._over: dict[str, float] = {}
        self._lock = threading.Lock()

    def live(self, message: dict[str, Any]) -> dict[str, Any]:
        """One picture of one viewer.

        Args:
            message: ``viewer``, a name that the page made up for this view; ``jpeg``, base64; ``conf``; ``engine``.

        Returns:
            ``faces``, [[left, top, right, bottom, confidence, class], ...] in pixels of the picture, ``words``,
            ``masked``, ``bare``, ``ms`` and ``left`` (seconds until the view stops); or ``wait`` with the reason, or
            ``over`` with the reason.
        """
        try:
            left = self._admit(str(message.get("viewer", ""))[:64])
            if isinstance(left, dict):
                return left
            image = _decode(message.get("jpeg"))
            look = self.bench.look(image, str(message.get("engine", "")))
            found = narrowed(look.found, _fraction(message.get("conf")), OVERLAP)
        except SourceError as error:
            return {"over": str(error)}
        except DetectorError as error:
            return {"wait": str(error)}
        faces = [
            [*(round(side, 1) for side in box), round(confidence, 3), CLASSES.index(name)]
            for box, confidence, name in found
        ]
        counts = {"masked": found.count("with_mask"), "bare": found.count("without_mask")}
        return {"faces": faces, "words": sentence(found), **counts, "ms": 1000 * look.seconds, "left": left}

    def _admit(self, viewer: str) -> float | dict[str, Any]:
        """Seconds that a viewer has left, or why there are none."""
        now = time.monotonic()
        with self._lock:
            for name in [name for name, viewing in self._viewings.items() if now - viewing.last > IDLE_S]:
                del self._viewings[name]
            self._over = {name: when for name, when in self._over.items() if now - when < self.time_limit}
            if viewer in self._over:
                return {"over": self._limit()}
            if viewer not in self._viewings and len(self._viewings) >= self.viewers:
                return {"wait": f"{self.viewers} people are watching, which is all this computer can do: please wait"}
            viewing = self._viewings.setdefault(viewer, _Viewing(now, now))
            viewing.last = now
            left = self.time_limit - (now - viewing.began)
            if left <= 0:
                del self._viewings[viewer]
                self._over[viewer] = now
                return {"over": self._limit()}
            return left

    def _limit(self) -> str:
        return f"Stopped after {self.time_limit:.0f} seconds, so that others can watch too. Press Start to go on."


def _decode(jpeg: object) -> images.Image:
    if not isinstance(jpeg, str) or not 0 < len(jpeg) <= MAX_BYTES:
        raise SourceError("The camera's picture did not arrive whole: press Start again")
    try:
        image = images.decode(base64.b64decode(jpeg, validate=True), "the camera's picture")
    except binascii.Error as error:
        raise SourceError("The camera's picture did not arrive whole: press Start again") from error
    if max(image.shape[:2]) > MAX_SIDE:
        raise SourceError(f"The camera's picture is larger than {MAX_SIDE} px: choose a lower resolution")
    return image


def _fraction(value: object) -> float:
    return min(1.0, max(0.0, float(value))) if isinstance(value, int | float) else DEFAULT_CONF
