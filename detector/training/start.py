"""The weights that a training starts from: a file, or a network by name, which is fetched once."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path

import torch
import torchvision

from detector.errors import TrainingError
from detector.files import make_folder
from detector.staging import staging_folder
from detector.training.single_stage.ultralytics_env import ultralytics_env

__all__ = ["DEFAULT_START", "find_start", "load_imagenet"]

log = logging.getLogger(__name__)

DEFAULT_START = "yolo26n.pt"

NO_SLOW_START = {"inception_v3": {"init_weights": False, "transform_input": False}}
"""Drawing its first weights at random takes minutes, and they are replaced at once."""


def find_start(start: str, downloads: Path) -> Path:
    """The checkpoint that a single-stage training starts from.

    Args:
        start: a file, or the name of a network that ultralytics publishes, such as "yolo26n.pt".
        downloads: folder for networks by name; one that is there is not fetched again.

    Raises:
        TrainingError: there is no such file, or it cannot be downloaded.
    """
    path = Path(start)
    if path.is_file():
        if path.suffix != ".pt":
            raise TrainingError(f"--start {start}: training starts from a checkpoint (.pt), not from {path.suffix}")
        return path
    if not re.fullmatch(r"yolo[\w.-]+\.pt", start):
        raise TrainingError(f"--start {start}: no such file: name a checkpoint (.pt), or {DEFAULT_START}")
    with ultralytics_env():
        from ultralytics.utils.downloads import attempt_download_asset

        return _fetch(downloads / start, "ultralytics", attempt_download_asset)


def load_imagenet(start: str, backbone: str, downloads: Path) -> dict[str, torch.Tensor]:
    """The weights of a network that was trained on ImageNet, as torchvision names them: where two-step networks start.

    Args:
        start: a file (.pth), or the backbone's own name to take them from torchvision.
        backbone: torchvision's name of the network.
        downloads: as for :func:`find_start`.

    Raises:
        TrainingError: there is no such file, it holds something else, or it cannot be downloaded.
    """
    path = Path(start)
    if not path.is_file():
        if start != backbone:
            raise TrainingError(
                f"--start {start}: no such file: name torchvision's weights (.pth), or {backbone} to fetch them"
            )
        url = torchvision.models.get_model_weights(backbone)["IMAGENET1K_V1"].url
        checksum = Path(url).stem.rpartition("-")[2]
        path = _fetch(
            downloads / Path(url).name,
            "torchvision",
            lambda part: torch.hub.download_url_to_file(url, str(part), hash_prefix=checksum, progress=False),
        )
    network = torchvision.models.get_model(backbone, weights=None, **NO_SLOW_START.get(backbone, {}))
    try:
        weights: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(weights)
    except Exception as error:  # a damaged pickle raises nearly anything
        raise TrainingError(f"--start {path}: not torchvision's weights of {backbone}: download them again") from error
    return weights


def _fetch(target: Path, publisher: str, download: Callable[[Path], object]) -> Path:
    """Download into ``target`` unless it is there; it appears whole or not at all."""
    if target.is_file():
        return target
    log.info("fetching %s from %s into %s", target.name, publisher, target.parent)
    make_folder(target.parent)
    try:
        with staging_folder(target.parent) as stage:
            part = stage / target.name
            download(part)
            if part.is_file():  # ultralytics says nothing of a name that it does not know
                part.replace(target)
    except Exception as error:  # requests, urllib, ssl, ultralytics and torch.hub each have their own
        log.debug("the download failed", exc_info=True)
        raise TrainingError(
            f"--start {target.name}: not here and not to be had from {publisher} (offline?): download it elsewhere, "
            "and name the file with --start"
        ) from error
    if not target.is_file():
        raise TrainingError(f"--start {target.name}: {publisher} publishes no network of that name")
    return target
