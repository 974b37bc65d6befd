"""Times that rise, whatever the clock behind them does."""

from __future__ import annotations

__all__ = ["GAP_S", "Timeline"]

GAP_S = 3600.0
"""A longer pause between two pictures is a clock that was set, not a pause."""

JITTER_S = 0.1  # a time that falls back by less is not a restart, but two frames in the wrong order


class Timeline:
    """Seconds since the first picture, rising from each to the next.

    Recordings that were joined, cameras that restart, clocks that are set: where the times behind fall back or leap,
    the next picture follows the one before it at the pace until then, and those after it keep their distance to it.

    Args:
        step_s: between two pictures, as long as nothing better is known.
        gap_s: the longest pause that is believed.

    Attributes:
        breaks: how often the times behind fell back or leapt.
        first: the first of them, in seconds of their own.
    """

    def __init__(self, step_s: float, gap_s: float = GAP_S) -> None:
        self._step_s, self._gap_s = step_s, gap_s
        self._before = 0.0  # as it came
        self._last = -1.0  # as it was handed on
        self._offset = 0.0
        self.breaks = 0
        self.first: float | None = None

    def place(self, time: float | None) -> float:
        """Where the next picture belongs; ``time`` is None for one without."""
        if self.first is None:
            self.first = self._before = time or 0.0
            self._last = 0.0
            return 0.0
        if time is None:
            time = self._before + self._step_s
        pace = time - self._before
        if pace <= -max(JITTER_S, self._step_s) or pace > self._gap_s:
            self.breaks += 1
            self._offset += self._step_s - pace
        elif pace > 0:
            self._step_s = pace
        self._before = time
        self._last = max(time - self.first + self._offset, self._last + 0.001 * min(self._step_s, 1.0))
        return self._last
