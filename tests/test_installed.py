"""What an installed package has that a clone has: networks, a start for trainings, the sample, the page's examples."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def site_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files where the wheel puts them: the package, and what pyproject.toml says to include."""
    site = tmp_path_factory.mktemp("site-packages")
    shutil.copytree(ROOT / "detector", site / "detector", ignore=shutil.ignore_patterns("__pycache__"))
    section = (ROOT / "pyproject.toml").read_text("utf-8").partition("wheel.force-include]\n")[2].partition("\n\n")[0]
    for source, target in re.findall(r'^"(.+?)" = "(.+?)"', section, re.MULTILINE):
        (site / target).parent.mkdir(exist_ok=True)
        (site / target).symlink_to(ROOT / source)
    return site


def installed(site: Path, cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, "-P" if sys.version_info >= (3, 11) else "-s", *words]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_the_sample_and_the_start_of_a_training_are_there_without_a_clone(site_packages: Path, tmp_path: Path) -> None:
    assert (site_packages / "detector" / "weights" / "mask_detector.pt").is_file()
    done = installed(site_packages, tmp_path, "-m", "detector", "convert", "--out", "out")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out" / "images").rglob("*.jpg"))) == 28
    sample = site_packages / "detector" / "sample" / "images"
    done = installed(site_packages, tmp_path, "-m", "detector", "run", str(sample / "pair_one_mask.jpg"))
    assert "2 faces: 1 with_mask, 1 without_mask" in done.stdout, done.stderr
