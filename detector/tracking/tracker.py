"""Follow faces from frame to frame and give each person one number and one steady verdict.

Which face is which says ByteTrack (Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection
Box", ECCV 2022) in the library ``trackers``, with the grown boxes of C-BIoU (Yang et al., "Hard to Track Objects with
Irregular Motions and Similar Appearances?", WACV 2023). Its guess where a hidden face has gone drifts away within a
second, so a new track near where somebody was last seen is that person. What the person wears is weighed in
:mod:`detector.tracking.verdict`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from detector.detections import CLASSES, Detections
from detector.errors import require_extra
from detector.tracking.verdict import Person

__all__ = ["Event", "Tracker"]

LOST_S = 3.0  # who is out of sight for longer has left
REACH = 2.0  # widths of a face: how far from where it was last seen a hidden face is found again
STEP_S = 1 / 30  # between two frames where the clock says nothing sensible
CERTAIN = 0.25  # a face that is less sure continues a track, but starts none: people are counted by their evidence
LEAST_OVERLAP = 0.1  # of a face with where it is expected, both grown ...
GROWN = 0.2  # ... by this share of their sides on each: small faces move by more than their width from frame to frame


@dataclass(frozen=True)
class Event:
    """What happened to one person.

    Args:
        what: the verdict was settled, has changed, or nobody has seen the person for three seconds.
        time: of the frame that brought it, as :attr:`detector.media.frames.Frame.time`.
        number: the person's, 1, 2, 3 ...
        verdict: the steady class.
        confidence: of the verdict, 0 to 1.
        seen_s: seconds that the person was in view until then.
        box: left, top, right, bottom of the face where it was last seen, px.
    """

    what: Literal["appears", "changes", "leaves"]
    time: float | None
    number: int
    verdict: str
    confidence: float
    seen_s: float
    box: tuple[float, float, float, float]


class Tracker:
    """The people before one camera, or in one video: one for each source.

    Args:
        on_event: called within ``update`` when somebody appears, changes or leaves.

    Attributes:
        counts: how many people there were so far, by the name of their verdict, the latest of each.

    Raises:
        MissingExtraError: the extra ``track`` is not installed.
    """

    def __init__(self, on_event: Callable[[Event], object] | None = None) -> None:
        require_extra("track", "trackers")
        from supervision import Detections as Boxes  # here: they take over a second to import
        from trackers import BIoU, ByteTrackTracker

        self.on_event = on_event
        self.counts = dict.fromkeys(CLASSES, 0)
        self._byte_track: Any = ByteTrackTracker(
            lost_track_buffer=round(LOST_S * 30),
            track_activation_threshold=CERTAIN,
            high_conf_det_threshold=CERTAIN,
            minimum_iou_threshold=LEAST_OVERLAP,
            iou=BIoU(GROWN),
        )
        self._boxes = Boxes
        self._followed: dict[int, Person] = {}  # under the library's own numbers
        self._visible: set[int] = set()
        self._clock = 0.0  # the source's time without its jumps backwards
        self._time: float | None = None

    @property
    def people(self) -> list[Person]:
        """Who is here now, seen in the last frame or not, as far as their verdicts are settled; by number."""
        return sorted((one for one in self._followed.values() if one.number > 0), key=lambda one: one.number)

    def update(self, detections: Detections, time_s: float | None) -> Detections:
        """Take the faces of the next frame.

        Args:
            detections: what the engine found, N faces.
            time_s: of the frame, in seconds, as :attr:`detector.media.frames.Frame.time`. A clock that is set back, or
                no time, counts as one frame later; of one that is set forward nobody is found again.

        Returns:
            The same N boxes in their order, with the class and confidence that the frames so far say of each person,
            and with ``track_id`` once the verdict is settled.
        """
        self._advance(time_s)
        boxes = self._boxes(detections.xyxy, confidence=detections.confidence, class_id=np.arange(len(detections)))
        matched = self._byte_track.update(boxes, timestamp=self._clock)
        tracks = np.full(len(detections), -1)
        tracks[matched.class_id] = matched.tracker_id
        self._visible = set(tracks.tolist()) - {-1}
        for row in np.flatnonzero(tracks >= 0).tolist():
            self._look(int(tracks[row]), detections, row)
        self._let_go(LOST_S)
        return self._steady(detections, tracks.tolist())

    def finish(self) -> None:
        """The last frame was taken: whoever is still here leaves. The counts stay."""
        self._let_go(-1.0)

    @property
    def coasting(self) -> Detections:
        """Where followed faces that the last frame did not show are expected; unsettled ones have no number."""
        expected = self._byte_track.tracked_objects
        keys = expected.tracker_id.tolist()
        hidden = [row for row, key in enumerate(keys) if key in self._followed and key not in self._visible]
        people = [self._followed[keys[row]] for row in hidden]
        return Detections(
            expected.xyxy[hidden].reshape(-1, 4),
            np.array([person.confidence for person in people], np.float32),
            np.array([person.class_id for person in people], np.int64),
            np.array([person.number for person in people], np.int64),
        )

    def _advance(self, time_s: float | None) -> None:
        if time_s is not None and self._time is None:
            self._clock = time_s
        else:
            elapsed = 0.0 if time_s is None or self._time is None else time_s - self._time
            self._clock += elapsed if elapsed > 0 else STEP_S
        self._time = time_s

    def _look(self, track: int, detections: Detections, row: int) -> None:
        """Weigh what one frame says of one person."""
        left, top, right, bottom = box = tuple(detections.xyxy[row].tolist())
        if track not in self._followed:
            self._followed[track] = self._found_again(box) or Person(self._clock)
        person = self._followed[track]
        before = person.verdict
        person.box = (left, top, right, bottom)
        person.look(int(detections.class_id[row]), float(detections.confidence[row]), self._clock)
        if person.verdict != before:
            self.counts[person.verdict] += 1
            if before:
                self.counts[before] -= 1
            else:
                person.number = sum(self.counts.values())
            self._tell("changes" if before else "appears", person)

    def _found_again(self, box: tuple[float, ...]) -> Person | None:
        """The hidden person whom a new track continues: a face of that size was last seen not far from there."""
        near = []
        for track, person in self._followed.items():
            if track not in self._visible:
                one, other = np.reshape(box, (2, 2)), np.reshape(person.box, (2, 2))
                sides = (one[1] - one[0]).min(), (other[1] - other[0]).min()
                distance = float(np.hypot(*(one - other).mean(axis=0)) / max(sides))
                if distance < REACH and max(sides) < 1.6 * min(sides):
                    near.append((distance, track))
        return self._followed.pop(min(near)[1]) if near else None

    def _let_go(self, patience_s: float) -> None:
        for track, person in list(self._followed.items()):
            if self._clock - person.last_s > patience_s:
                del self._followed[track]
                if person.number > 0:
                    self._tell("leaves", person)

    def _tell(self, what: Literal["appears", "changes", "leaves"], one: Person) -> None:
        if self.on_event:
            self.on_event(Event(what, self._time, one.number, one.verdict, one.confidence, one.seen_s, one.box))

    def _steady(self, detections: Detections, tracks: list[int]) -> Detections:
        confidence, class_id = detections.confidence.copy(), detections.class_id.copy()
        track_id = np.full(len(detections), -1, np.int64)
        for row, track in enumerate(tracks):
            person = self._followed.get(track)
            if person is not None:
                track_id[row], class_id[row], confidence[row] = person.number, person.class_id, person.confidence
        return Detections(detections.xyxy, confidence, class_id, track_id)
