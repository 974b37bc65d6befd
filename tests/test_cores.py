"""The quota of a container, in control groups as Linux shows them, made here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from detector import cores
from detector.cores import available_cores
from detector.engines.session import _options

DOCKER, POD = "docker/0a1b", "kubepods.slice/pod1.slice/cri-2.scope"
V1 = "12:cpuset:/\n5:cpu,cpuacct:/{0}\n0::/system.slice\n"
"""Version 1 (or both): the quota stands in the controller's own hierarchy."""


def groups(root: Path, mine: str, **quotas: str) -> Path:
    """A Linux with these quotas in files of control groups, by folder below ``sys/fs/cgroup``."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(mine)
    for name, text in quotas.items():
        folder = root / "sys/fs/cgroup" / name
        folder.mkdir(parents=True, exist_ok=True)
        quota, _, period = text.partition(" ")
        if name.startswith("cpu"):
            (folder / "cpu.cfs_quota_us").write_text(f"{quota}\n")
            (folder / "cpu.cfs_period_us").write_text(f"{period}\n")
        else:
            (folder / "cpu.max").write_text(f"{text}\n")
    return root


@pytest.fixture(autouse=True)
def _sixteen_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)


@pytest.mark.parametrize(
    ("mine", "quotas", "expected"),
    [
        ("0::/\n", {}, 16),
        ("0::/\n", {"": "200000 100000"}, 2),  # a container, which sees its own group as the top
        ("0::/\n", {"": "max 100000"}, 16),
        ("0::/\n", {"": "6400000 100000"}, 16),  # more than the affinity
        ("0::/\n", {"": "150000 100000"}, 2),  # the half is used too
        ("0::/\n", {"": "100001 100000"}, 2),
        ("0::/\n", {"": "5000 100000"}, 1),
        ("0::/\n", {"": "60000 20000"}, 3),
        (f"0::/{POD}\n", {POD: "max 100000", "kubepods.slice/pod1.slice": "400000 100000"}, 4),  # of the group above
        (f"0::/{POD}\n", {POD: "300000 100000", "kubepods.slice": "500000 100000"}, 3),
        (f"0::/{POD}\n", {POD: "500000 100000", "kubepods.slice": "300000 100000"}, 3),
        (f"0::/{POD}\n", {"kubepods.slice/pod2.slice": "100000 100000"}, 16),  # a neighbour's
        (f"0::/{DOCKER}\n", {"": "200000 100000"}, 2),  # named by the host, seen from within
        ("0::/../../else.scope\n", {"": "200000 100000"}, 2),
        ("0::/..\n", {"": "200000 100000"}, 2),
        (V1.format(""), {"cpu": "200000 100000"}, 2),
        (V1.format(""), {"cpu,cpuacct": "250000 100000"}, 3),
        (V1.format(""), {"cpu": "-1 100000"}, 16),
        (V1.format(DOCKER), {"cpu": "-1 100000", f"cpu/{DOCKER}": "300000 100000"}, 3),
        (V1.format(DOCKER), {"cpu": "-1 100000", "cpu/docker": "300000 100000", f"cpu/{DOCKER}": "-1 100000"}, 3),
        (V1.format(DOCKER), {"cpu": "300000 100000"}, 3),
        ("4:cpu:/a:b\n", {"cpu/a:b": "100000 50000"}, 2),
        ("no control groups", {"": "300000 100000"}, 3),
        ("0::/\n", {"": ""}, 16),
        ("0::/\n", {"": "some words here"}, 16),
        ("0::/\n", {"": "100000 0"}, 16),
        (V1.format(""), {"cpu": "100000 0"}, 16),
    ],
)
def test_the_smaller_of_affinity_and_quota(mine: str, quotas: dict[str, str], expected: int, tmp_path: Path) -> None:
    assert available_cores(groups(tmp_path, mine, **quotas)) == expected


def test_where_there_are_no_control_groups_the_affinity_counts(tmp_path: Path) -> None:
    assert available_cores(tmp_path) == 16


def test_a_network_starts_so_many_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = groups(tmp_path, "0::/\n", **{"": "200000 100000"})
    monkeypatch.setattr(cores.available_cores, "__defaults__", (root,))
    assert _options(None).intra_op_num_threads == 2
    assert _options(5).intra_op_num_threads == 5


def test_a_training_starts_no_more_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hardware = pytest.importorskip("detector.training.hardware", exc_type=ImportError)
    root = groups(tmp_path, "0::/\n", **{"": "100000 100000"})
    monkeypatch.setattr(cores.available_cores, "__defaults__", (root,))
    assert hardware.physical_cores() == 1
