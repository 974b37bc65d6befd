from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="tests that train need the extra train")

from detector import export
from tests.training.build import SAMPLE, untrained


@pytest.mark.slow
def test_the_command_writes_beside_the_checkpoint_and_prints_what_to_do_next(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.pt").write_bytes(untrained().read_bytes())
    (tmp_path / "mine.onnx").write_bytes(b"an older export")
    assert export.main([str(tmp_path / "mine.pt"), "--images", str(SAMPLE / "images")]) == 0
    out, err = capfd.readouterr()
    first, second = out.splitlines()
    assert first.startswith(f"{tmp_path / 'mine.onnx'}: raw head, 64 px; equal to the checkpoint on 17 inputs")
    assert second == f"next: mask-detector run --source 0 --weights {tmp_path / 'mine.onnx'}"
    assert err == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.onnx", "mine.pt"]
    assert (tmp_path / "mine.onnx").stat().st_size > 1_000_000


def test_a_checkpoint_of_other_classes_is_one_line_and_keeps_the_older_export(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "old.onnx").write_bytes(b"an older export")
    assert export.main([str(untrained(names=("cat", "dog"))), "--out", str(tmp_path / "old.onnx")]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "its 2 classes are cat, dog" in err
    assert (tmp_path / "old.onnx").read_bytes() == b"an older export"
