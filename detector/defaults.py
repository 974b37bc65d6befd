"""What holds where nobody says otherwise. Each figure and name stands here once; help texts quote it from here."""

from __future__ import annotations

from pathlib import Path

ENGINES = ("single-stage", "two-step")
"""The first one is used."""

DEFAULT_CONF = 0.25
"""Faces that are at least this sure are shown, where neither a person nor the network's file says otherwise."""

DEFAULT_IOU = {"single-stage": 0.6, "two-step": 0.45}
"""Of two boxes that overlap more than this the surer stays."""


def sample_folder() -> Path:
    """The sample, with its ``annotations`` and ``images``: in ``data/`` of a clone, or the installed package's copy."""
    package = Path(__file__).resolve().parent
    installed = package / "sample"
    return installed if installed.is_dir() else package.parent / "data"
