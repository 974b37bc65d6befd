"""What a training tells: a line for each epoch, a picture of all of them, and what it leaves in its folder."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

__all__ = ["Contents", "Figures", "Trained", "clock", "data_note", "draw_curves", "log_epoch"]

log = logging.getLogger(__name__)

Figures = dict[str, float]
"""Of one epoch, by name: losses, and shares from 0 to 1. The best epoch has the highest of the last."""


@dataclass(frozen=True)
class Trained:
    """What a finished training leaves in its run folder.

    Args:
        network: its file's name, see :mod:`detector.engines.weights`.
        run: the folder.
        best: checkpoint of the best epoch.
        report: that epoch's figures on the validation images; as text, a table to print.
        curves: picture of the figures of all epochs.
        examples: validation images, to compare an export on.
        note: what it was trained on, for the metadata.
        seconds: how long this process trained.
    """

    network: str
    run: Path
    best: Path
    report: Any
    curves: Path
    examples: tuple[Path, ...]
    note: str
    seconds: float


@dataclass(frozen=True)
class Contents:
    """What one part of the data holds.

    Args:
        count: number of images or crops.
        named: labelled faces, or crops, by name.
    """

    count: int
    named: Mapping[str, int]


def data_note(what: str, train: Contents, val: Contents) -> str:
    """One sentence for the metadata of a network that was trained on it; names no file or folder."""
    parts = []
    for verb, contents in (("trained on", train), ("chosen on", val)):
        named = ", ".join(f"{number} {name}" for name, number in contents.named.items())
        parts.append(f"{verb} {contents.count} {what} ({named})")
    return ", ".join(parts)


def log_epoch(number: int, epochs: int, figures: Figures, seconds: float, *, best: bool, note: str = "") -> None:
    """One line for an epoch, counted from 1, that took so many seconds."""
    said = "  ".join(f"{name} {value:.3f}" for name, value in figures.items())
    left = clock(seconds * (epochs - number))
    chosen = " (the best so far)" if best else ""
    log.info("epoch %d/%d%s  %s%s  %s (%s left)", number, epochs, note, said, chosen, clock(seconds), left)


def clock(seconds: float) -> str:
    """Seconds as 0:01:05."""
    return str(timedelta(seconds=round(seconds)))


def draw_curves(history: Sequence[Figures], picture: Path) -> None:
    """Draw losses, and beside them the other figures, over the epochs; ``picture`` is a .png or .svg to write."""
    from matplotlib.figure import Figure  # without pyplot there is no window system to look for

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name in history[0]:
        axes, style = left if "loss" in name else right, "--" if name.startswith("val ") else "-"
        axes.plot(range(1, len(history) + 1), [epoch[name] for epoch in history], style, marker=".", label=name)
    right.set_ylim(0, 1)
    for axes, title in ((left, "loss"), (right, "score")):
        axes.set(title=title, xlabel="epoch")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(picture, dpi=120)
