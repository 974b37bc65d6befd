"""What is done with each frame of one source before it is shown: rest or look, follow, and say what to hide."""

from __future__ import annotations

from collections.abc import Callable

from detector.detections import Detections
from detector.media.blur import BlurSink
from detector.media.frames import Frame
from detector.media.images import Image
from detector.media.rest import Rest
from detector.tracking.tracker import Tracker

__all__ = ["Look"]


class Look:
    """Finds the faces of one source's frames, one after the other.

    Args:
        engine: turns an image into detections.
        conf: faces that are at most this sure are followed and returned no more, but hidden, 0 to 1; for ``blur``,
            the engine should find them from :data:`~detector.media.blur.WEAK` on.
        tracker: gives people their numbers.
        rest: spares the engine while nothing happens.
        on_rest: called for each frame at which the engine did not look.
        blur: is told of everything that may be a face.
    """

    def __init__(
        self,
        engine: Callable[[Image], Detections],
        conf: float = 0.0,
        *,
        tracker: Tracker | None = None,
        rest: Rest | None = None,
        on_rest: Callable[[], None] = lambda: None,
        blur: BlurSink | None = None,
    ) -> None:
        self._engine, self._conf = engine, conf
        self._tracker, self._rest, self._on_rest, self._blur = tracker, rest, on_rest, blur

    def __call__(self, frame: Frame) -> Detections:
        """The faces of the next frame."""
        asked = self._rest is None or self._rest.needs_look(frame)
        found = self._engine(frame.image) if asked else Detections.empty()
        shown = found[found.confidence > self._conf]
        missed = Detections.empty()
        if self._tracker:
            shown = self._tracker.update(shown, frame.time)
            missed = self._tracker.coasting
        if self._blur:
            self._blur.note(frame, found.xyxy, missed.xyxy)
        if not asked:
            self._on_rest()
        elif self._rest:
            self._rest.looked(frame, anybody=len(found) > 0 or len(missed) > 0)
        return shown
