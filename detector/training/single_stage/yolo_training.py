"""Train the single-stage network on a YOLO folder."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

from detector.cores import available_cores
from detector.data.progress import Progress, silent
from detector.engines.weights import DEFAULT_WEIGHTS
from detector.errors import TrainingError
from detector.scoring import SHOWN_IOU
from detector.training.checkpoint import load
from detector.training.hardware import find_device
from detector.training.history import Figures, Trained, draw_curves
from detector.training.runs import batch_size, one_line_errors
from detector.training.single_stage.ultralytics_env import ultralytics_env
from detector.training.single_stage.yolo_copy import check_folder

__all__ = ["go_on", "hyperparameters", "train"]

BATCH = 16

STRIDE = 32
EXAMPLES = 3


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
    progress: Progress = silent,
    trust: bool = False,
) -> Trained:
    """Train on a YOLO folder; everything that is written goes into ``run``.

    The folder itself is written to as well (ultralytics puts label caches beside the labels and mends damaged JPEGs
    in place), so it must be a copy, as the functions of :mod:`detector.data.dataset` make it.

    Args:
        data: data.yaml of the folder, with the classes of :data:`~detector.detections.CLASSES` in that order.
        run: an existing folder, see :func:`~.runs.new_run`.
        start: a checkpoint (.pt) of an ultralytics detector, trained on faces or on anything else.
        epochs: times that every image is seen.
        imgsz: the images' longer side in the network, px; rounded up to a multiple of 32.
        batch: images per step; 16 by default, or all of them if there are fewer.
        device: auto, cpu, cuda, cuda:1 or mps.
        seed: another number gives other augmentations.
        workers: processes that load images for a GPU; on a CPU there are none, they would only take its cores.
        progress: wraps the steps of an epoch, for a progress bar.
        trust: ``start`` may run code, see :func:`~.ultralytics_env`.

    Raises:
        TrainingError: the data, the start or the device cannot be used, or memory or disk do not suffice.
        AnnotationError: a label file cannot be read.
        KeyboardInterrupt: Ctrl-C; the checkpoint of the last whole epoch is kept.
    """
    contents = check_folder(data)
    batch = batch_size(batch, BATCH, contents["train"].count, "training images")
    with ultralytics_env(trust=trust):
        settings = hyperparameters(epochs, batch) | {
            "model": str(start),
            "imgsz": max(-(-imgsz // STRIDE) * STRIDE, 2 * STRIDE),  # batch norm wants more than one value at the end
            "seed": seed,
            "workers": min(workers, available_cores()),
        }
        return _run(settings, data, run, device, progress)


def go_on(run: Path, last: Path, *, device: str, batch: int | None, progress: Progress, trust: bool) -> Trained:
    """Go on from the run's last checkpoint, see :func:`detector.training.resume.resume`."""
    data = run / "dataset" / "data.yaml"
    with ultralytics_env(trust=trust):
        _, checkpoint = load(last)
        if last.with_name("best.pt").is_file():
            load(last.with_name("best.pt"))  # ultralytics reads it again at the end, and then runs what it holds
        reason = "its dataset/ is gone" if not data.is_file() else "that training is finished"
        if not data.is_file() or checkpoint.get("optimizer") is None:
            raise TrainingError(f"--resume {run}: {reason}: start a new one from it with --start {last}")
        check_folder(data)
        settings = {"resume": str(last.resolve())} | ({"batch": batch} if batch else {})
        return _run(settings, data, run, device, progress)


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


def _run(settings: dict[str, Any], data: Path, run: Path, device: str, progress: Progress) -> Trained:
    from detector.training.single_stage.trainer import FaceTrainer  # here: it imports ultralytics

    began = time.monotonic()
    places = {"data": str(data.resolve()), "save_dir": str(run.resolve()), "device": find_device(device)}
    for cache in data.parent.glob("labels/*.cache"):
        cache.unlink()  # a pickle: of a folder that came from elsewhere it would run whatever is in it
    with one_line_errors(run):
        trainer = FaceTrainer(settings | places, progress)
        trainer.train()
    curves = run / "curves.png"
    draw_curves(_history(run / "results.csv"), curves)
    examples = sorted((data.parent / "images" / "val").iterdir())[:EXAMPLES]
    seconds = time.monotonic() - began
    return Trained(DEFAULT_WEIGHTS, run, trainer.best, trainer.report(), curves, tuple(examples), trainer.note, seconds)


def _history(results: Path) -> list[Figures]:
    """The epochs' figures, of the results.csv that ultralytics writes."""
    with results.open(newline="", encoding="utf-8") as file:
        rows = [{key.strip(): float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    return [
        {"loss": sum(value for key, value in row.items() if key.startswith("train/"))}
        | {"val loss": sum(value for key, value in row.items() if key.startswith("val/"))}
        | {"AP50": row["metrics/mAP50(B)"]}
        | {name: row[f"metrics/{name}(B)"] for name in ("precision", "recall")}
        for row in rows
    ]
