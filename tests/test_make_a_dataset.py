"""docs/make-a-dataset.md, as a person works through it."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest

from detector import clean, collect, convert, prelabel, train
from detector.data import voc
from tests.labelling.test_collect import PHOTOS, Web, web

__all__ = ["web"]

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "make-a-dataset.md"


def commands(name: str) -> str:
    """The fenced commands that follow the marker ``<!-- name -->``, as .ci/run takes them out of the README."""
    found = re.search(rf"^<!-- {name} -->\n```bash\n(.*?)^```", DOCUMENT.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert found, f"{DOCUMENT.name} has no commands after <!-- {name} -->"
    return found[1]


def run(name: str, folder: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("YOLO_", "PYTEST_"))}
    environment |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    environment |= {"HOME": str(folder / "home"), "MPLCONFIGDIR": str(folder / "matplotlib")}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands(name)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="the document speaks to bash")
def test_the_documents_commands_lead_from_pictures_to_a_trained_network(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="tests that train need the extra train")
    (tmp_path / "data").symlink_to(ROOT / "data")
    (tmp_path / "home").mkdir()
    faces = tmp_path / "runs" / "faces"
    out = run("prelabel", tmp_path)
    assert out.startswith("26 images pre-labelled with 38 boxes")
    assert len(list((faces / "review").rglob("*.jpg"))) == 28
    with (faces / "annotations" / "prelabels.csv").open(encoding="utf-8", newline="") as file:
        empty = [row["image"] for row in csv.DictReader(file) if not row["annotation"]]
    assert sorted(empty) == ["no_face_coffee.jpg", "no_face_shuttle_model.jpg"]
    assert "treated" in run("masks", tmp_path)
    assert (faces / "masked.jpg").is_file()
    assert len(list((faces / "masked" / "annotations").glob("*.xml"))) > 5
    for name in empty:  # as LabelImg's space bar does
        annotation = voc.read(ROOT / "data" / "annotations" / name.replace(".jpg", ".xml"))
        voc.write(faces / "annotations" / name.replace(".jpg", ".xml"), annotation)
    assert "28 images with 38 labels, 0 disagreements" in run("check", tmp_path)
    out = run("train", tmp_path)
    assert re.search(r"^train: 25 images, .*^val: 3 images, ", out, re.DOTALL | re.MULTILINE)
    weights = tmp_path / "runs" / "first" / "mask_detector.onnx"
    assert weights.stat().st_size > 5_000_000
    assert out.splitlines()[-1].endswith(f"--weights {weights.relative_to(tmp_path)}")


@pytest.mark.slow
def test_what_is_collected_is_cleaned_labelled_converted_and_trained_on(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One chain, each command on what the one before it left, from a server of this machine."""
    pytest.importorskip("torch", reason="tests that train need the extra train")
    monkeypatch.chdir(tmp_path)
    web.results["people"] = [web.photo(number) for number in range(12)]
    web.answers["images.example/again.jpg"] = PHOTOS[0][:-2]  # the same without its end marker
    web.answers["images.example/page.jpg"] = b"<html>gone</html>"
    web.results["people"] += ["http://images.example/again.jpg", "http://images.example/page.jpg"]
    assert collect.main(["--out", "found", "--phrase", "with_mask=people", "--pause", "0", "--timeout", "10"]) == 0
    assert clean.main(["found/images", "--out", "photos"]) == 0
    report = json.loads(Path("photos/report.json").read_text())
    assert report["counts"]["duplicates_same_bytes"] == 1  # again.jpg, with the end that it got
    kept = len(list(Path("photos/images").iterdir()))
    assert kept == report["counts"]["kept"] == 13 - report["counts"]["duplicates"] >= 10
    assert prelabel.main(["--images", "photos/images", "--out", "labels", "--background"]) == 0
    labels = ["--annotations", "labels", "--images", "photos/images"]
    assert convert.main([*labels, "--val", "0.3", "--out", "set"]) == 0
    report = json.loads(Path("set/report.json").read_text())
    used = {part: len(report["files"][part]) for part in ("train", "val")}
    assert sum(used.values()) == kept
    small = ["--epochs", "1", "--imgsz", "64", "--device", "cpu", "--batch", "4"]
    assert train.main(["--data", "set/data.yaml", "--runs", "runs", "--name", "first", *small]) == 0
    network = onnxruntime.InferenceSession("runs/first/mask_detector.onnx", providers=["CPUExecutionProvider"])
    said = " ".join(network.get_modelmeta().custom_metadata_map.values())
    assert f"trained on {used['train']} images" in said
    assert f"chosen on {used['val']} images" in said


def test_the_documents_pictures_are_there_and_small() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", DOCUMENT.read_text(encoding="utf-8"))
    assert len(pictures) == 3
    for name in pictures:
        assert (DOCUMENT.parent / name).stat().st_size < 200_000
