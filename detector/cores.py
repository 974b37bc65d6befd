"""How many CPU threads are worth starting: what the system lets this process use, a container's quota included."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

__all__ = ["available_cores"]

UNIFIED = ("sys/fs/cgroup", "sys/fs/cgroup/unified")
"""Where Linux shows control groups of version 2 ..."""

BY_CONTROLLER = ("sys/fs/cgroup/cpu", "sys/fs/cgroup/cpu,cpuacct", "sys/fs/cgroup/cpuacct,cpu")
"""... and those of version 1 for the processor."""


def available_cores(root: Path = Path("/")) -> int:
    """Cores that this process may use, at least 1: the smaller of its affinity and its quota, of which a part counts.

    A quota is processor time: threads beyond it are stopped together in the middle of their work, which takes seven
    times as long with 16 of them on two cores.

    Args:
        root: where Linux's ``proc`` and ``sys`` are.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([allowed, *(math.ceil(quota) for quota in _quotas(root))]))


def _quotas(root: Path) -> Iterator[float]:
    """The quotas of this process's control group and of all above it, in cores; each of them holds."""
    for folder in _groups(root):
        with suppress(OSError, ValueError, ZeroDivisionError):  # "max" is none
            quota, period = (folder / "cpu.max").read_text("utf-8").split()
            yield int(quota) / int(period)
        with suppress(OSError, ValueError, ZeroDivisionError):
            time = int((folder / "cpu.cfs_quota_us").read_text("utf-8"))
            if time > 0:  # -1 is none
                yield time / int((folder / "cpu.cfs_period_us").read_text("utf-8"))


def _groups(root: Path) -> Iterator[Path]:
    """Folders of the process's control groups, up to the top that is seen from here: in a container that is its own."""
    with suppress(OSError, ValueError):
        for line in (root / "proc/self/cgroup").read_text("utf-8").splitlines():
            number, controllers, name = line.split(":", 2)
            if number == "0" or "cpu" in controllers.split(","):
                parts = [part for part in name.split("/") if part not in {"", ".."}]  # ".." is beyond what is seen
                for top in UNIFIED if number == "0" else BY_CONTROLLER:
                    yield from ((root / top).joinpath(*parts[:depth]) for depth in range(1, len(parts) + 1))
    yield from (root / top for top in (*UNIFIED, *BY_CONTROLLER))
