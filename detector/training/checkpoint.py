"""Checkpoints (.pt): read with one line for what is wrong, written so that they can be handed on."""

from __future__ import annotations

import io
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from detector.boxes import MAX_DETECTIONS
from detector.detections import CLASSES
from detector.errors import ModelError
from detector.files import write_file
from detector.training.single_stage.ultralytics_env import ultralytics_env

__all__ = ["LICENSE", "load", "now", "packed", "refusal", "slim"]

LICENSE = "AGPL-3.0-or-later"

"""Faces that an end-to-end head gives for an image, as ultralytics exports it."""

LOCAL_SETTINGS = frozenset({"model", "data", "project", "name", "save_dir", "resume", "pretrained", "source", "cfg"})
"""Settings of a training that hold paths or names of the machine that it ran on."""


def slim(checkpoint: Path, out: Path, *, data_note: str = "", trust: bool = False) -> None:
    """Write a checkpoint to hand on: float16 weights to run or to start a training from, and no trace of this machine.

    The optimizer's state, the settings that hold paths, and the state of the git repository are left out.

    Args:
        checkpoint: a .pt of ultralytics.
        out: the file to write.
        data_note: what the network was trained on.
        trust: the checkpoint may run code, see :func:`~.ultralytics_env`.

    Raises:
        ModelError: the checkpoint is missing, damaged or not trusted, or has other classes.
        OutputError: ``out`` cannot be written.
        MissingExtraError: the extra ``train`` is not installed.
    """
    with ultralytics_env(trust=trust):
        network, content = load(checkpoint)
        write_file(out, packed(network.half(), content, data_note), replace=True)


def load(checkpoint: Path) -> tuple[Any, dict[str, Any]]:
    """The float32 network and the checkpoint's content; call within :func:`~.ultralytics_env`.

    Raises:
        ModelError: the checkpoint is missing, damaged or not trusted, or has other classes.
    """
    if not checkpoint.is_file():
        raise ModelError(f"{checkpoint}: no such file: name a checkpoint (.pt) of detector.train")
    from ultralytics.nn.tasks import load_checkpoint

    try:
        network, content = load_checkpoint(checkpoint)
        names, channels = list(network.names.values()), network.model[-1].nc
        content["train_args"] = dict(content.get("train_args") or {})
    except Exception as error:  # a damaged pickle raises nearly anything
        raise ModelError(
            f"{checkpoint}: {refusal(error, 'not a detector that ultralytics can read: name another .pt')}"
        ) from error
    if names != list(CLASSES) or channels != len(CLASSES):
        raise ModelError(
            f"{checkpoint}: its {channels} classes are {', '.join(map(str, names))}, not {', '.join(CLASSES)}: "
            "train it first with detector.train"
        )
    # A training raises this to its largest crowd and leaves it so; exports take 300 and could not be compared.
    network.model[-1].max_det = MAX_DETECTIONS
    return network, content


def refusal(error: Exception, otherwise: str) -> str:
    """Why ultralytics did not load a checkpoint, and the remedy: ``otherwise``, or that it holds code."""
    foreign = re.search(r"GLOBAL (\S+)", str(error.__cause__ or error))
    if foreign:
        return (
            f"holds {foreign[1]}, which is no part of a detector: loading it could run code on this computer; "
            "name another .pt, or add --trust if you trust whoever made it"
        )
    return otherwise


def packed(network: Any, content: dict[str, Any], data_note: str) -> bytes:
    """The file of a checkpoint that holds the network, in the precision that it has, and nothing local."""
    import torch
    from ultralytics import __version__ as ultralytics_version

    settings = {
        key: value
        for key, value in content["train_args"].items()
        if key not in LOCAL_SETTINGS and not (isinstance(value, str) and ("/" in value or "\\" in value))
    }
    network.args = settings
    network.criterion = None
    for attribute in ("pt_path", "yaml_file"):
        network.__dict__.pop(attribute, None)
    if "yaml_file" in network.yaml:
        network.yaml["yaml_file"] = Path(network.yaml["yaml_file"]).name  # names the architecture
    for parameter in network.parameters():
        parameter.requires_grad = False
    buffer = io.BytesIO()
    torch.save(
        {
            "model": network,
            "epoch": -1,  # as ultralytics marks a finished training
            "train_args": settings,
            "train_metrics": content.get("train_metrics"),
            "data_note": data_note or content.get("data_note", ""),
            "date": now(),
            "version": ultralytics_version,
            "license": LICENSE,
        },
        buffer,
    )
    return buffer.getvalue()


def now() -> str:
    """The time as ISO 8601, in UTC."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
