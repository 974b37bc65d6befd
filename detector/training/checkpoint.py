"""Checkpoints (.pt): read with one line for what is wrong, written so that they can be handed on.

Those of the single-stage network are ultralytics' own, pickles with the network in them; those of the two-step networks
hold tensors and plain values, and an entry "kind".
"""

from __future__ import annotations

import io
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from detector.boxes import MAX_DETECTIONS
from detector.detections import CLASSES
from detector.errors import ModelError
from detector.files import write_file
from detector.training.single_stage.ultralytics_env import ultralytics_env

__all__ = [
    "CLASSIFIER",
    "FACE_FINDER",
    "LICENSE",
    "load",
    "now",
    "packed",
    "read_two_step",
    "refusal",
    "slim",
    "write_two_step",
]

CLASSIFIER, FACE_FINDER = "mask classifier", "face finder"
"""The kinds of two-step networks."""

LICENSE = "AGPL-3.0-or-later"

"""Faces that an end-to-end head gives for an image, as ultralytics exports it."""

LOCAL_SETTINGS = frozenset({"model", "data", "project", "name", "save_dir", "resume", "pretrained", "source", "cfg"})
"""Settings of a training that hold paths or names of the machine that it ran on."""


def read_two_step(path: Path) -> dict[str, Any] | None:
    """What :func:`write_two_step` wrote; None where it is something else. Runs no code from the file."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # a damaged pickle raises nearly anything, and one of ultralytics is refused
        return None
    return content if isinstance(content, dict) and content.get("kind") in (CLASSIFIER, FACE_FINDER) else None


def write_two_step(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values; the file appears whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    torch.save(content, buffer := io.BytesIO())
    write_file(path, buffer.getvalue(), replace=True)


def load(checkpoint: Path) -> tuple[Any, dict[str, Any]]:
    """The float32 network and the content of ultralytics' checkpoint; call within :func:`~.ultralytics_env`.

    Raises:
        ModelError: the checkpoint is missing, damaged or not trusted, or has other classes.
    """
    if not checkpoint.is_file():
        raise ModelError(f"{checkpoint}: no such file: name a checkpoint (.pt) of mask-detector train")
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
            "train it first with mask-detector train"
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


def slim(checkpoint: Path, out: Path, *, data_note: str = "", trust: bool = False) -> None:
    """Write a checkpoint to hand on: float16 weights to run or to start a training from, and no trace of this machine.

    Args:
        checkpoint: a .pt of ultralytics.
        out: the file to write.
        data_note: what the network was trained on.
        trust: the checkpoint may run code, see :func:`~.ultralytics_env`.

    Raises:
        ModelError: the checkpoint is missing, damaged or not trusted, or has other classes.
        OutputError: ``out`` cannot be written.
    """
    with ultralytics_env(trust=trust):
        network, content = load(checkpoint)
        write_file(out, packed(network.half(), content, data_note), replace=True)


def packed(network: Any, content: dict[str, Any], data_note: str) -> bytes:
    """The file of a checkpoint: the network in the precision that it has, no optimizer, no local paths."""
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
    network.requires_grad_(requires_grad=False)
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
