"""How far a training is, on a terminal and in a log file, and what is kept when it is stopped."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

from detector.cli import progress_bar
from detector.training.results import EpochResult
from detector.training.single_stage.yolo_training import last_checkpoint

if TYPE_CHECKING:
    from tqdm import tqdm

__all__ = ["TrainingProgress", "clock", "training_progress"]

log = logging.getLogger("detector.train")

T = TypeVar("T")


class TrainingProgress:
    """A bar per epoch on a terminal, a line per epoch everywhere."""

    def __init__(self) -> None:
        self._bar: tqdm[NoReturn] | None = None
        self._began: float | None = None
        self._epochs_here = 0

    def __call__(self, items: Sequence[T], title: str) -> Iterable[T]:
        """Show a loop over files."""
        return progress_bar(items, title)

    def on_step(self, epoch: int, epochs: int, step: int, steps: int, loss: float) -> None:
        """Move the bar."""
        self._began = self._began or time.monotonic()
        if self._bar is None:
            from tqdm import tqdm

            title = f"epoch {epoch}/{epochs}"
            self._bar = tqdm(total=steps, desc=title, leave=False, disable=not sys.stderr.isatty(), unit="step")
        self._bar.n = step
        self._bar.set_postfix_str(f"loss {loss:.2f}")
        if step == steps:
            self._bar.set_description_str(f"epoch {epoch}/{epochs}, validating")

    def on_epoch(self, result: EpochResult) -> None:
        """Replace the bar by a line."""
        self.close()
        self._epochs_here += 1
        so_far = time.monotonic() - (self._began or time.monotonic())
        left = so_far / self._epochs_here * (result.epochs - result.epoch)
        log.info(
            "epoch %d/%d  loss %.2f  one-word AP50 %.3f%s  %s  (%s left)",
            result.epoch,
            result.epochs,
            result.loss,
            result.ap50,
            " (the best so far)" if result.best else "",
            clock(result.seconds),
            clock(left),
        )

    def close(self) -> None:
        """Take the bar off the screen."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def clock(seconds: float) -> str:
    """Seconds as 1:05 or 2:03:04."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def training_progress(run: Path, command: str) -> Iterator[TrainingProgress]:
    """What shows how far a training in the folder ``run`` is.

    Raises:
        KeyboardInterrupt: after Ctrl-C, with the words for the user: what is kept, and the ``command`` that goes on.
    """
    progress = TrainingProgress()
    try:
        yield progress
    except KeyboardInterrupt:
        words = "stopped before the first epoch was complete: there is nothing to go on from"
        if last_checkpoint(run):
            words = f"stopped; the last whole epoch is kept. Go on with: {command} --resume {run}"
        raise KeyboardInterrupt(words) from None
    finally:
        progress.close()
