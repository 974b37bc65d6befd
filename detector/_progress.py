"""Goes when nobody imports it: see :mod:`detector.cli.training_progress`."""

from __future__ import annotations

import sys
from pathlib import Path

from detector.cli.training_progress import TrainingProgress, clock
from detector.training.single_stage.yolo_training import last_checkpoint

__all__ = ["TrainingProgress", "clock", "say_stopped"]


def say_stopped(run: Path, command: str) -> None:
    """After Ctrl-C: what is kept in a run's folder, and which ``command`` with ``--resume`` goes on."""
    if last_checkpoint(run):
        words = f"stopped; the last whole epoch is kept. Go on with: {command} --resume {run}"
    else:
        words = "stopped before the first epoch was complete: there is nothing to go on from"
    sys.stderr.write(words + "\n")
