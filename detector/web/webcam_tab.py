"""The webcam tab: the page sends its newest camera picture, gets the faces back, and only then sends the next.

So a picture is never old, whatever the network does, and the server never holds more than one for each viewer: a second
one that comes while one is looked at is not even decoded. Nothing is written to disk.
"""

from __future__ import annotations

import base64
import json
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import gradio as gr

from detector.detections import CLASSES, Detections
from detector.engines import DEFAULT_CONF
from detector.errors import DetectorError, MissingExtraError, SourceError
from detector.evaluation.pages import write_page
from detector.media import images
from detector.media.draw import INK, WORDS
from detector.tracking import Tracker
from detector.web.answers import hex_colour, sentence
from detector.web.engine_pool import FLOOR, BusyError, EnginePool, filter_detections
from detector.web.fields import HIGHEST, script
from detector.web.hosts import household, is_local
from detector.web.sessions import OWNER

__all__ = ["WebcamTab"]

VIEWERS = 8
"""Who can watch at once; a further one waits until somebody stops."""

TIME_LIMIT_S = 120.0
"""Who has watched for so long makes room where somebody waits."""

IDLE_S = 5.0
"""A viewer who has sent nothing for so long has gone."""

MAX_BYTES = 2_000_000
MAX_SIDE = 1920
MAX_SCANS = 16
"""Each part of a progressive JPEG costs a pass over the whole picture; cameras and encoders make ten."""

OVERLAP = 0.6

FOLLOWED = 40
"""In a picture of more faces nobody is followed: what that costs grows faster than their number."""

BROKEN = "The camera's picture did not arrive whole: press Start again"


@dataclass
class _Viewing:
    home: str
    began: float
    last: float
    busy: bool = False
    over: bool = False  # somebody else has its place
    tracker: Tracker | None = None

    def follow(self, found: Detections) -> Detections:
        """The faces with their people's numbers and steady verdicts, where the extra for that is installed."""
        self.tracker = self.tracker or _tracker()
        return self.tracker.update(found, time.monotonic()) if self.tracker and len(found) <= FOLLOWED else found


class WebcamTab:
    """The tab's view, and the answers to its pictures.

    Args:
        pool: the engines.
        viewers: how many can watch at once; half of them from one address, unless it is this computer's own.
        time_limit: seconds that everyone may watch, and longer while nobody waits.
    """

    def __init__(self, pool: EnginePool, viewers: int = VIEWERS, time_limit: float = TIME_LIMIT_S) -> None:
        self.pool, self.viewers, self.time_limit = pool, viewers, time_limit
        self._viewings: dict[str, _Viewing] = {}
        self._lock = threading.Lock()
        _tracker()  # what it imports would keep the first visitor waiting

    def build(self, conf: float) -> None:
        """Put the view here; its slider stands at ``conf``."""

        def live(message: Any, request: gr.Request) -> dict[str, Any]:
            return self.live(message, request.client.host if request.client else "", str(request.scope.get(OWNER, "")))

        classes = [
            {"colour": hex_colour(name), "ink": "rgb({2} {1} {0})".format(*INK[name]), "word": word}
            for name, word in WORDS.items()
        ]
        ends = {"lowest": FLOOR, "highest": HIGHEST, "conf": conf}
        view = write_page("web/webcam.html", settings=json.dumps({"classes": classes}), engines=self.pool.names, **ends)
        gr.HTML(view, js_on_load=script("webcam", "webcam_view"), server_functions=[live], elem_id="live")

    def live(self, message: object, address: str = "127.0.0.1", visitor: str = "") -> dict[str, Any]:
        """One picture of one viewer.

        Args:
            message: ``viewer``, a name that the page made up for this view; ``jpeg``, base64; ``conf``; ``engine``;
                ``cover``, whether faces are to be hidden.
            address: where it comes from.
            visitor: who sends it, as the server knows them: two visitors are two viewers under whatever name.

        Returns:
            ``faces``, [[left, top, right, bottom, confidence, class, person], ...] in pixels of the picture, the person
            -1 where nobody is followed; ``words``; ``people``, how many there were so far, or None; ``cover``, the
            boxes of whatever may be a face; ``ms``. Or ``wait`` with the reason, or ``over`` with the reason.
        """
        if not isinstance(message, dict):
            return {"over": "The page's message could not be read: reload the page"}
        viewer = str(message.get("viewer", ""))[:64]
        conf = message.get("conf")
        conf = min(1.0, max(0.0, conf)) if isinstance(conf, int | float) else DEFAULT_CONF
        try:
            with self._admit(f"{visitor}/{viewer}" if visitor else viewer, household(address)) as viewing:
                image = _decode(message.get("jpeg"))
                timed = self.pool.detect(image, str(message.get("engine", "")))
                found = viewing.follow(filter_detections(timed.found, conf, OVERLAP))
                cover = _unseen(timed.found, viewing.tracker) if message.get("cover") is True else []
        except SourceError as error:
            return {"over": str(error)}
        except DetectorError as error:
            return {"wait": str(error)}
        rows = zip(found, found.track_id.tolist(), strict=True)
        faces = [
            [*_rounded(box), round(confidence, 3), CLASSES.index(name), person]
            for (box, confidence, name), person in rows
        ]
        people = sum(viewing.tracker.counts.values()) if viewing.tracker else None
        answer = {"faces": faces, "words": sentence(found), "people": people, "cover": cover}
        return {**answer, "ms": 1000 * timed.seconds}

    @contextmanager
    def _admit(self, viewer: str, home: str) -> Iterator[_Viewing]:
        """A viewer's place while one picture is looked at.

        Raises:
            SourceError: they have had their time, and somebody else has their place.
            BusyError: they have to wait.
        """
        now = time.monotonic()
        with self._lock:
            self._forget(now)
            viewing = self._viewings.get(viewer) or self._begin(viewer, home, now)
            if viewing.busy:
                raise BusyError("Your last picture is still being looked at")
            if viewing.over:
                watched = viewing.last - viewing.began
                raise SourceError(
                    f"Stopped after {watched:.0f} seconds: somebody else was waiting. Press Start to go on."
                )
            viewing.busy = True
        try:
            yield viewing
        finally:
            viewing.busy, viewing.last = False, time.monotonic()

    def _begin(self, viewer: str, home: str, now: float) -> _Viewing:
        watching = [each for each in self._viewings.values() if not each.over]
        neighbours = [each for each in watching if each.home == home and not is_local(home)]
        full = len(neighbours) >= max(1, self.viewers // 2)
        if full or len(watching) >= self.viewers:
            longest = min(neighbours if full else watching, key=lambda each: each.began)
            if now - longest.began < self.time_limit:
                raise BusyError(f"{self.viewers} people are watching, which is all this computer can do: please wait")
            longest.over = True
        return self._viewings.setdefault(viewer, _Viewing(home, now, now))

    def _forget(self, now: float) -> None:
        """Those who have been silent for long, and after a while those who have had their time."""
        self._viewings = {
            name: each
            for name, each in self._viewings.items()
            if each.busy or now - each.last <= (self.time_limit if each.over else IDLE_S)
        }


def _tracker() -> Tracker | None:
    with suppress(MissingExtraError):
        return Tracker()
    return None


def _unseen(found: Detections, tracker: Tracker | None) -> list[list[float]]:
    """Where a face may be that is not shown as one: too uncertain, or followed and hidden in this picture."""
    boxes = found.xyxy.tolist() + (tracker.coasting.xyxy.tolist() if tracker else [])
    return [_rounded(box) for box in boxes]


def _rounded(box: list[float]) -> list[float]:
    return [round(side, 1) for side in box]


def _decode(jpeg: object) -> images.Image:
    if not isinstance(jpeg, str) or not 0 < len(jpeg) <= MAX_BYTES:
        raise SourceError(BROKEN)
    try:
        data = base64.b64decode(jpeg, validate=True)
    except ValueError as error:  # no base64, or letters beyond ASCII
        raise SourceError(BROKEN) from error
    width, height = _jpeg_size(data)
    if max(width, height) > MAX_SIDE:
        raise SourceError(f"The camera's picture is larger than {MAX_SIDE} px: choose a lower resolution")
    return images.decode(data, "the camera's picture")


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """(width, height) of a JPEG as browsers make it, read as its decoder reads it but without decoding.

    Raises:
        SourceError: it is none, or one that is rare and costs much: 12 bits, lossless, CMYK, hundreds of parts.
    """
    place = 2
    while data[:2] == b"\xff\xd8" and place + 10 <= len(data):
        start, marker, length = struct.unpack_from(">BBH", data, place)
        if start != 0xFF or marker < 0xC0 or marker == 0xDA or length < 2:
            break
        if marker in {0xC0, 0xC1, 0xC2}:  # baseline, extended, progressive
            bits, height, width, colours = struct.unpack_from(">BHHB", data, place + 4)
            usual = bits == 8 and colours in {1, 3} and width and height and data.count(b"\xff\xda") <= MAX_SCANS
            if not usual:
                break
            return width, height
        if 0xC3 <= marker <= 0xCF and marker != 0xC4:  # lossless, hierarchical, arithmetic; C4 is a table
            break
        place += 2 + length
    raise SourceError("The camera's picture must be a JPEG as browsers make it: use the page's own camera view")
