from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from detector import convert
from tests.data.conftest import Workspace

ROOT = Path(__file__).resolve().parents[1]
FACE = ("face", 10.0, 12.0, 30.0, 40.0)
MASK = ("mask", 32.0, 4.0, 60.0, 30.0)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def run(workspace: Workspace, *flags: str) -> int:
    folders = ("--annotations", str(workspace.annotations()), "--images", str(workspace.images()))
    return convert.main([*folders, "--out", str(workspace.out), *flags])


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
        f"next: mask-detector train --data {workspace.out / 'data.yaml'}",
    ]
    assert done.stderr == ""


def test_without_flags_the_sample_is_converted_as_its_split_file_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert convert.main([]) == 0
    assert capsys.readouterr().out.splitlines()[:3] == [
        "split: as in split.csv",
        "train: 20 images, 15 with_mask, 10 without_mask",
        "val: 8 images, 7 with_mask, 6 without_mask",
    ]
    rows = [line.split(",") for line in (ROOT / "data/split.csv").read_text(encoding="utf-8").splitlines()[1:]]
    for part in ("train", "val"):
        written = {path.name for path in (tmp_path / "runs/dataset/images" / part).iterdir()}
        assert written == {name for name, side in rows if side == part}
    assert "\nsplit: as in split.csv\n" in (tmp_path / "runs/dataset/report.txt").read_text(encoding="utf-8")


def labelled_with_split(workspace: Workspace, *folders: str) -> None:
    """Ten images in each folder, of which a split.csv beside their annotations lets the first validate."""
    for folder in folders:
        for index in range(10):
            workspace.pair(f"{index}.jpg", FACE, MASK, seed=index, folder=folder)
        rows = [f"{index}.jpg,{'train' if index else 'val'}" for index in range(10)]
        workspace.split(*rows).rename(workspace.root / folder / "split.csv")


def test_a_split_file_beside_the_annotations_decides(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    labelled_with_split(workspace, "set")
    assert run(workspace) == 0
    assert [path.name for path in (workspace.out / "images/val").iterdir()] == ["0.jpg"]
    assert capsys.readouterr().out.startswith("split: as in split.csv\n")


@pytest.mark.parametrize("flags", [["--val", "0.3"], ["--split", "mine.csv"]])
def test_a_flag_comes_before_the_split_file_beside_the_annotations(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    pytest.importorskip("imagehash", reason="random splits need the extra labelling")
    labelled_with_split(workspace, "set")
    monkeypatch.chdir(workspace.root)
    workspace.split(*(f"{index}.jpg,{'val' if index > 6 else 'train'}" for index in range(10))).rename("mine.csv")
    assert run(workspace, *flags) == 0
    assert len(list((workspace.out / "images/val").iterdir())) == 3
    said = capsys.readouterr().out.startswith("split: 30% of the images validate, chosen at random with seed 0\n")
    assert said == (flags[0] == "--val")


def test_split_files_of_several_sets_decide_nothing(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("imagehash", reason="random splits need the extra labelling")
    labelled_with_split(workspace, "one", "two")
    folders = [("-a", str(workspace.annotations(name)), "-i", str(workspace.images(name))) for name in ("one", "two")]
    assert convert.main([*folders[0], *folders[1], "--out", str(workspace.out)]) == 0
    assert capsys.readouterr().out.startswith("split: 10% of the images validate, chosen at random with seed 0\n")


def test_several_sets_and_maps_can_be_given(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    workspace.pair("a.jpg", ("scarf", 1, 1, 20, 20), folder="one")
    workspace.pair("a.jpg", ("hat = off", 1, 1, 20, 20), ("sign", 30, 1, 50, 20), folder="two")
    flags = [
        *("--annotations", str(workspace.annotations("one")), "--images", str(workspace.images("one"))),
        *("--annotations", str(workspace.annotations("two")), "--images", str(workspace.images("two"))),
        *("--map", "scarf=without_mask", "--map", "hat = off=with_mask", "--map", "Sign=background"),
        *("--out", str(workspace.out), "--split", str(workspace.split("a.jpg,train"))),
    ]
    assert convert.main(flags) == 0
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
        convert.main(flags)
    assert caught.value.code == 2
    assert flags[0] in capsys.readouterr().err


def test_the_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        convert.main(["--help"])
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


def test_images_that_cannot_be_read_and_files_in_subfolders_are_named(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg", "unended.jpg"):
        workspace.pair(name, FACE, MASK, seed=ord(name[0]))
    labelled, unlabelled = workspace.images() / "c.HEIC", workspace.images() / "d.avif"
    (workspace.images() / "c.jpg").unlink()
    labelled.write_bytes(b"\0\0\0\x18ftypheic" + bytes(50))
    unlabelled.write_bytes(b"\0\0\0\x18ftypavif" + bytes(50))
    unended = workspace.images() / "unended.jpg"
    unended.write_bytes(unended.read_bytes()[:-2])
    for folder, name in ((workspace.images(), "x.jpg"), (workspace.annotations(), "x.xml")):
        (folder / "below").mkdir()
        (folder / "below" / name).touch()
    split = workspace.split("a.jpg,train", "unended.jpg,train", "b.jpg,val", "c.HEIC,val")
    assert run(workspace, "--split", str(split)) == 1
    said = capsys.readouterr()
    assert "warning: images: 1 image in subfolders was not looked at, such as below/x.jpg" in said.out
    assert "1 XML file in subfolders was not looked at, such as below/x.xml" in said.out
    report = (workspace.out / "report.txt").read_text()
    assert report.count("HEIC and AVIF cannot be read: convert it to JPEG or PNG") == 2
    assert "unended.jpg: its end marker is missing, but nothing of its picture: it is used" in report
    assert (workspace.out / "images" / "train" / "unended.jpg").read_bytes() == unended.read_bytes() + b"\xff\xd9"
