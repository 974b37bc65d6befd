"""Go on with a run that was interrupted."""

from __future__ import annotations

from pathlib import Path

from detector.data.progress import Progress, silent
from detector.errors import TrainingError
from detector.training.checkpoint import CLASSIFIER, read_two_step
from detector.training.history import Trained
from detector.training.runs import last_checkpoint
from detector.training.single_stage import yolo_training
from detector.training.two_step.classifier_training import ClassifierLearner
from detector.training.two_step.face_ssd_training import FaceFinderLearner

__all__ = ["resume"]


def resume(
    run: Path,
    *,
    device: str = "auto",
    batch: int | None = None,
    progress: Progress = silent,
    trust: bool = False,
) -> Trained:
    """Go on from the last whole epoch, with the settings that the run began with, whichever network it trains.

    A two-step run that is finished is only measured again.

    Args:
        run: its folder.
        device: auto, cpu, cuda, cuda:1 or mps; another one than before is fine.
        batch: images per step of the single-stage network, if the old number was too many for the memory.
        progress: wraps the steps of an epoch, for a progress bar.
        trust: its checkpoints may run code, see :func:`~.ultralytics_env`.

    Raises:
        TrainingError: there is nothing to resume, or the data or the device cannot be used any more.
        ModelError: a checkpoint is damaged or not trusted.
        KeyboardInterrupt: Ctrl-C; the checkpoint of the last whole epoch is kept.
    """
    last = last_checkpoint(run)
    if last is None:
        raise TrainingError(f"--resume {run}: no checkpoint there (weights/last.pt): start a new training")
    content = read_two_step(last)
    if content is None:
        return yolo_training.go_on(run, last, device=device, batch=batch, progress=progress, trust=trust)
    if batch:
        raise TrainingError(f"--resume {run}: a {content['kind']} goes on with its own --batch: leave that out")
    if "history" not in content:
        raise TrainingError(f"--resume {run}: it was begun by an earlier version: start a new training")
    learner = ClassifierLearner if content["kind"] == CLASSIFIER else FaceFinderLearner
    return learner(learner.settings_type(**content["settings"]), run, device, progress).go_on(content)
