"""Our engine beside ultralytics' predict: time per frame, time around the network, and the same boxes."""

from __future__ import annotations

import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from _benchmark.timing import Ratio, alternate
from detector.detections import Detections
from detector.engines import SingleStage
from detector.evaluation.calibrate import uncalibrated
from detector.media import images
from detector.training.single_stage.ultralytics_env import ultralytics_env

__all__ = ["overhead", "parity", "speed"]

SIZE = 640
CONF = 0.25
Image = npt.NDArray[np.uint8]


def frame_of(picture: Path) -> Image:
    """A 1280x720 frame with faces in it, as a camera gives one."""
    return np.asarray(cv2.resize(images.read(picture), (1280, 720)), np.uint8)


def speed(weights: Path, checkpoint: Path, picture: Path, rounds: int, threads: int) -> Iterable[Ratio]:
    """Time per frame against ultralytics with its default export, and with our own file."""
    frame = frame_of(picture)
    with (
        ultralytics_env(),
        tempfile.TemporaryDirectory() as folder,
        SingleStage(weights, imgsz=SIZE, conf=CONF, threads=threads) as engine,
    ):
        square = _default_export(checkpoint, Path(folder))
        for title, file, wanted in (
            ("its default (square) export", square, 1.6),
            ("our own dynamic file", weights, 1.1),
        ):
            ours, theirs = alternate(lambda: engine(frame), _predictor(file, frame), rounds)
            yield Ratio(
                f"1280x720 frame at {SIZE} px, {threads} threads, against ultralytics predict with {title}",
                f"{ours * 1e3:.1f} ms", f"{theirs * 1e3:.1f} ms", f"{theirs / ours:.2f}x faster",
                f"{wanted}x", theirs / ours >= wanted,
            )  # fmt: skip


def overhead(weights: Path, picture: Path, rounds: int, threads: int) -> Ratio:
    """The share of a call that is not ``session.run``."""
    frame = frame_of(picture)
    with SingleStage(weights, imgsz=SIZE, conf=CONF, threads=threads) as engine:
        inside: list[float] = []
        run = engine.session.session.run

        def timed(*arguments: Any) -> Any:
            started = time.perf_counter()
            outputs = run(*arguments)
            inside.append(time.perf_counter() - started)
            return outputs

        engine.session.session.run = timed  # the one place between our code and theirs
        shares, around = [], []
        for _ in range(rounds + 3):
            started = time.perf_counter()
            engine(frame)
            whole = time.perf_counter() - started
            shares.append((whole - inside[-1]) / whole)
            around.append(whole - inside[-1])
    share = statistics.median(shares[3:])
    return Ratio(
        "time around session.run as a share of the call, 1280x720 frame",
        f"{statistics.median(around[3:]) * 1e3:.2f} ms", "–", f"{share:.1%}", "at most 8 %", share <= 0.08,
    )  # fmt: skip


def parity(weights: Path, data: Path, count: int = 200) -> Ratio:
    """The same boxes and scores as ultralytics predict with the same file and size, on validation images."""
    paths = _validation_images(data)
    chosen = random.Random(0).sample(paths, min(count, len(paths)))  # noqa: S311 - a sample, not a secret
    same = total = 0
    with ultralytics_env(), SingleStage(uncalibrated(weights), imgsz=SIZE, conf=0.2, iou=0.6) as engine:
        for path in chosen:
            image = images.read(path)
            theirs = _ultralytics(weights, image)
            agreed, compared = _agreement(engine(image), theirs)
            same, total = same + agreed, total + compared
    share = same / max(total, 1)
    return Ratio(
        f"same boxes (1 px) and scores (0.01) as ultralytics, {len(chosen)} val images, detections above {CONF}",
        f"{same}", f"{total}", f"{share:.2%}", "99.5 %", share >= 0.995,
    )  # fmt: skip


def _agreement(ours: Detections, theirs: Detections) -> tuple[int, int]:
    """How many detections above CONF of either side have their like on the other, and how many there are."""
    same = total = 0
    for one, other in ((ours, theirs), (theirs, ours)):
        for index in np.flatnonzero(one.confidence > CONF):
            near = np.abs(other.xyxy - one.xyxy[index]).max(axis=1, initial=0) < 1
            near &= np.abs(other.confidence - one.confidence[index]) < 0.01
            same += bool((near & (other.class_id == one.class_id[index])).any())
            total += 1
    return same, total


_models: dict[Path, Any] = {}


def _model(file: Path) -> Any:
    from ultralytics import YOLO

    if file not in _models:
        _models[file] = YOLO(str(file), task="detect")
    return _models[file]


def _ultralytics(file: Path, image: Image) -> Detections:
    result = _model(file).predict(
        image, imgsz=SIZE, conf=0.2, iou=0.6, agnostic_nms=True, device="cpu", verbose=False
    )[0].boxes  # fmt: skip
    return Detections(result.xyxy.numpy(), result.conf.numpy(), result.cls.numpy().astype(np.int64))


def _predictor(file: Path, frame: Image) -> Callable[[], object]:
    model = _model(file)
    return lambda: model.predict(frame, imgsz=SIZE, conf=CONF, device="cpu", verbose=False)


def _default_export(checkpoint: Path, folder: Path) -> Path:
    """``yolo export format=onnx`` with no other flag, of a copy, since it writes beside the checkpoint."""
    from ultralytics import YOLO

    copy = folder / "default.pt"
    shutil.copyfile(checkpoint, copy)
    return Path(YOLO(str(copy)).export(format="onnx", imgsz=SIZE, device="cpu"))


def _validation_images(data: Path) -> Sequence[Path]:
    import csv

    with (data / "split.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "val"]
    return [data / row["set"] / "images" / row["image"] for row in rows]
