"""An archive worked through by Ray beside a plain loop over the engine: images a second, and memory while it grows."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil

from _benchmark.ratios import ROOT, Ratio, Settings
from detector.engines import load_engine
from detector.media import images

IMAGES_PER_SECOND = 10
"""Of ``--seconds``: 20,000 images are ``--seconds 2000``."""

LOOP = 8  # of so many images one is in the plain loop, which need not be as long


def archive(settings: Settings) -> Iterator[Ratio]:
    """The sample in variants, some thousand images."""
    with tempfile.TemporaryDirectory() as name:
        photos, count = Path(name) / "photos", round(settings.seconds * IMAGES_PER_SECOND)
        _draw_variants(photos, count)
        theirs = _loop(sorted(photos.iterdir())[::LOOP], settings)
        ours, early, late = _archive(photos, Path(name) / "found", settings)
    yield Ratio(
        f"archive of {count} images, against a plain loop over the engine with {settings.threads} threads",
        wanted="0.85x",
        met=ours / theirs >= 0.85,
        ours=f"{ours:.1f} images/s",
        theirs=f"{theirs:.1f} images/s",
        ratio=f"{ours / theirs:.2f}x",
    )
    yield Ratio(
        "memory of its processes, last quarter of the time against the second",
        wanted="within 5 %",
        met=late / early < 1.05,
        ours=f"{late / 2**20:.0f} MiB",
        theirs=f"{early / 2**20:.0f} MiB",
        ratio=f"{late / early - 1:+.1%}",
    )


def _draw_variants(folder: Path, count: int) -> None:
    """Pictures of the sample, shifted, lighter or darker."""
    folder.mkdir()
    pictures = [images.read(path) for path in images.list_images(ROOT / "data/images")]
    random = np.random.default_rng(0)
    for number in range(count):
        picture = np.roll(pictures[number % len(pictures)], int(random.integers(64)), axis=1)
        light = np.clip(picture * random.uniform(0.7, 1.3), 0, 255).astype(np.uint8)
        images.write(folder / f"{number:06}.jpg", light)


def _loop(paths: list[Path], settings: Settings) -> float:
    """Images a second."""
    with load_engine(weights=settings.weights, threads=settings.threads) as engine:
        engine(images.read(paths[0]))
        began = time.perf_counter()
        for path in paths:
            engine(images.read(path))
    return len(paths) / (time.perf_counter() - began)


def _archive(photos: Path, out: Path, settings: Settings) -> tuple[float, float, float]:
    """Images a second from the first file of rows to the last, and bytes of memory in two quarters of the time."""
    command = [sys.executable, "-m", "detector", "archive", "--source", str(photos), "--out", str(out)]
    command += ["--weights", str(settings.weights), "--threads", str(settings.threads)]
    process = psutil.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    memory: list[float] = []
    while process.poll() is None:
        with suppress(psutil.Error):  # one ended meanwhile
            memory.append(sum(each.memory_full_info().uss for each in (process, *process.children(recursive=True))))
        time.sleep(1)
    written = sorted(file.stat().st_mtime for file in (out / "rows").iterdir())
    rate = len(list(photos.iterdir())) * (len(written) - 1) / len(written) / (written[-1] - written[0])
    quarter = len(memory) // 4
    return rate, float(np.mean(memory[quarter : 2 * quarter])), float(np.mean(memory[-quarter:]))
