"""Where the two-step networks start: torchvision's ImageNet weights, from a file or by name."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from detector.errors import MissingExtraError, TrainingError
from detector.files import make_folder
from detector.staging import staging_folder

if TYPE_CHECKING:
    import torch

__all__ = ["BACKBONES", "load_imagenet"]

log = logging.getLogger(__name__)

BACKBONES = {"mobilenet_v2": "MobileNet_V2_Weights", "inception_v3": "Inception_V3_Weights"}
"""Networks that a two-step training starts from, and torchvision's name of their weights."""


def load_imagenet(start: str, backbone: str, downloads: Path) -> dict[str, torch.Tensor]:
    """The weights of a network that was trained on ImageNet, as torchvision names them.

    Args:
        start: a file (.pth), or the backbone's own name to take them from torchvision.
        backbone: one of :data:`BACKBONES`.
        downloads: folder for weights by name; what is there is not fetched again.

    Raises:
        TrainingError: there is no such file, it holds something else, or it cannot be downloaded.
        MissingExtraError: the extra ``train`` is not installed.
    """
    try:
        import torch
        import torchvision
    except ImportError as error:
        raise MissingExtraError("torchvision", "train") from error
    path = Path(start)
    if not path.is_file():
        if start != backbone:
            raise TrainingError(
                f"--start {start}: no such file: name torchvision's weights (.pth), or {backbone} to fetch them"
            )
        url = getattr(torchvision.models, BACKBONES[backbone]).IMAGENET1K_V1.url
        path = downloads / url.rpartition("/")[2]
    if not path.is_file():
        _download(url, path)
    network = getattr(torchvision.models, backbone)(weights=None, **_NO_SLOW_START.get(backbone, {}))
    try:
        weights: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(weights)
    except Exception as error:  # a damaged pickle raises nearly anything
        raise TrainingError(f"--start {path}: not torchvision's weights of {backbone}: download them again") from error
    return weights


_NO_SLOW_START = {"inception_v3": {"init_weights": False, "transform_input": False}}
"""Drawing its first weights at random takes minutes, and they are replaced at once."""


def _download(url: str, target: Path) -> None:
    import torch

    log.info("fetching %s into %s", target.name, target.parent)
    try:
        make_folder(target.parent)
        with staging_folder(target.parent) as stage:
            part = stage / target.name
            torch.hub.download_url_to_file(url, str(part), hash_prefix=target.stem.rpartition("-")[2], progress=False)
            part.replace(target)
    except Exception as error:  # urllib, ssl and torch.hub each have their own
        log.debug("the download failed", exc_info=True)
        raise TrainingError(
            f"{target.name} is not here and not to be had from torchvision (offline?): download it elsewhere, "
            "and name the file with --start"
        ) from error
