from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import compare_peers
import val_figures
from _benchmark import stream_delay
from _benchmark.engine_speed import agreement
from detector.detections import Detections
from detector.media import images

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "data" / "images"
DATA = ROOT.parent / "shared" / "data"


TOOLS = ("benchmark", "compare_peers", "make_sample", "treated_faces", "val_figures", "voc2yolo", "yolo2voc")


@pytest.mark.parametrize("name", TOOLS)
def test_each_tool_has_help(name: str) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / f"{name}.py"), "--help"], capture_output=True, text=True, check=True
    )
    assert "examples:" in done.stdout


def test_the_benchmarks_help_needs_nothing_that_measures() -> None:
    hidden = "import sys; sys.modules['psutil'] = None; sys.path.insert(0, 'tools'); "
    code = f"{hidden}import benchmark; sys.exit(benchmark.main())"
    done = subprocess.run([sys.executable, "-c", code, "--help"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, "parts: frame" in done.stdout) == (0, True), done.stderr
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "psutil is not installed: run pip install" in done.stderr


def test_the_benchmarks_clock_survives_a_jpeg() -> None:
    frame = images.read(SAMPLE / "collins_bare.jpg")
    for moment in (time.time(), 1_900_000_000.123, 1_763_000_000.0):
        stream_delay.draw_clock(frame, moment)
        received = images.decode(images.encode(frame, ".jpg"), "frame")
        assert stream_delay.read_clock(received, moment + 3) == pytest.approx(moment, abs=0.0011)


def test_a_disagreement_is_counted_on_both_sides() -> None:
    box = np.array([[0, 0, 10, 10]], np.float32)
    one = Detections(box, np.array([0.9], np.float32), np.array([0]))
    assert agreement(one, one) == (2, 2)
    for other in (
        Detections(box + 2, one.confidence, one.class_id),
        Detections(box, one.confidence - np.float32(0.02), one.class_id),
        Detections(box, one.confidence, one.class_id + 1),
    ):
        assert agreement(one, other) == (0, 2)
    assert agreement(one, Detections.empty()) == (0, 1)


def test_the_aizoo_peer_has_the_anchors_of_its_file() -> None:
    anchors = compare_peers.aizoo_anchors()
    assert anchors.shape == (5972, 4)
    np.testing.assert_allclose(anchors[0], [0.5 / 33, 0.5 / 33, 0.04, 0.04], rtol=1e-5)
    np.testing.assert_allclose(anchors[-1], [2.5 / 3, 2.5 / 3, 0.64 * 0.42**0.5, 0.64 / 0.42**0.5], rtol=1e-5)


@pytest.mark.shared
@pytest.mark.skipif(not DATA.is_dir(), reason="the real photographs are not beside this clone (see CONTRIBUTING.md)")
def test_the_shipped_network_reaches_its_published_precision(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert val_figures.main(["--data", str(DATA), "--sets", "kaggle", "ilc"]) == 0
    headline = capsys.readouterr().out.strip().splitlines()[-1]
    assert float(headline.rpartition(": ")[2]) >= PUBLISHED - 0.005


PUBLISHED = 0.902
"""Mean AP50 of one word per face (weights/README.md)."""
