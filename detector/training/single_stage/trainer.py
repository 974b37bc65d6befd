"""Ultralytics' trainer with our ears, our CPU speed, and nobody else's callbacks. Imports torch: load it late."""

from __future__ import annotations

import io
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from ultralytics.engine import trainer as engine
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils.torch_utils import strip_optimizer

from detector.detections import CLASSES
from detector.errors import TrainingError
from detector.staging import staging_folder
from detector.training import cpu
from detector.training.checkpoint import refusal
from detector.training.results import ClassScore, EpochResult, Listener

__all__ = ["FaceTrainer"]


def _strip(checkpoint: Path, *, updates: dict[str, Any] | None = None) -> Any:
    """What ultralytics does to the finished checkpoints in place, where a kill would cost the whole training."""
    with staging_folder(checkpoint.parent) as stage:
        part = stage / checkpoint.name
        stripped = strip_optimizer(checkpoint, s=str(part), updates=updates)
        part.replace(checkpoint)
    return stripped


engine.strip_optimizer = _strip


class FaceTrainer(DetectionTrainer):  # type: ignore[misc] # ultralytics has no types
    """One training run.

    Args:
        settings: ultralytics' own settings, by their names.
        listener: hears about each step and epoch.
    """

    last: Path
    best: Path
    best_fitness: float | None

    def __init__(self, settings: dict[str, Any], listener: Listener | None) -> None:
        self._listener = listener
        self._epoch_began = 0.0
        self._step = 0
        super().__init__(overrides=settings)
        # Empties what ultralytics adds by itself: usage events, its platform, and every tracker that is installed.
        self.callbacks: dict[str, list[Callable[[Any], None]]] = defaultdict(list)

    def run_callbacks(self, event: str) -> None:
        """Only our own: ultralytics calls this at each event of the training."""
        ours = {
            "on_train_start": self._on_train_start,
            "on_train_epoch_start": self._on_epoch_start,
            "on_train_batch_end": self._on_step,
            "on_model_save": self._on_epoch_saved,
        }
        if event in ours:
            ours[event]()

    def build_dataset(self, img_path: str, mode: str = "train", batch: int | None = None) -> Any:
        """Read labels and images without the one progress bar that no setting of ultralytics switches off."""
        with redirect_stdout(io.StringIO()):
            return super().build_dataset(img_path, mode, batch)

    def setup_model(self) -> Any:
        """Load the start, with one line where ultralytics would answer with a traceback or a download."""
        try:
            return super().setup_model()
        except Exception as error:
            otherwise = "not a network that ultralytics can train: name a detector's .pt"
            raise TrainingError(f"--start {self.args.model}: {refusal(error, otherwise)}") from error

    def save_model(self) -> bool:
        """Each checkpoint appears whole or not at all, also if Ctrl-C or a full disk comes in between."""
        last, best = self.last, self.best
        with staging_folder(last.parent) as stage:
            self.last, self.best = stage / last.name, stage / best.name
            try:
                saved: bool = super().save_model()
                for part, path in ((self.last, last), (self.best, best)):
                    if part.exists():
                        part.replace(path)
            finally:
                self.last, self.best = last, best
        return saved

    def validate(self) -> tuple[dict[str, float], float]:
        """Validate; the best epoch has the highest AP50, where ultralytics takes the mean of IoU 0.5 to 0.95."""
        best = self.best_fitness
        metrics, _ = super().validate()
        fitness = float(metrics["metrics/mAP50(B)"])
        self.best_fitness = fitness if best is None else max(best, fitness)
        return metrics, fitness

    def class_scores(self) -> tuple[ClassScore, ...]:
        """The final validation's result for each class."""
        metrics = self.validator.metrics
        rows = {int(index): row for row, index in enumerate(metrics.ap_class_index)}
        return tuple(
            ClassScore(
                name,
                int(metrics.nt_per_class[index]),
                float(metrics.box.ap50[rows[index]]),
                float(metrics.box.p[rows[index]]),
                float(metrics.box.r[rows[index]]),
            )
            for index, name in enumerate(CLASSES)
        )

    def _on_train_start(self) -> None:
        cpu.accelerate(self)

    def _on_epoch_start(self) -> None:
        self._epoch_began, self._step = time.monotonic(), 0

    def _on_step(self) -> None:
        self._step += 1
        if self._listener:
            self._listener.on_step(
                self.epoch + 1, self.epochs, self._step, len(self.train_loader), float(sum(self.tloss.values()))
            )

    def _on_epoch_saved(self) -> None:
        if self._listener:
            self._listener.on_epoch(
                EpochResult(
                    epoch=self.epoch + 1,
                    epochs=self.epochs,
                    loss=float(sum(self.tloss.values())),
                    ap50=float(self.metrics["metrics/mAP50(B)"]),
                    precision=float(self.metrics["metrics/precision(B)"]),
                    recall=float(self.metrics["metrics/recall(B)"]),
                    best=self.fitness == self.best_fitness,
                    seconds=time.monotonic() - self._epoch_began,
                )
            )
