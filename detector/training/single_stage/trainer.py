"""Ultralytics' trainer with our progress, our CPU speed, and nobody else's callbacks."""

from __future__ import annotations

import io
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from ultralytics.engine import trainer as engine
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils import torch_utils

from detector.data.progress import Progress, silent
from detector.data.yolo import TRAINABLE
from detector.detections import CLASSES
from detector.errors import TrainingError
from detector.evaluation.text import aligned, number
from detector.staging import staging_folder
from detector.training.checkpoint import refusal
from detector.training.hardware import accelerate, physical_cores
from detector.training.history import Contents, data_note, log_epoch

__all__ = ["FaceTrainer"]

log = logging.getLogger(__name__)


def _strip(checkpoint: Path, *, updates: dict[str, Any] | None = None) -> Any:
    """What ultralytics does to the finished checkpoints in place, where a kill would cost the whole training."""
    with staging_folder(checkpoint.parent) as stage:
        part = stage / checkpoint.name
        stripped = torch_utils.strip_optimizer(checkpoint, s=str(part), updates=updates)
        part.replace(checkpoint)
    return stripped


engine.strip_optimizer = _strip
torch_utils.NUM_THREADS = physical_cores()  # which it sets anew for the last validation: a machine's cores but one


class FaceTrainer(DetectionTrainer):  # type: ignore[misc] # ultralytics has no types
    """One training run.

    Args:
        settings: ultralytics' own settings, by their names.
        progress: wraps the steps of an epoch.
    """

    last: Path
    best: Path
    best_fitness: float | None
    note = ""
    """What it is trained on, counted after loading."""

    def __init__(self, settings: dict[str, Any], progress: Progress = silent) -> None:
        self._progress = progress
        self._epoch_began = 0.0
        self._steps: Iterator[int] = iter(())
        super().__init__(overrides=settings)
        # Empties what ultralytics adds by itself: usage events, its platform, and every tracker that is installed.
        self.callbacks: dict[str, list[Callable[[Any], None]]] = defaultdict(list)

    def run_callbacks(self, event: str) -> None:
        """Only our own: ultralytics calls this at each event of the training."""
        match event:
            case "on_train_start":
                accelerate(self)
                self._count()
            case "on_train_epoch_start":
                self._epoch_began = time.monotonic()
                title = f"epoch {self.epoch + 1}/{self.epochs}"
                self._steps = iter(self._progress(range(len(self.train_loader)), title))
            case "on_train_batch_start" | "on_train_epoch_end":
                next(self._steps, None)
            case "on_model_save":
                self._log_epoch()

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

    def report(self) -> str:
        """The final validation's result for each class, as a table."""
        metrics = self.validator.metrics
        rows = {int(index): row for row, index in enumerate(metrics.ap_class_index)}
        lines: list[tuple[str, ...]] = [("class", "faces", "AP50", "precision", "recall")]
        for index, name in enumerate(CLASSES):
            figures = [float(getattr(metrics.box, key)[rows[index]]) for key in ("ap50", "p", "r")]
            lines.append((name, str(int(metrics.nt_per_class[index])), *map(number, figures)))
        return aligned(lines)

    def _count(self) -> None:
        """Take down what was really loaded, and name what was not."""
        parts = []
        for loader in (self.train_loader, self.test_loader):
            dataset = loader.dataset
            loaded = {Path(path).name for path in dataset.im_files}
            for path in sorted(Path(dataset.img_path).iterdir()):
                if path.name not in loaded and path.suffix.lower() in TRAINABLE:
                    log.warning("warning: %s is not used: ultralytics cannot read it or its labels", path)
            faces = Counter(int(face) for label in dataset.labels for face in label["cls"].ravel())
            parts.append(Contents(len(loaded), {name: faces[index] for index, name in enumerate(CLASSES)}))
        self.note = data_note("images", *parts)
        log.info("%s", self.note)

    def _log_epoch(self) -> None:
        figures = {"loss": float(sum(self.tloss.values())), "one-word AP50": float(self.metrics["metrics/mAP50(B)"])}
        best = self.fitness == self.best_fitness
        log_epoch(self.epoch + 1, self.epochs, figures, time.monotonic() - self._epoch_began, best=best)
