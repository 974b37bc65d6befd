"""What happens, as JSON Lines: somebody appears, changes verdict or leaves; a source is lost or back."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path

from detector.detections import Detections
from detector.media.frames import Change, Frame
from detector.media.records import TextSink
from detector.tracking.tracker import Event, Tracker

__all__ = ["EventSink"]

DIGITS = {"time": 6, "confidence": 4, "seen_s": 2}  # after the point


class EventSink(TextSink):
    """One JSON object per event: event, source, time; of a person also number, verdict, confidence, seen_s, box.

    Each is a whole line as soon as it is written, also of a process that is killed.

    Args:
        target: a file that does not exist yet, or "-" for standard output.
        trackers: of each source, by its name; their ``on_event`` is taken.

    Raises:
        OutputError: the file exists or cannot be made.
    """

    def __init__(self, target: Path | str, trackers: Mapping[str, Tracker]) -> None:
        super().__init__(target)
        self._trackers = list(trackers.values())
        self._waiting: deque[dict[str, object]] = deque()  # the trackers may run in another thread than the sinks
        for name, tracker in trackers.items():
            tracker.on_event = partial(self._note, name)

    def write(self, frame: Frame, detections: Detections) -> None:  # noqa: ARG002 - the trackers have told all
        """Write what has happened since the frame before."""
        self.idle()

    def idle(self) -> None:
        """Write what has happened."""
        while self._waiting:
            self._emit(json.dumps(self._waiting.popleft()) + "\n")

    def source_changed(self, source: str, change: Change) -> None:
        """Write that a source was lost or is back."""
        self._waiting.append({"event": change.what, "source": source, "time": round(change.time, 6)})
        self.idle()

    def close(self) -> None:
        """Whoever is still here leaves; then close the file."""
        try:
            for tracker in self._trackers:
                tracker.finish()
            self.idle()
        finally:
            self._trackers.clear()
            super().close()

    def _note(self, source: str, event: Event) -> None:
        person = asdict(event)
        what = person.pop("what")
        rounded = {name: person[name] and round(person[name], digits) for name, digits in DIGITS.items()}
        box = [round(value, 2) for value in event.box]
        self._waiting.append({"event": what, "source": source, **person, **rounded, "box": box})
