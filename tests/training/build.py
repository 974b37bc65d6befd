"""Real, small things to train and export: made once per test run, in a folder that goes away with it."""

from __future__ import annotations

import atexit
import hashlib
import shutil
import tempfile
from functools import cache
from pathlib import Path

import cv2

from detector.data import dataset
from detector.detections import CLASSES
from detector.media import images
from detector.training.single_stage.ultralytics_env import ultralytics_env

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "data"


@cache
def workshop() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="mask-detector-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def untrained(architecture: str = "yolo26n", names: tuple[str, ...] = CLASSES) -> Path:
    """A checkpoint with random weights, normalised on a picture so that its answers depend on what it sees."""
    with ultralytics_env():
        import torch
        from ultralytics.nn.tasks import DetectionModel

        torch.manual_seed(0)
        network = DetectionModel(f"{architecture}.yaml", nc=len(names), verbose=False)
        norms = [layer for layer in network.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
        for layer in norms:
            layer.momentum = 1.0
        picture = cv2.resize(images.read(SAMPLE / "images" / "pair_two_masks.jpg"), (256, 256))
        network.train()(torch.from_numpy(picture.transpose(2, 0, 1)[None] / 255).float())
        for layer in norms:
            layer.momentum = 0.03
        for level in (*network.model[-1].cv2, *getattr(network.model[-1], "one2one_cv2", ())):
            level[-1].weight.data *= 0.1  # boxes of tens of pixels, not of thousands
        network.names = dict(enumerate(names))
        network.args = {}
        path = workshop() / f"{architecture}-{'-'.join(names)}.pt"
        torch.save({"model": network, "train_args": {"imgsz": 64, "data": "/home/someone/secret/data.yaml"}}, path)
    return path


@cache
def yolo_folder() -> Path:
    """data.yaml of the sample as a YOLO folder; read only, copy it before training on it."""
    folder = workshop() / "folder"
    dataset.build([SAMPLE / "annotations"], [SAMPLE / "images"], folder, split=SAMPLE / "split.csv")
    return folder / "data.yaml"


def copy_of_folder(target: Path) -> Path:
    """A copy of :func:`yolo_folder` that a test may change."""
    shutil.copytree(yolo_folder().parent, target)
    return target / "data.yaml"


def digest(folder: Path) -> dict[str, str]:
    """The content of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
