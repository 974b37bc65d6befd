"""The weights that a training starts from: a file, or a network of ultralytics by name."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from detector.errors import TrainingError
from detector.files import make_folder
from detector.staging import staging_folder
from detector.training.single_stage.ultralytics_env import ultralytics_env

__all__ = ["DEFAULT_START", "find_start"]

log = logging.getLogger(__name__)

DEFAULT_START = "yolo26n.pt"


def find_start(start: str, downloads: Path) -> Path:
    """The checkpoint that ``start`` means.

    Args:
        start: a file, or the name of a network that ultralytics publishes, such as "yolo26n.pt".
        downloads: folder for networks by name; one that is there is not fetched again.

    Raises:
        TrainingError: there is no such file, or it cannot be downloaded.
        MissingExtraError: the extra ``train`` is not installed.
    """
    path = Path(start)
    if path.is_file():
        if path.suffix != ".pt":
            raise TrainingError(f"--start {start}: training starts from a checkpoint (.pt), not from {path.suffix}")
        return path
    if not re.fullmatch(r"yolo[\w.-]+\.pt", start):
        raise TrainingError(f"--start {start}: no such file: name a checkpoint (.pt), or {DEFAULT_START}")
    known = downloads / start
    if not known.is_file():
        _download(start, known)
    return known


def _download(name: str, target: Path) -> None:
    log.info("fetching %s from ultralytics into %s", name, target.parent)
    with ultralytics_env():
        from ultralytics.utils.downloads import attempt_download_asset

        make_folder(target.parent)
        try:
            with staging_folder(target.parent) as stage:  # half a file would be taken for a whole one ever after
                attempt_download_asset(stage / target.name)
                if (stage / target.name).is_file():
                    (stage / target.name).replace(target)
        except Exception as error:  # requests, urllib and ultralytics each have their own
            log.debug("the download failed", exc_info=True)
            raise TrainingError(
                f"--start {name}: not here and not to be had from ultralytics (offline?): "
                f"download it elsewhere, and name the file with --start"
            ) from error
    if not target.is_file():
        raise TrainingError(f"--start {name}: ultralytics publishes no network of that name: try {DEFAULT_START}")
