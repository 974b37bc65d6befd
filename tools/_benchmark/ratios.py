"""One line of the table, and how its two sides take turns: a busy moment of the machine hits both."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
POLL_S = 0.005
PAUSE_S = 0.1
BLOCK, WARM_UP = 12, 2


@dataclass(frozen=True)
class Settings:
    """What is measured, and with how much patience: the flags of ``benchmark.py``.

    Args:
        weights: our ONNX file.
        checkpoint: the same network as ultralytics reads it.
        picture: a photograph with several faces.
        data: folder of real photographs, one folder per set beside ``split.csv``; None: there is none.
        rounds: calls of each side.
        threads: CPU threads of our side.
        seconds: length of the stream.
        folder_images: images of the folder.
        train_images, train_epochs: size of the training.
        peer: other people's networks, kind and file each.
        plots: folder for the curve's files; None: they are not written.
    """

    weights: Path
    checkpoint: Path
    picture: Path
    data: Path | None
    rounds: int
    threads: int
    seconds: float
    folder_images: int
    train_images: int
    train_epochs: int
    peer: list[tuple[str, Path]]
    plots: Path | None

    @property
    def sets(self) -> list[Path]:
        """The folders of ``data``, each with images and annotations."""
        return sorted(folder for folder in self.data.iterdir() if (folder / "images").is_dir()) if self.data else []


@dataclass(frozen=True)
class Ratio:
    """One line of the table.

    Args:
        what: what was measured.
        wanted: the figure that the project promises.
        met: whether the promise is kept.
        ours, theirs: the two figures, with unit.
        ratio: how many times better ours is (or another figure, in words).
    """

    what: str
    wanted: str
    met: bool
    ours: str
    theirs: str = "–"
    ratio: str = "–"


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


def run_process(command: Sequence[str | Path], cwd: Path) -> tuple[float, float]:
    """Wall seconds and peak resident memory in MB of a process and its children.

    Raises:
        RuntimeError: it failed; with the end of what it said.
    """
    import psutil  # here: --help does without it

    environment = {**os.environ, "YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false"}
    peak, words = 0, list(map(str, command))
    with tempfile.TemporaryFile() as said:
        started = time.perf_counter()
        process = psutil.Popen(words, cwd=cwd, env=environment, stdout=said, stderr=subprocess.STDOUT)
        while process.poll() is None:
            with suppress(psutil.Error):  # a child ended in between
                family = [process, *process.children(recursive=True)]
                peak = max(peak, sum(member.memory_info().rss for member in family))
            time.sleep(POLL_S)
        seconds = time.perf_counter() - started
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"{' '.join(words)} failed: {said.read()[-500:].decode(errors='replace')}")
    return seconds, peak / 1e6
