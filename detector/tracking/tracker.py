"""Follow faces from frame to frame and give each person one number and one steady verdict.

Which face is which says ByteTrack (Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection
Box", ECCV 2022) in the library ``trackers``; what the person wears is summed here (:mod:`detector.tracking.verdict`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detector.detections import Detections
from detector.errors import require_extra
from detector.tracking.verdict import Person

__all__ = ["Tracker"]

LOST_S = 2.0  # a person out of sight for longer has left
STEP_S = 1 / 30  # between two frames where the clock says nothing sensible
CERTAIN = 0.5  # a face that is less sure continues a track, but starts none
LEAST_OVERLAP = 0.1  # with where the face is expected


class Tracker:
    """The people before one camera, or in one video: one for each source.

    Attributes:
        people: everybody whose verdict was settled so far, by number.

    Raises:
        MissingExtraError: the extra ``track`` is not installed.
    """

    def __init__(self) -> None:
        require_extra("track", "trackers")
        from trackers import ByteTrackTracker  # here: it takes over a second to import

        self.people: list[Person] = []
        self._byte_track: Any = ByteTrackTracker(
            lost_track_buffer=round(LOST_S * 30),
            track_activation_threshold=CERTAIN,
            high_conf_det_threshold=CERTAIN,
            minimum_iou_threshold=LEAST_OVERLAP,
        )
        self._followed: dict[int, Person] = {}  # under the library's own numbers
        self._visible: set[int] = set()
        self._clock = 0.0  # the source's time without its jumps backwards
        self._last: float | None = None

    def update(self, detections: Detections, time_s: float | None) -> Detections:
        """Take the faces of the next frame.

        Args:
            detections: what the engine found, N faces.
            time_s: of the frame, in seconds, as :attr:`detector.media.frames.Frame.time`. A clock that is set back
                counts as one frame later.

        Returns:
            The same N boxes in their order; where the person's verdict is settled, with ``track_id`` and the steady
            class and confidence, else as the engine found them.
        """
        from supervision import Detections as Boxes

        self._advance(time_s)
        rows = np.arange(len(detections))
        boxes = Boxes(xyxy=detections.xyxy, confidence=detections.confidence, class_id=rows)
        matched = self._byte_track.update(boxes, timestamp=self._clock)
        tracks = np.full(len(detections), -1)
        tracks[matched.class_id] = matched.tracker_id
        self._visible = set(tracks.tolist()) - {-1}
        for row in np.flatnonzero(tracks >= 0):
            self._look(int(tracks[row]), detections, int(row))
        self._let_go()
        return self._steady(detections, tracks.tolist())

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
            np.array([person.leading for person in people], np.int64),
            np.array([person.number for person in people], np.int64),
        )

    def _advance(self, time_s: float | None) -> None:
        if time_s is not None and self._last is None:
            self._clock = time_s
        else:
            elapsed = 0.0 if time_s is None or self._last is None else time_s - self._last
            self._clock += elapsed if elapsed > 0 else STEP_S
        self._last = time_s

    def _look(self, track: int, detections: Detections, row: int) -> None:
        person = self._followed.setdefault(track, Person(self._clock))
        person.box = tuple(detections.xyxy[row].tolist())
        person.look(int(detections.class_id[row]), float(detections.confidence[row]), self._clock)
        if person.class_id >= 0 and person.number < 0:
            self.people.append(person)
            person.number = len(self.people)

    def _let_go(self) -> None:
        alive = {track.tracker_id for track in self._byte_track.tracks}
        for track in [track for track in self._followed if track not in alive]:
            self._followed.pop(track).present = False

    def _steady(self, detections: Detections, tracks: list[int]) -> Detections:
        confidence, class_id = detections.confidence.copy(), detections.class_id.copy()
        track_id = np.full(len(detections), -1, np.int64)
        for row, track in enumerate(tracks):
            person = self._followed.get(track)
            if person is not None and person.number > 0:
                track_id[row], class_id[row], confidence[row] = person.number, person.class_id, person.confidence
        return Detections(detections.xyxy, confidence, class_id, track_id)
