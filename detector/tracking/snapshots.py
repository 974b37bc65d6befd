"""One picture of each person, at the moment when the face was best to be seen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from detector.detections import CLASSES, Detections
from detector.files import make_folder, write_file
from detector.media import images
from detector.media.frames import Frame
from detector.media.images import Image
from detector.media.sinks import Sink, cut_out
from detector.tracking.tracker import LOST_S

__all__ = ["SnapshotSink"]

MARGIN = 0.6  # of the face's sides, shown around it
PROBE_PX = 48  # a face is shrunk to this to see how sharp it is
QUALITY = 90  # of the JPEG


@dataclass
class _Best:
    """The best look at one person so far."""

    image: Image
    score: float
    class_id: int
    seen_s: float


class SnapshotSink(Sink):
    """Writes ``<name>_<number>_<verdict>.jpg`` when a person has left, or when the run ends.

    The face is cut out with some of what is around it, from the frame in which it was large and sharp; a verdict that
    changes begins anew. A name that is taken gets ``-2``, ``-3`` ...

    Args:
        folder: made if it is missing.
        name: what the file names begin with.

    Raises:
        OutputError: the folder cannot be made.
    """

    def __init__(self, folder: Path, name: str) -> None:
        make_folder(folder)
        self._place = folder / name
        self._best: dict[int, _Best] = {}

    def write(self, frame: Frame, detections: Detections) -> None:
        """Look at each numbered person of one frame."""
        now = frame.time or 0.0
        for row in np.flatnonzero(detections.track_id > 0).tolist():
            number, class_id = int(detections.track_id[row]), int(detections.class_id[row])
            best, score = self._best.get(number), _score(frame.image, detections.xyxy[row])
            if best is None or best.class_id != class_id or score > best.score:
                best = self._best[number] = _Best(
                    cut_out(frame.image, detections.xyxy[row], MARGIN), score, class_id, now
                )
            best.seen_s = now
        for number, best in list(self._best.items()):
            if now - best.seen_s > LOST_S + 1:  # the tracker has let go of this number
                self._save(number)

    def close(self) -> None:
        """Write the pictures of those who are still here."""
        for number in list(self._best):
            self._save(number)

    def _save(self, number: int) -> None:
        best = self._best.pop(number)
        path = self._place.with_name(f"{self._place.name}_{number:04d}_{CLASSES[best.class_id]}.jpg")
        write_file(path, images.encode(best.image, path.suffix, QUALITY), free=True)


def _score(image: Image, box: np.ndarray) -> float:
    """How well a face can be seen: its shorter side in pixels, times how much of its contrast is in fine detail."""
    grey = cv2.cvtColor(cut_out(image, box, 0.0), cv2.COLOR_BGR2GRAY)
    probe = cv2.resize(grey, (PROBE_PX, PROBE_PX), interpolation=cv2.INTER_AREA).astype(np.float32)
    detail = cv2.Laplacian(probe, cv2.CV_32F).std() / (probe.std() + 1)
    return float(min(grey.shape) * detail)
