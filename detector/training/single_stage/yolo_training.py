"""Train the single-stage network on a YOLO folder, with ultralytics underneath and out of sight."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import count
from pathlib import Path
from typing import Any

from detector.errors import TrainingError
from detector.files import alone
from detector.scoring import SHOWN_IOU
from detector.staging import sweep, was_abandoned
from detector.training import curves
from detector.training.checkpoint import refusal
from detector.training.failures import one_line_errors
from detector.training.hardware import find_device
from detector.training.results import Listener, TrainingResult
from detector.training.single_stage.ultralytics_env import ultralytics_env
from detector.training.single_stage.yolo_copy import check_folder

__all__ = ["hyperparameters", "last_checkpoint", "new_run", "resume", "run_folder", "train"]

OWN_NAMES = {"dataset", "crops", "weights", "args.yaml", "results.csv"}
"""In a run's folder before its first checkpoint."""

STRIDE = 32
DEFAULT_BATCH = 16


def new_run(runs: Path, name: str = "train") -> Path:
    """Make the folder of a new run: ``name``, or ``name-2``, ``name-3`` ... An old run is never touched.

    Raises:
        TrainingError: the name is no plain folder name, or the folder cannot be made.
    """
    if not re.fullmatch(r"[^\W_][\w.-]*", name):
        raise TrainingError(f"--name {name}: use letters, digits, dots and dashes only")
    _sweep_runs(runs)
    for number in count(1):
        run = runs / (name if number == 1 else f"{name}-{number}")
        try:
            run.mkdir(parents=True)
        except FileExistsError:
            if runs.exists() and not runs.is_dir():
                raise TrainingError(f"{runs}: is a file: choose another --runs") from None
            continue
        except OSError as error:
            raise TrainingError(f"{run}: cannot be made ({error.strerror}): choose another --runs") from error
        return run
    raise AssertionError("count() never ends")


@contextmanager
def run_folder(resumed: Path | None, runs: Path, name: str) -> Iterator[Path]:
    """The folder of a run that goes on, or of a new one, which goes at the end if no epoch was completed in it.

    Raises:
        TrainingError: see :func:`new_run`.
        OutputError: another process is at work in it.
    """
    run = resumed or new_run(runs, name)
    try:
        with alone(run) if run.is_dir() else nullcontext():
            yield run
    finally:
        if not resumed and not last_checkpoint(run):  # nothing but copied data: made here, and of no more use
            shutil.rmtree(run, ignore_errors=True)


def _sweep_runs(runs: Path) -> None:
    """Take away the runs of processes that died before their first checkpoint, if nothing else was put there."""
    for run in runs.iterdir() if runs.is_dir() else ():
        if run.is_dir() and was_abandoned(run):
            sweep(run)
            if not last_checkpoint(run) and {entry.name for entry in run.iterdir()} <= OWN_NAMES:
                shutil.rmtree(run, ignore_errors=True)


def train(
    data: Path,
    run: Path,
    start: Path,
    *,
    epochs: int = 30,
    imgsz: int = 512,
    batch: int | None = None,
    device: str = "auto",
    seed: int = 0,
    workers: int = 4,
    listener: Listener | None = None,
    trust: bool = False,
) -> TrainingResult:
    """Train on a YOLO folder; everything that is written goes into ``run``.

    The folder itself is written to as well (ultralytics puts label caches beside the labels and mends damaged JPEGs
    in place), so it must be a copy, as :func:`detector.data.dataset.build` and :func:`~.yolo_copy.adopt` make it.

    Args:
        data: data.yaml of the folder, with the classes of :data:`~detector.detections.CLASSES` in that order.
        run: an existing folder, see :func:`new_run`.
        start: a checkpoint (.pt) of an ultralytics detector, trained on faces or on anything else.
        epochs: times that every image is seen.
        imgsz: the images' longer side in the network, px; rounded up to a multiple of 32.
        batch: images per step; 16 by default, or all of them if there are fewer.
        device: auto, cpu, cuda, cuda:1 or mps.
        seed: another number gives other augmentations.
        workers: processes that load images for a GPU; on a CPU there are none, they would only take its cores.
        listener: hears about each step and epoch.
        trust: ``start`` may run code, see :func:`~.ultralytics_env`.

    Raises:
        TrainingError: the data, the start or the device cannot be used, or memory or disk do not suffice.
        AnnotationError: a label file cannot be read.
        MissingExtraError: the extra ``train`` is not installed.
        KeyboardInterrupt: Ctrl-C; the checkpoint of the last whole epoch is kept, see :func:`last_checkpoint`.
    """
    contents = check_folder(data)
    available = contents["train"].images
    if batch and batch > available:
        raise TrainingError(f"--batch {batch}: there are only {available} training images: use {available} or less")
    with ultralytics_env(trust=trust):
        settings = hyperparameters(epochs, batch or min(DEFAULT_BATCH, available)) | {
            "model": str(start),
            "data": str(data.resolve()),
            "save_dir": str(run.resolve()),
            "imgsz": max(-(-imgsz // STRIDE) * STRIDE, 2 * STRIDE),  # batch norm wants more than one value at the end
            "device": find_device(device),
            "seed": seed,
            "workers": workers,
        }
        return _run(settings, run, listener)


def resume(
    run: Path,
    *,
    device: str = "auto",
    batch: int | None = None,
    listener: Listener | None = None,
    trust: bool = False,
) -> TrainingResult:
    """Go on with a run that was interrupted, from its last whole epoch, with the settings that it began with.

    Args:
        run: its folder.
        device: as for :func:`train`; another one than before is fine.
        batch: images per step, if the old number was too many for the memory.
        listener: hears about each step and epoch.
        trust: its checkpoints may run code, see :func:`~.ultralytics_env`.

    Raises:
        TrainingError: there is nothing to resume, or as for :func:`train`.
        KeyboardInterrupt: as for :func:`train`.
    """
    last, data = last_checkpoint(run), run / "dataset" / "data.yaml"
    if last is None:
        raise TrainingError(f"--resume {run}: no checkpoint there (weights/last.pt): start a new training")
    if not data.is_file():
        raise TrainingError(f"--resume {run}: its dataset/ is gone: start a new training from it with --start {last}")
    check_folder(data)
    with ultralytics_env(trust=trust):
        checkpoint = _load(last)
        if last.with_name("best.pt").is_file():
            _load(last.with_name("best.pt"))  # ultralytics reads it again at the end, and then runs what it holds
        if checkpoint.get("optimizer") is None:
            raise TrainingError(
                f"--resume {run}: that training is finished: start a new one from it with --start {last}"
            )
        settings = {
            "resume": str(last.resolve()),
            "data": str(data.resolve()),
            "save_dir": str(run.resolve()),
            "device": find_device(device),
        }
        return _run(settings | ({"batch": batch} if batch else {}), run, listener)


def last_checkpoint(run: Path) -> Path | None:
    """The checkpoint of the run's last whole epoch, if there is one."""
    last = run / "weights" / "last.pt"
    return last if last.is_file() else None


def hyperparameters(epochs: int, batch: int) -> dict[str, Any]:
    """Ultralytics' settings for 100 to 3,000 images of faces; its defaults are for COCO's 118,000."""
    return {
        "task": "detect",
        "mode": "train",
        "epochs": epochs,
        "batch": batch,
        # A few thousand steps from trained weights: AdamW settles in them where SGD at 0.01 first unlearns.
        "optimizer": "AdamW",
        "lr0": 0.001,
        # A cosine spends the last third of a short training at small steps, which is where the last points are won;
        # 5 % is left because the moving average needs steps that still move.
        "cos_lr": True,
        "lrf": 0.05,
        # Step after every batch. Gathering gradients up to 64 images would leave a quarter of the steps.
        "nbs": batch,
        # Enough for AdamW's second moments. The default of three epochs is a tenth of the whole training, and its
        # bias rate of 0.1 is meant for SGD: a hundred times lr0, it throws the trained head away.
        "warmup_epochs": 1.0,
        "warmup_bias_lr": 0.001,
        # The last epochs see whole pictures, as the network will when it is used.
        "close_mosaic": max(1, min(10, epochs // 4)),
        # Decoding again in each epoch costs more than the memory: ultralytics checks that it suffices.
        "cache": "ram",
        # Short cosines are not cut off early: their best epoch is nearly always one of the last.
        "patience": epochs,
        # AP of one word per face, as people are shown it: of two boxes on it the surer stays, whatever their classes.
        "agnostic_nms": True,
        "iou": SHOWN_IOU,
        # Pictures for every batch and threads to draw them; our one picture of curves is drawn at the end.
        "plots": False,
    }


def _run(settings: dict[str, Any], run: Path, listener: Listener | None) -> TrainingResult:
    from detector.training.single_stage.trainer import FaceTrainer

    began = time.monotonic()
    for cache in Path(settings["data"]).parent.glob("labels/*.cache"):
        cache.unlink()  # a pickle: of a folder that came from elsewhere it would run whatever is in it
    with one_line_errors(run):
        trainer = FaceTrainer(settings, listener)
        trainer.train()
    picture = run / "curves.png"
    curves.draw(run / "results.csv", picture)
    return TrainingResult(run, trainer.best, trainer.last, trainer.class_scores(), picture, time.monotonic() - began)


def _load(checkpoint: Path) -> dict[str, Any]:
    from ultralytics.nn.tasks import load_checkpoint

    try:
        content: dict[str, Any] = load_checkpoint(checkpoint)[1]
    except Exception as error:  # a damaged pickle raises nearly anything
        raise TrainingError(
            f"{checkpoint}: {refusal(error, 'not a checkpoint that ultralytics can read: use another one')}"
        ) from error
    return content
