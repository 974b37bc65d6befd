"""Where faces are between, before and after the frames in which they were found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detector.boxes import overlap

__all__ = ["Trails", "grown"]

BRIDGED_S = 2.0  # so long a face is expected where it is not found, as long as the tracker waits for a person
MOVING_S = 0.5  # and so long on the move
DOUBT = 0.5  # of its size, on each side: by how much a box grows in a second in which nobody saw it
LINKED = 0.1  # least overlap of a face with where it was expected
PACE_S = 0.2  # before and after: the sights that say how fast a face moves

Boxes = npt.NDArray[np.float32]


def grown(boxes: Boxes, share: float) -> Boxes:
    """Boxes (N, 4) or (4,) that are larger by this share of their width and height on each side."""
    size = boxes[..., 2:] - boxes[..., :2]
    return np.concatenate([boxes[..., :2] - share * size, boxes[..., 2:] + share * size], axis=-1).astype(np.float32)


@dataclass
class _Trail:
    """The sights of one face: when, in seconds, always rising, and its box (4,)."""

    times: list[float]
    boxes: list[Boxes]

    def at(self, time: float) -> Boxes | None:
        """Where the face is; None where nobody can know."""
        if time in self.times:
            return self.boxes[self.times.index(time)]
        after = int(np.searchsorted(self.times, time))
        if 0 < after < len(self.times):
            (one, other), (start, end) = self.boxes[after - 1 : after + 1], self.times[after - 1 : after + 1]
            between = one + (other - one) * np.float32((time - start) / (end - start))
            return grown(between, DOUBT * min(time - start, end - time))
        near = min(after, len(self.times) - 1)
        away = time - self.times[near]
        if abs(away) > BRIDGED_S:
            return None
        return grown(
            self.boxes[near] + self._pace(near) * np.float32(np.clip(away, -MOVING_S, MOVING_S)), DOUBT * abs(away)
        )

    def _pace(self, index: int) -> Boxes:
        """Change of the box (4,) in a second, at its first or last sight: of its place alone, not of its size."""
        near = [i for i, time in enumerate(self.times) if abs(time - self.times[index]) <= PACE_S]
        first, last = near[0], near[-1]
        if first == last:
            return np.zeros(4, np.float32)
        moved = (self.boxes[last] - self.boxes[first]) / np.float32(self.times[last] - self.times[first])
        return np.tile((moved[:2] + moved[2:]) / 2, 2)


class Trails:
    """Which boxes are sights of one face, and where it is when it is not found.

    Simpler than the tracker, because it has less to lose: two people who are taken for one are both hidden.
    """

    def __init__(self) -> None:
        self._trails: list[_Trail] = []
        self._newest = -np.inf

    def add(self, time: float, boxes: Boxes, sure: int) -> None:
        """Take the faces of the next frame; a clock that is set back begins anew.

        Args:
            time: of the frame, in seconds.
            boxes: what may be faces (N, 4).
            sure: the first so many are; the others may be sights of a face that is known, but not of a new one.
        """
        if time <= self._newest:
            self._trails.clear()
        self._newest = time
        expected = [(trail, box) for trail in self._trails if (box := trail.at(time)) is not None]
        shared = overlap(np.array([box for _, box in expected]).reshape(-1, 4), boxes)
        free = np.ones(len(boxes), bool)
        for pair in np.argsort(-shared, axis=None, kind="stable").tolist():
            row, column = divmod(pair, len(boxes))
            if shared[row, column] < LINKED:
                break
            trail = expected[row][0]
            if free[column] and trail.times[-1] < time:
                trail.times.append(time)
                trail.boxes.append(boxes[column])
                free[column] = False
        self._trails += [_Trail([time], [box]) for box in boxes[:sure][free[:sure]]]

    def forget(self, time: float) -> None:
        """Nobody will ask for what was before this time."""
        self._trails = [trail for trail in self._trails if trail.times[-1] >= time - BRIDGED_S]
        for trail in self._trails:
            old = max(0, int(np.searchsorted(trail.times, time - PACE_S)) - 1)
            del trail.times[:old], trail.boxes[:old]

    def at(self, time: float) -> Boxes:
        """Where all faces are (N, 4), those that were found at this time too."""
        places = [box for trail in self._trails if (box := trail.at(time)) is not None]
        return np.array(places, np.float32).reshape(-1, 4)
