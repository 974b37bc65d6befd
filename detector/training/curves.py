"""The picture that shows how a training went."""

from __future__ import annotations

import csv
from pathlib import Path

__all__ = ["draw"]

VALIDATION = {"AP50": "metrics/mAP50(B)", "precision": "metrics/precision(B)", "recall": "metrics/recall(B)"}


def draw(results: Path, picture: Path) -> None:
    """Draw loss, AP50, precision and recall over the epochs.

    Args:
        results: the results.csv that ultralytics writes, one line per epoch.
        picture: the file to write, .png or .svg.
    """
    from matplotlib.figure import Figure  # without pyplot there is no window system to look for

    with results.open(newline="", encoding="utf-8") as file:
        rows = [{key.strip(): float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    epochs = [row["epoch"] for row in rows]
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for split, style in (("train", "-"), ("val", "--")):
        total = [sum(value for key, value in row.items() if key.startswith(f"{split}/")) for row in rows]
        left.plot(epochs, total, style, label=split)
    for name, column in VALIDATION.items():
        right.plot(epochs, [row[column] for row in rows], label=name)
    right.set_ylim(0, 1)
    for axes, title in ((left, "loss"), (right, "on the validation images")):
        axes.set(title=title, xlabel="epoch")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(picture, dpi=120)
