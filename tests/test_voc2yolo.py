from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.data.conftest import Workspace
from tools import voc2yolo

ROOT = Path(__file__).resolve().parents[1]
FACE = ("face", 10.0, 12.0, 30.0, 40.0)
MASK = ("mask", 32.0, 4.0, 60.0, 30.0)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def run(workspace: Workspace, *flags: str) -> int:
    folders = ("--annotations", str(workspace.annotations()), "--images", str(workspace.images()))
    return voc2yolo.main([*folders, "--out", str(workspace.out), *flags])


def test_the_script_runs_from_the_repository_root(workspace: Workspace) -> None:
    workspace.pair("a.jpg", FACE, MASK)
    workspace.pair("b.jpg", FACE, MASK, seed=1)
    split = workspace.split("a.jpg,train", "b.jpg,val")
    folders = ("-a", workspace.annotations(), "-i", workspace.images(), "-o", workspace.out)
    done = subprocess.run(
        [sys.executable, "tools/voc2yolo.py", *folders, "--split", split],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        "train: 1 images, 1 with_mask, 1 without_mask",
        "val: 1 images, 1 with_mask, 1 without_mask",
        f"0 dropped, 0 mended, 0 to look at: see {workspace.out / 'report.txt'}",
        f"train on {workspace.out / 'data.yaml'}",
    ]
    assert done.stderr == ""


def test_the_defaults_are_the_folders_of_the_repository(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("imagehash", reason="random splits need the extra train")
    for index in range(10):
        workspace.pair(f"{index}.jpg", FACE, MASK, seed=index)
    (workspace.root / "set").rename(workspace.root / "data")
    monkeypatch.chdir(workspace.root)
    assert voc2yolo.main([]) == 0
    assert len(list((workspace.root / "runs/dataset/images/val").iterdir())) == 1


def test_several_sets_and_maps_can_be_given(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    workspace.pair("a.jpg", ("scarf", 1, 1, 20, 20), folder="one")
    workspace.pair("a.jpg", ("hat = off", 1, 1, 20, 20), ("sign", 30, 1, 50, 20), folder="two")
    flags = [
        *("--annotations", str(workspace.annotations("one")), "--images", str(workspace.images("one"))),
        *("--annotations", str(workspace.annotations("two")), "--images", str(workspace.images("two"))),
        *("--map", "scarf=without_mask", "--map", "hat = off=with_mask", "--map", "Sign=ignore"),
        *("--out", str(workspace.out), "--split", str(workspace.split("a.jpg,train"))),
    ]
    assert voc2yolo.main(flags) == 0
    out = capsys.readouterr().out
    assert "train: 2 images, 1 with_mask, 1 without_mask" in out
    assert "warning: no image in val" in out


def test_an_error_is_one_line_on_stderr_and_exit_code_2(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace.pair("a.jpg", ("cat", 1, 1, 20, 20))
    assert run(workspace, "--split", str(workspace.split("a.jpg,train"))) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: class names that are not known: 'cat' (1 boxes)")
    assert printed.err.count("\n") == 1
    assert not workspace.out.exists()


@pytest.mark.parametrize("flags", [["--map", "scarf"], ["--map", "=ignore"], ["--split", "a.csv", "--val", "0.1"]])
def test_flags_that_make_no_sense_are_refused(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        voc2yolo.main(flags)
    assert caught.value.code == 2
    assert flags[0] in capsys.readouterr().err


def test_the_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        voc2yolo.main(["--help"])
    out = capsys.readouterr().out
    assert "examples:" in out
    assert all(flag in out for flag in ("--annotations", "--images", "--map", "--split", "--val", "--corrections"))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process")
def test_ctrl_c_while_writing_leaves_nothing(workspace: Workspace) -> None:
    first = workspace.pair("0.jpg", FACE)
    for index in range(1, 1500):
        (workspace.images() / f"{index}.jpg").symlink_to(first)
        (workspace.annotations() / f"{index}.xml").symlink_to(workspace.annotations() / "0.xml")
    split = workspace.split(*(f"{index}.jpg,train" for index in range(1500)))
    before = {path.name for path in workspace.root.iterdir()}
    folders = ("-a", workspace.annotations(), "-i", workspace.images(), "-o", workspace.out)
    with subprocess.Popen(
        [sys.executable, "tools/voc2yolo.py", *folders, "--split", split],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while process.poll() is None and {path.name for path in workspace.root.iterdir()} == before:
            time.sleep(0.002)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "stopped\n")
    assert {path.name for path in workspace.root.iterdir()} == before
