"""Side-by-side measurements: the two sides take turns, so that a busy moment of the machine hits both."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = ["Ratio", "alternate", "machine", "run_process"]

PACKAGES = ("numpy", "opencv-python", "onnxruntime", "ultralytics", "torch", "supervision")
POLL_S = 0.005
PAUSE_S = 0.1
BLOCK, WARM_UP = 12, 2


@dataclass(frozen=True)
class Ratio:
    """One line of the table.

    Args:
        what: what was measured.
        ours, theirs: the two figures, with unit.
        ratio: how many times better ours is (or another figure, in words).
        wanted: the figure that the project promises.
        met: whether the promise is kept.
    """

    what: str
    ours: str
    theirs: str
    ratio: str
    wanted: str
    met: bool


def alternate(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median seconds of a call of each side, in blocks of calls as a video makes them.

    The sides take turns, block by block. A pause before each block lets the other side's threads stop spinning: they
    would take the cores from this one. What a side's own threads do between two calls is part of its time.
    """
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(-(-rounds // (BLOCK - WARM_UP)) + 1):
        for side, call in enumerate((ours, theirs)):
            time.sleep(PAUSE_S)
            block = []
            for _ in range(BLOCK):
                started = time.perf_counter()
                call()
                block.append(time.perf_counter() - started)
            taken[side].append(statistics.median(block[WARM_UP:]))
    return statistics.median(taken[0][1:]), statistics.median(taken[1][1:])


def run_process(command: Sequence[str], cwd: Path) -> tuple[float, float]:
    """Wall seconds and peak resident memory in MB of a process and its children.

    Raises:
        RuntimeError: it failed; with the end of what it said.
    """
    environment = {**os.environ, "YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false"}
    started = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603 - our own commands
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    peak = [0]
    watcher = threading.Thread(target=_watch, args=(process, peak), daemon=True)
    watcher.start()
    output, _ = process.communicate()
    seconds = time.perf_counter() - started
    watcher.join()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {output[-500:]}")
    return seconds, peak[0] / 1e6


def _watch(process: subprocess.Popen[str], peak: list[int]) -> None:
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        try:
            family = [watched, *watched.children(recursive=True)]
            peak[0] = max(peak[0], sum(member.memory_info().rss for member in family))
        except psutil.Error:  # it ended in between
            return
        time.sleep(POLL_S)


def machine() -> str:
    """One paragraph: processor, cores, load, system and versions."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = f", load {psutil.getloadavg()[0]:.1f} at the start" if hasattr(psutil, "getloadavg") else ""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    return (
        f"{_processor()}, {cores} cores{load}, {psutil.virtual_memory().total / 2**30:.0f} GiB, {platform.system()}; "
        f"Python {sys.version.split()[0]}, {versions}"
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
