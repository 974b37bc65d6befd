from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from detector import prelabel
from detector.data import voc
from detector.data.loading import load_voc
from detector.detections import Detections
from detector.labelling import proposals
from detector.media import images
from tests.engines.networks import make_classifier, make_network, make_ssd, raw_head

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "data"
NAMES = ("video_call_six.jpg", "hopper_sideways_exif.jpg", "collins_口罩.jpg", "no_face_coffee.jpg")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pictures of the sample, pre-labelled by the shipped network, with all that the command writes."""
    root = tmp_path_factory.mktemp("sample")
    (root / "photos").mkdir()
    for name in NAMES:
        shutil.copy(DATA / "images" / name, root / "photos")
    flags = ["--images", root / "photos", "--out", root / "labels", "--review", root / "review"]
    flags += ["--sure", "0.95", "--threads", "1"]
    assert prelabel.main([*map(str, flags), "--report", str(root / "found.json")]) == 0
    return root


class Photos:
    """A folder of 64 x 64 pictures, and a network that says the same of each."""

    def __init__(self, root: Path, prelabel: ModuleType) -> None:
        self.root, self.images, self.labels = root, root / "photos", root / "labels"
        self.images.mkdir()
        self._main = prelabel.main

    def add(self, *names: str) -> None:
        for name in names:
            images.write(self.images / name, np.full((64, 64, 3), 128, np.uint8))

    def network(self, *faces: tuple[float, ...]) -> Path:
        """Each face as centre x, centre y, width, height, with_mask, without_mask."""
        return make_network(self.root, raw_head(*faces))

    def run(self, *flags: object) -> int:
        given = ["--images", self.images, "--out", self.labels, "--threads", 1, *flags]
        code: int = self._main([str(flag) for flag in given])
        return code

    def boxes(self, name: str) -> tuple[voc.Box, ...]:
        return voc.read(self.labels / name).boxes

    def unseen(self) -> list[str]:
        with (self.labels / "prelabels.csv").open(encoding="utf-8", newline="") as file:
            return [row["image"] for row in csv.DictReader(file)]


@pytest.fixture
def photos(tmp_path: Path) -> Photos:
    return Photos(tmp_path, prelabel)


FACE = (20, 20, 20, 20, 0.9, 0.05)
UNSURE = (48.3, 47.8, 20.0, 19.0, 0.1, 0.45)


def test_labelimg_reads_every_box_with_its_class_and_mark(sample: Path) -> None:
    found = json.loads((sample / "found.json").read_text(encoding="utf-8"))
    faces = {Path(entry["image"]).stem: entry["faces"] for entry in found["images"]}
    counts = {stem: len(boxes) for stem, boxes in faces.items() if boxes}
    assert counts == {"video_call_six": 6, "hopper_sideways_exif": 1, "collins_口罩": 1}
    marks = set()
    for label in (sample / "labels").glob("*.xml"):
        annotation = voc.read(label)
        assert not annotation.verified
        assert label.read_bytes() == voc.to_bytes(annotation)  # which are LabelImg's own: tests/data/test_voc.py
        read = [[list(box.xyxy), box.name, box.difficult] for box in annotation.boxes]
        assert read == [[face["box"], face["class"], face["unsure"]] for face in faces[label.stem]]
        marks |= {box.difficult for box in annotation.boxes}
    assert marks == {True, False}


def test_the_boxes_are_whole_pixels_of_the_upright_picture_and_lie_on_its_faces(sample: Path) -> None:
    for label in (sample / "labels").glob("*.xml"):
        written, truth = voc.read(label), voc.read(DATA / "annotations" / label.name)
        assert written.size == truth.size
        assert sorted(box.name for box in written.boxes) == sorted(box.name for box in truth.boxes)
        for box in written.boxes:
            assert all(value == int(value) for value in box.xyxy)
            assert 0 <= box.xmin < box.xmax <= truth.size[0]
            assert 0 <= box.ymin < box.ymax <= truth.size[1]
            assert any(
                abs(box.xmin + box.xmax - face.xmin - face.xmax) < face.xmax - face.xmin
                and abs(box.ymin + box.ymax - face.ymin - face.ymax) < face.ymax - face.ymin
                for face in truth.boxes
            )


def test_labelimg_is_shown_the_images_least_certain_first_under_their_own_names(sample: Path) -> None:
    linked = sorted((sample / "review").rglob("*.jpg"), key=lambda path: str(path).lower())
    with (sample / "labels" / "prelabels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [path.name for path in linked] == [row["image"] for row in rows]
    assert {row["image"] for row in rows} == set(NAMES)
    doubts = [float(row["doubt"]) for row in rows]
    assert doubts == sorted(doubts, reverse=True)
    assert rows[0]["image"] == "video_call_six.jpg"
    without_file = {row["image"] for row in rows if not row["annotation"]}
    assert without_file == {name for name in NAMES if name.startswith("no_face")}
    for path in linked:
        assert path.read_bytes() == (sample / "photos" / path.name).read_bytes()
    assert (sample / "labels" / "classes.txt").read_text() == "with_mask\nwithout_mask\n"


LABELIMG = """\
<annotation verified="yes">
	<folder>photos</folder>
	<filename>a.jpg</filename>
	<path>photos/a.jpg</path>
	<source>
		<database>Unknown</database>
	</source>
	<size>
		<width>64</width>
		<height>64</height>
		<depth>3</depth>
	</size>
	<segmented>0</segmented>
	<object>
		<name>with_mask</name>
		<pose>Unspecified</pose>
		<truncated>0</truncated>
		<difficult>0</difficult>
		<bndbox>
			<xmin>10</xmin>
			<ymin>10</ymin>
			<xmax>30</xmax>
			<ymax>30</ymax>
		</bndbox>
	</object>
</annotation>
"""
"""What LabelImg 1.8.6 saves after the space bar."""


def test_a_file_that_labelimg_saved_is_a_persons_from_then_on(
    photos: Photos, capsys: pytest.CaptureFixture[str]
) -> None:
    photos.add("a.jpg", "b.jpg")
    assert photos.run("--weights", photos.network(FACE)) == 0
    saved = LABELIMG.encode()
    (photos.labels / "a.xml").write_bytes(saved)
    assert photos.boxes("a.xml") == photos.boxes("b.xml")  # the same boxes, but confirmed
    assert voc.read(photos.labels / "a.xml").verified
    capsys.readouterr()
    assert photos.run("--refresh", "--weights", photos.network(UNSURE)) == 0
    said = capsys.readouterr().out
    assert "1 image pre-labelled with 1 box, 1 of them unsure" in said
    assert said.splitlines()[-1].startswith("next: mlabelImg ")  # labelImg crashes on Python 3.10 and later
    assert (photos.labels / "a.xml").read_bytes() == saved
    assert photos.boxes("b.xml") == (voc.Box("without_mask", 38, 38, 58, 57, difficult=True),)
    assert photos.unseen() == ["b.jpg"]


@pytest.mark.parametrize("place", ["labels/a.xml", "labels/a.txt", "photos/a.xml"])
def test_a_label_file_that_is_there_is_never_replaced_without_overwrite(photos: Photos, place: str) -> None:
    photos.add("a.jpg", "b.jpg")
    photos.labels.mkdir()
    mine = photos.root / place
    mine.write_text("my work", encoding="utf-8")
    network = photos.network(FACE)
    for flags in ([], ["--refresh"]):
        assert photos.run("--weights", network, *flags) == 0
        assert mine.read_text(encoding="utf-8") == "my work"
        assert photos.unseen() == ["b.jpg"]
        assert {path.name for path in photos.labels.iterdir()} - {mine.name} == {
            "b.xml",
            "classes.txt",
            "prelabels.csv",
        }
    assert photos.run("--weights", photos.network(), "--overwrite", "--background") == 0
    assert mine.read_text(encoding="utf-8") == "my work"  # no face was found: there is nothing to put in its place
    assert "a.jpg" not in photos.unseen()
    assert photos.run("--weights", network, "--overwrite") == 0
    assert len(photos.boxes("a.xml")) == 1
    assert (mine.read_text(encoding="utf-8") == "my work") == (place != "labels/a.xml")


def test_an_image_without_a_face_gets_no_file_unless_it_is_to_be_background(photos: Photos) -> None:
    photos.add("a.jpg")
    assert photos.run("--weights", photos.network()) == 0
    assert not (photos.labels / "a.xml").exists()
    assert photos.unseen() == ["a.jpg"]
    assert photos.run("--weights", photos.network(), "--background") == 0
    (loaded,) = load_voc([photos.labels], [photos.images])
    assert len(loaded.truth) == 0
    assert photos.run("--weights", photos.network(FACE), "--refresh") == 0
    assert len(photos.boxes("a.xml")) == 1
    assert photos.run("--weights", photos.network(), "--refresh") == 0  # the better network sees no face there
    assert not (photos.labels / "a.xml").exists()


def test_boxes_are_marked_from_the_given_threshold_and_the_last_is_the_least_sure(photos: Photos) -> None:
    photos.add("a.png")
    network = photos.network(UNSURE, FACE, (10, 50, 8, 8, 0.2, 0.0))
    assert photos.run("--weights", network) == 0
    assert photos.boxes("a.xml") == (
        voc.Box("with_mask", 10, 10, 30, 30),
        voc.Box("without_mask", 38, 38, 58, 57, difficult=True),
    )
    assert photos.run("--weights", network, "--overwrite", "--sure", 0.95, "--conf", 0.1) == 0
    assert [box.difficult for box in photos.boxes("a.xml")] == [True, True, True]


def test_the_doubt_about_an_image_is_the_number_of_corrections_that_its_confidences_foretell() -> None:
    propose = proposals.propose
    box = [[-3.4, 2.6, 10.4, 70.0], [0.2, 0.2, 0.4, 9.0], [20.0, 20.0, 30.0, 30.0]]

    def proposed(*confidences: float) -> object:
        count = len(confidences)
        found = Detections(np.array(box[:count], np.float32), np.array(confidences, np.float32), np.zeros(count))
        return propose(found, (64, 48), conf=0.25, sure=0.6)

    assert proposed(0.425).doubt == pytest.approx(0.5, abs=1e-6)
    assert proposed(0.6).doubt == pytest.approx(1 / (1 + np.exp(2)), abs=1e-6)
    assert proposed(0.1).doubt < 0.03  # hardly a face that was missed
    assert proposed(0.2, 0.2, 0.2).doubt == pytest.approx(3 * proposed(0.2).doubt, rel=0.01)
    assert proposed(0.9).faces.xyxy.tolist() == [[0, 3, 10, 48]]  # whole, and inside
    assert len(proposed(0.9, 0.8).faces) == 1  # nothing is left of the second one


def test_the_two_step_engine_labels_too(photos: Photos) -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[0:20, 0:20], image[40:60, 0:20] = (0, 0, 255), (0, 255, 0)
    images.write(photos.images / "a.png", image)
    finder = make_ssd(photos.root, (0, 0, 20, 20, 0.9), (0, 40, 20, 60, 0.5))
    flags = ["--engine", "two-step", "--weights", make_classifier(photos.root), "--faces", f"ssd={finder}"]
    assert photos.run(*flags) == 0
    assert photos.boxes("a.xml") == (
        voc.Box("with_mask", 0, 0, 20, 20),
        voc.Box("without_mask", 0, 40, 20, 60, difficult=True),
    )


def test_what_labelimg_could_not_show_or_nobody_can_read_is_left_out_and_the_rest_is_labelled(
    photos: Photos, capsys: pytest.CaptureFixture[str]
) -> None:
    photos.add("a.jpg", "twice.jpg", "twice.png", "old.jp2")
    (photos.images / "broken.jpg").write_bytes(b"no image")
    (photos.images / "phone.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(50))
    (photos.images / "a.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(50))  # a.jpg was made from it
    (photos.images / "below").mkdir()
    (photos.images / "below" / "deep.jpg").touch()
    sideways = bytearray((photos.images / "twice.png").read_bytes())
    exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    sideways[33:33] = len(exif).to_bytes(4, "big") + b"eXIf" + exif + b"\0\0\0\0"  # after IHDR; nobody checks the CRC
    (photos.images / "sideways.png").write_bytes(sideways)
    assert photos.run("--weights", photos.network(FACE), "--report", photos.root / "found.json") == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 9
    assert f"wrote {photos.root / 'found.json'}" in lines
    for said in (
        "sideways.png: LabelImg does not turn it",
        "old.jp2: LabelImg does not list .jp2",
        "broken.jpg: ",
        "twice.jpg: another image would share",
        "twice.png: another image would share",
        "phone.HEIC: HEIC and AVIF cannot be read",
        "1 image in subfolders was not looked at, such as below/deep.jpg",
    ):
        assert [line for line in lines if said in line], said
    assert [path.name for path in photos.labels.glob("*.xml")] == ["a.xml"]
    counts = json.loads((photos.root / "found.json").read_text())["counts"]
    assert counts == {"left out": 7, "pre-labelled": 1}


def test_a_dry_run_says_the_same_and_writes_nothing_but_the_report(
    photos: Photos, capsys: pytest.CaptureFixture[str]
) -> None:
    photos.add("a.jpg", "b.jpg")
    flags = ["--weights", photos.network(FACE, UNSURE), "--review", photos.root / "review"]
    before = {path.name for path in photos.root.iterdir()}
    report = photos.root / "reports" / "found.json"
    assert photos.run(*flags, "--dry-run", "--report", report) == 0
    assert "2 images would be pre-labelled with 4 boxes, 2 of them unsure" in capsys.readouterr().out
    assert {path.name for path in photos.root.iterdir()} - before == {"reports"}
    dry = json.loads(report.read_text())
    assert photos.run(*flags, "--report", photos.root / "found.json") == 0
    assert json.loads((photos.root / "found.json").read_text()) == dry | {"dry_run": False}


def test_a_second_run_gives_the_same_bytes(photos: Photos) -> None:
    photos.add("a.jpg", "b.jpg")
    network = photos.network(FACE, UNSURE)
    written = []
    for flags in ([], ["--overwrite"], []):
        assert photos.run("--weights", network, *flags) == 0
        written.append({path.name: path.read_bytes() for path in photos.labels.iterdir()})
    assert written[0] == written[1] == written[2]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--conf", "0.25", "--sure", "0.2"], "--sure 0.2 must be above --conf 0.25"),
        (["--review", "{root}/photos"], "is there and not empty: remove it or choose another --review"),
        (["--report", "{root}/photos/a.jpg"], "exists already"),
        (["--out", "{root}/photos/a.jpg"], "is a file, not a folder"),
        (["--images", "{root}/nowhere"], "nowhere: cannot be read"),
        (["--images", "{root}/empty"], "no images there: check --images"),
        (["--weights", "{root}/nowhere.onnx"], "nowhere.onnx"),
        (["--out", "{root}/damaged"], "prelabels.csv: --out needs the columns"),
    ],
)
def test_a_mistake_is_one_line_and_writes_no_label(
    photos: Photos, capsys: pytest.CaptureFixture[str], flags: list[str], says: str
) -> None:
    photos.add("a.jpg")
    (photos.root / "empty").mkdir()
    (photos.root / "damaged").mkdir()
    (photos.root / "damaged" / "prelabels.csv").write_text("something else\n")
    assert photos.run(*[flag.format(root=photos.root) for flag in flags]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert says in err
    assert not list(photos.root.rglob("*.xml"))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process")
def test_ctrl_c_leaves_whole_files_that_are_all_in_the_list(photos: Photos) -> None:
    photos.add("0.png")
    for index in range(1, 3000):
        (photos.images / f"{index}.png").symlink_to(photos.images / "0.png")
    flags = ["--images", photos.images, "--out", photos.labels, "--weights", photos.network(FACE)]
    with subprocess.Popen(
        [sys.executable, "-m", "detector", "prelabel", *flags],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        while process.poll() is None and not list(photos.labels.glob("*.xml")):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "stopped\n")
    written = {path.stem for path in photos.labels.glob("*.xml")}
    assert 0 < len(written) < 3000
    listed = {Path(name).stem for name in photos.unseen()}
    assert written <= listed
    assert len(listed) <= len(written) + 1  # listed, and not yet written
    assert all(len(photos.boxes(f"{stem}.xml")) == 1 for stem in written)
    assert not list(photos.labels.glob(".*"))


INTERRUPTED = """
import csv, shutil, signal, sys, time
from pathlib import Path
from detector.prelabel import main

labels, flags, running = Path(sys.argv[1]), ["--out", *sys.argv[1:]], []
for _ in range(2):  # the second without imports
    shutil.rmtree(labels, ignore_errors=True)
    began = time.monotonic()
    assert main(flags) == 0
    whole = time.monotonic() - began
signal.signal(signal.SIGALRM, lambda *_: running and signal.raise_signal(signal.SIGINT))
for step in range(1, 40):
    shutil.rmtree(labels, ignore_errors=True)
    running.append(step)
    signal.setitimer(signal.ITIMER_REAL, whole * step / 35)
    try:
        assert main(flags) in (0, 130)
        running.clear()
    except KeyboardInterrupt:  # before the command had begun, or after its end
        pass
    finally:
        running.clear()
        signal.setitimer(signal.ITIMER_REAL, 0)
    written = {path.stem for path in labels.glob("*.xml")}
    if written:
        with (labels / "prelabels.csv").open(encoding="utf-8", newline="") as file:
            assert written <= {Path(row["image"]).stem for row in csv.DictReader(file)}
    print("labels:", len(written))
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no timer that signals")
def test_ctrl_c_at_any_moment_leaves_no_label_that_is_not_in_the_list(photos: Photos) -> None:
    photos.add(*(f"{index}.png" for index in range(12)))
    # In a process of its own: a Ctrl-C within logging leaves its lock taken, and other threads wait.
    flags = ["--images", photos.images, "--weights", photos.network(FACE), "--threads", "1"]
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, photos.labels, *flags],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    written = [line for line in done.stdout.splitlines() if line.startswith("labels:")]
    assert len(written) == 39
    assert len(set(written)) > 2  # at different moments


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_after_a_kill_every_label_is_in_the_list_and_the_next_run_goes_on(photos: Photos) -> None:
    photos.add("0.png")
    for index in range(1, 300):
        (photos.images / f"{index}.png").symlink_to(photos.images / "0.png")
    network = photos.network(FACE)
    flags = ["--images", photos.images, "--out", photos.labels, "--weights", network]
    with subprocess.Popen(
        [sys.executable, "-m", "detector", "prelabel", *flags], env={**os.environ, "PYTHONPATH": str(ROOT)}
    ) as process:
        while process.poll() is None and len(list(photos.labels.glob("*.xml"))) < 5:
            time.sleep(0.01)
        assert photos.run("--weights", network) == 2  # two at once
        process.kill()
    written = {path.stem for path in photos.labels.glob("*.xml")}
    assert 5 <= len(written) < 300
    assert written <= {Path(name).stem for name in photos.unseen()}
    with (photos.labels / "prelabels.csv").open("ab") as file:
        file.write(b'"299.png,299.xml')  # what a power cut may leave of a row
    assert photos.run("--weights", network) == 0
    assert {Path(name).stem for name in photos.unseen()} == {str(index) for index in range(300)}
    assert not list(photos.labels.glob(".*"))
