"""What the tests of both two-step networks start from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torchvision.models import mobilenet_v2

from detector.data.progress import Progress
from detector.media import images
from tests.training.build import workshop

T = TypeVar("T")


@cache
def imagenet() -> Path:
    """A file like torchvision's, with random weights."""
    torch.manual_seed(0)
    path = workshop() / "mobilenet_v2-00000000.pth"
    torch.save(mobilenet_v2().state_dict(), path)
    return path


def stop_in(epoch: int, step: int = 2) -> Progress:
    """A progress that presses Ctrl-C in the given epoch, from 1."""

    def progress(items: Sequence[T], title: str) -> Iterable[T]:
        for index, item in enumerate(items, 1):
            if title.startswith(f"epoch {epoch}/") and index == step:
                raise KeyboardInterrupt
            yield item

    return progress


def write_crops(folder: Path, counts: dict[str, int], side: int = 32) -> Path:
    """Crops that a glance tells apart: each class has its colour."""
    colours = {"with_mask": (200, 60, 60), "without_mask": (60, 60, 200), "background": (60, 200, 60)}
    rng = np.random.default_rng(0)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            noise = rng.integers(-50, 50, (side, side, 3))
            crop = np.clip(np.array(colours[name.rpartition("/")[2]]) + noise, 0, 255).astype(np.uint8)
            images.write(folder / name / f"{index:03}.png", crop)
    return folder
