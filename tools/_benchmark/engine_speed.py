"""Our engine beside ultralytics' predict: time per frame, around the network, of a process, and the same boxes."""

from __future__ import annotations

import csv
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from _benchmark.ratios import ROOT, Ratio, Settings, alternate, run_process
from detector.defaults import DEFAULT_CONF
from detector.detections import Detections
from detector.engines import SingleStage
from detector.media import images
from detector.media.images import Image
from detector.scoring.confidences import uncalibrated
from detector.training.single_stage.ultralytics_env import ultralytics_env

SIZE = 640
PARITY_IMAGES = 200


def speed(settings: Settings) -> Iterator[Ratio]:
    """Time per frame against ultralytics with its default export, and with our own file."""
    frame = _frame_of(settings.picture)
    with ultralytics_env(), tempfile.TemporaryDirectory() as folder, _engine(settings) as engine:
        for title, file, wanted in (
            ("its default (square) export", _default_export(settings.checkpoint, Path(folder)), 1.6),
            ("our own dynamic file", settings.weights, 1.1),
        ):
            ours, theirs = alternate(lambda: engine(frame), _predictor(file, frame), settings.rounds)
            yield Ratio(
                f"1280x720 frame at {SIZE} px, {settings.threads} threads, against ultralytics predict with {title}",
                wanted=f"{wanted}x",
                met=theirs / ours >= wanted,
                ours=f"{ours * 1e3:.1f} ms",
                theirs=f"{theirs * 1e3:.1f} ms",
                ratio=f"{theirs / ours:.2f}x faster",
            )


def overhead(settings: Settings) -> Iterator[Ratio]:
    """The share of a call that is not ``session.run``."""
    frame = _frame_of(settings.picture)
    with _engine(settings) as engine:
        inside: list[float] = []
        run = engine.session.session.run

        def timed(*arguments: Any) -> Any:
            started = time.perf_counter()
            outputs = run(*arguments)
            inside.append(time.perf_counter() - started)
            return outputs

        engine.session.session.run = timed  # the one place between our code and theirs
        shares, around = [], []
        for _ in range(settings.rounds + 3):
            started = time.perf_counter()
            engine(frame)
            whole = time.perf_counter() - started
            shares.append((whole - inside[-1]) / whole)
            around.append(whole - inside[-1])
    share = statistics.median(shares[3:])
    yield Ratio(
        "time around session.run as a share of the call, 1280x720 frame",
        wanted="at most 8 %",
        met=share <= 0.08,
        ours=f"{statistics.median(around[3:]) * 1e3:.2f} ms",
        ratio=f"{share:.1%}",
    )


def whole_process(settings: Settings) -> Iterator[Ratio]:
    """``mask-detector run`` against ``yolo predict``: start, load, find, write, end."""
    runs = []
    for _ in range(max(settings.rounds // 15, 3) + 1):
        with tempfile.TemporaryDirectory() as folder:
            flags = ["--source", str(settings.picture), "--weights", str(settings.weights), "--save", folder]
            ours = run_process([sys.executable, "-m", "detector", "run", *flags], ROOT)
            options = [f"model={settings.weights}", f"source={settings.picture}", f"project={folder}"]
            yolo = Path(sys.executable).with_name("yolo")
            theirs = run_process([yolo, "predict", "task=detect", "imgsz=640", "device=cpu", *options], Path(folder))
        runs.append((*ours, *theirs))
    seconds, memory, their_seconds, their_memory = np.median(runs[1:], axis=0)  # the first fills the file cache
    yield Ratio(
        "whole process on one image against yolo predict, time",
        wanted="9x",
        met=bool(their_seconds / seconds >= 9),
        ours=f"{seconds:.2f} s",
        theirs=f"{their_seconds:.2f} s",
        ratio=f"{their_seconds / seconds:.1f}x faster",
    )
    yield Ratio(
        "whole process on one image against yolo predict, peak memory",
        wanted="at most 0.25",
        met=bool(memory / their_memory <= 0.25),
        ours=f"{memory:.0f} MB",
        theirs=f"{their_memory:.0f} MB",
        ratio=f"{memory / their_memory:.2f} of it",
    )


def parity(settings: Settings) -> Iterator[Ratio]:
    """The same boxes and scores as ultralytics predict with the same file and size, on validation images."""
    assert settings.data is not None  # noqa: S101 - the caller has seen to it
    with (settings.data / "split.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "val"]
    paths = [settings.data / row["set"] / "images" / row["image"] for row in rows]
    chosen = random.Random(0).sample(paths, min(PARITY_IMAGES, len(paths)))  # noqa: S311 - a sample, not a secret
    same = total = 0
    with ultralytics_env(), SingleStage(uncalibrated(settings.weights), imgsz=SIZE, conf=0.2, iou=0.6) as engine:
        for path in chosen:
            image = images.read(path)
            agreed, compared = agreement(engine(image), _ultralytics(settings.weights, image))
            same, total = same + agreed, total + compared
    share = same / max(total, 1)
    yield Ratio(
        f"same boxes (1 px) and scores (0.01) as ultralytics, {len(chosen)} val images, "
        f"detections above {DEFAULT_CONF}",
        wanted="99.5 %",
        met=share >= 0.995,
        ours=f"{same}",
        theirs=f"{total}",
        ratio=f"{share:.2%}",
    )


def agreement(ours: Detections, theirs: Detections) -> tuple[int, int]:
    """How many of the default confidence of either side have their like on the other, and how many there are."""
    same = total = 0
    for one, other in ((ours, theirs), (theirs, ours)):
        for index in np.flatnonzero(one.confidence > DEFAULT_CONF):
            near = np.abs(other.xyxy - one.xyxy[index]).max(axis=1, initial=0) < 1
            near &= np.abs(other.confidence - one.confidence[index]) < 0.01
            same += bool((near & (other.class_id == one.class_id[index])).any())
            total += 1
    return same, total


def _engine(settings: Settings) -> SingleStage:
    return SingleStage(settings.weights, imgsz=SIZE, conf=DEFAULT_CONF, threads=settings.threads)


def _frame_of(picture: Path) -> Image:
    """A 1280x720 frame with faces in it, as a camera gives one."""
    return np.asarray(cv2.resize(images.read(picture), (1280, 720)), np.uint8)


@cache
def _model(file: Path) -> Any:
    from ultralytics import YOLO

    return YOLO(str(file), task="detect")


def _predictor(file: Path, frame: Image) -> Callable[[], object]:
    model = _model(file)
    return lambda: model.predict(frame, imgsz=SIZE, conf=DEFAULT_CONF, device="cpu", verbose=False)


def _ultralytics(file: Path, image: Image) -> Detections:
    settings = {"imgsz": SIZE, "conf": 0.2, "iou": 0.6, "agnostic_nms": True, "device": "cpu", "verbose": False}
    boxes = _model(file).predict(image, **settings)[0].boxes
    return Detections(boxes.xyxy.numpy(), boxes.conf.numpy(), boxes.cls.numpy().astype(np.int64))


def _default_export(checkpoint: Path, folder: Path) -> Path:
    """``yolo export format=onnx`` with no other flag, of a copy, since it writes beside the checkpoint."""
    copy = shutil.copyfile(checkpoint, folder / "default.pt")
    return Path(_model(copy).export(format="onnx", imgsz=SIZE, device="cpu"))
