"""``mask-detector evaluate`` as a person uses it, and the parts that it and ``compare`` are made of."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from lxml import etree

from detector import evaluate
from detector.data import voc
from detector.data.loading import load_voc, load_yolo
from detector.data.regions import Regions
from detector.data.report import Report
from detector.engines import SingleStage, load_engine
from detector.errors import AnnotationError
from detector.evaluation.contenders import Contender, find
from detector.media import images
from detector.scoring import one_class
from detector.scoring.confidences import uncalibrated

from .engines.networks import make_classifier, make_network, make_ssd, raw_head

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "data"
RED, GREEN, BLUE = (0, 0, 255), (0, 255, 0), (255, 0, 0)  # BGR; to the small classifier mask, no mask, background
NAMES = {RED: "with_mask", GREEN: "without_mask"}
PLACES = ((0, 0), (40, 0), (0, 40))


def make_set(folder: Path, *pictures: tuple[tuple[int, int, int], ...]) -> Path:
    """Pictures with squares of 20 px in these colours; red and green ones are labelled as faces."""
    (folder / "images").mkdir(parents=True)
    (folder / "annotations").mkdir()
    for number, colours in enumerate(pictures):
        picture, boxes = np.zeros((64, 64, 3), np.uint8), []
        for colour, (x, y) in zip(colours, PLACES, strict=False):
            picture[y : y + 20, x : x + 20] = colour
            boxes += [voc.Box(NAMES[colour], x, y, x + 20, y + 20)] if colour in NAMES else []
        images.write(folder / "images" / f"{number}.png", picture)
        label = voc.Annotation(f"{number}.png", "images", (64, 64), tuple(boxes))
        voc.write(folder / "annotations" / f"{number}.xml", label)
    return folder


def flags_of(folder: Path) -> list[str]:
    return ["--annotations", str(folder / "annotations"), "--images", str(folder / "images")]


def two_step(folder: Path, steepness: float = 50.0) -> list[str]:
    """The flags of an engine that finds a face at each of ``PLACES`` and tells them by their colour."""
    finder = make_ssd(
        folder, *((x, y, x + 20, y + 20, score) for (x, y), score in zip(PLACES, (0.9, 0.8, 0.7), strict=True))
    )
    classifier = make_classifier(folder, steepness=steepness)
    return ["--engine", "two-step", "--weights", str(classifier), "--faces", f"ssd={finder}"]


def figures(path: Path) -> dict[str, dict[str, object]]:
    content: dict[str, dict[str, object]] = json.loads(path.read_text())
    return content


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that the command writes about the sample."""
    out = tmp_path_factory.mktemp("evaluated")
    flags = ["--json", str(out / "f.json"), "--curves", str(out / "c.svg"), "--coco", str(out / "coco")]
    assert evaluate.main([*flags, "--threads", "1"]) == 0
    return out


def test_a_fresh_process_evaluates_without_torch(tmp_path: Path) -> None:
    make_set(tmp_path / "set", (RED,))
    code = (
        "import sys, detector.evaluate, detector.compare; code = detector.evaluate.main();"
        "print({'torch', 'ultralytics', 'matplotlib'} & set(sys.modules) or 'light'); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *flags_of(tmp_path / "set")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "light"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]  # nothing is written unasked


def test_the_sample_is_measured_without_any_flag(sample: Path) -> None:
    content = figures(sample / "f.json")
    assert content["images"] == len(images.list_images(DATA / "images"))
    assert content["average_precision"]["with_mask"]["ap50"] >= 0.9
    with load_engine(threads=1) as engine:
        assert content["at_chosen_threshold"]["threshold"] == engine.conf
    best, chosen = (content[f"at_{which}_threshold"]["all"] for which in ("best", "chosen"))
    assert best["right_less_wrong_less_false"] >= chosen["right_less_wrong_less_false"]


def test_the_exported_files_hold_every_image_and_face(sample: Path) -> None:
    truth, found = (
        json.loads((sample / "coco" / f"{name}.json").read_text()) for name in ("ground_truth", "detections")
    )
    assert {image["file_name"] for image in truth["images"]} == {
        f"data/{path.name}" for path in images.list_images(DATA / "images")
    }
    assert len(truth["annotations"]) == sum(
        score["faces"] for score in figures(sample / "f.json")["average_precision"].values()
    )
    assert found["images"] == truth["images"]
    assert min(face["score"] for face in found["annotations"]) < 0.05  # a curve needs its end


def test_the_curves_are_a_picture_of_their_own(sample: Path) -> None:
    root = etree.fromstring((sample / "c.svg").read_bytes())
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    words = " ".join(text for text in root.itertext() if text.strip())
    assert "with_mask: AP50 " in words
    assert "recall" in words


def test_what_is_shown_is_what_the_engine_shows_people() -> None:
    with load_engine(conf=0.005, one_class=False, threads=1) as both, load_engine(conf=0.05, threads=1) as usual:
        for name in ("video_call_six.jpg", "hopper_mask_under_nose.jpg", "collins_mask_on_chin.jpg"):
            picture = images.read(DATA / "images" / name)
            derived, real = one_class(both(picture)), usual(picture)
            derived = derived[derived.confidence > 0.05]
            np.testing.assert_array_equal(derived.xyxy, real.xyxy)
            np.testing.assert_array_equal(derived.class_id, real.class_id)


def test_the_two_step_engine_is_measured_the_same_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_set(tmp_path / "set", (RED, GREEN, BLUE), (GREEN, GREEN, RED))
    assert evaluate.main([*flags_of(folder), *two_step(tmp_path), "--json", str(tmp_path / "f.json")]) == 0
    content = figures(tmp_path / "f.json")
    assert content["engine"].startswith("two-step")
    assert [score["ap50"] for score in content["average_precision"].values()] == [1, 1]
    assert content["at_chosen_threshold"]["confusion"]["counts"] == [[2, 0, 0], [0, 3, 0], [0, 0, 0]]
    assert "two-step" in capsys.readouterr().out


def test_what_the_classifier_takes_for_background_is_no_false_alarm(tmp_path: Path) -> None:
    """Not even where the likelier class alone would be sure enough."""
    folder = make_set(tmp_path / "set", (RED, GREEN, BLUE))
    flags = [*two_step(tmp_path, steepness=1.0), "--conf", "0.1", "--json", str(tmp_path / "f.json")]
    assert evaluate.main([*flags_of(folder), *flags]) == 0
    assert figures(tmp_path / "f.json")["at_chosen_threshold"]["confusion"]["counts"][2] == [0, 0, 0]


def test_a_yolo_folder_with_its_own_names_gives_the_figures_of_its_annotations(tmp_path: Path) -> None:
    folder = make_set(tmp_path / "set", (RED, GREEN), (GREEN, RED, RED))
    yolo = tmp_path / "yolo"
    for kind in ("images", "labels"):
        (yolo / kind / "val").mkdir(parents=True)
    for sample in load_voc([folder / "annotations"], [folder / "images"]):
        (yolo / "images" / "val" / sample.path.name).write_bytes(sample.path.read_bytes())
        lines = [
            f"{1 - class_id} {(x1 + x2) / 128} {(y1 + y2) / 128} {(x2 - x1) / 64} {(y2 - y1) / 64}"
            for (x1, y1, x2, y2), class_id in zip(
                sample.truth.xyxy.tolist(), sample.truth.class_id.tolist(), strict=True
            )
        ]
        (yolo / "labels" / "val" / f"{sample.path.stem}.txt").write_text("\n".join(lines))
    (yolo / "data.yaml").write_text("val: images/val\nnames: [bare, Mask]\n")
    engine = two_step(tmp_path)
    assert evaluate.main([*flags_of(folder), *engine, "--json", str(tmp_path / "voc.json")]) == 0
    of_yolo = ["--data", str(yolo / "data.yaml"), "--map", "bare=without_mask"]
    assert evaluate.main([*of_yolo, *engine, "--json", str(tmp_path / "yolo.json")]) == 0
    assert figures(tmp_path / "voc.json") == figures(tmp_path / "yolo.json")


def test_only_the_part_that_is_asked_for_is_measured(tmp_path: Path) -> None:
    folder = make_set(tmp_path / "set", (RED,), (GREEN,), (RED, GREEN))
    split = tmp_path / "split.csv"
    split.write_text("image,split\n0.png,train\n1.png,val\n2.png,val\n")
    labelled = load_voc([folder / "annotations"], [folder / "images"], split=split, part="val")
    assert [image.path.name for image in labelled] == ["1.png", "2.png"]
    with pytest.raises(AnnotationError, match=r"--part test: it has train, val"):
        load_voc([folder / "annotations"], [folder / "images"], split=split, part="test")


def test_a_detection_in_an_ignored_region_is_no_false_alarm(tmp_path: Path) -> None:
    folder = make_set(tmp_path / "set", (RED, GREEN, BLUE))
    regions = tmp_path / "ignored.csv"
    regions.write_text("set,image,xmin,ymin,xmax,ymax\nset,0.png,0,40,20,60\n")
    picture = images.read(folder / "images" / "0.png")
    picture[40:60, 0:20] = RED  # a face that nobody labelled
    images.write(folder / "images" / "0.png", picture)
    counts = []
    for number, more in enumerate(([], ["--ignore", str(regions)])):
        out = tmp_path / f"{number}.json"
        assert evaluate.main([*flags_of(folder), *two_step(tmp_path), "--json", str(out), *more]) == 0
        counts.append(figures(out)["at_chosen_threshold"]["confusion"]["counts"][2])
    assert counts == [[1, 0, 0], [0, 0, 0]]


def test_regions_go_by_set_and_image_and_those_of_other_images_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "ignored.csv"
    path.write_text("set,image,xmin,ymin,xmax,ymax\na,1.png,0,0,5,5\nb,1.png,1,1,6,6\n")
    regions = Regions(path)
    assert regions.of("c", "1.png").shape == (0, 4)
    assert regions.all_unused
    assert regions.of("a", "1.png").tolist() == [[0, 0, 5, 5]]
    assert not regions.all_unused
    assert len(regions.of(None, "1.png")) == 2
    path.write_text("image,xmin,ymin,xmax,ymax\n1.png,0,0,five,5\n")
    with pytest.raises(AnnotationError, match=r"line 2: xmin, ymin, xmax, ymax must be pixel numbers"):
        Regions(path)


def test_small_faces_neither_help_nor_hurt(tmp_path: Path) -> None:
    folder = make_set(tmp_path / "set", (RED, GREEN))
    out = tmp_path / "f.json"
    assert evaluate.main([*flags_of(folder), *two_step(tmp_path), "--min-side", "21", "--json", str(out)]) == 0
    assert figures(out)["at_chosen_threshold"]["confusion"]["counts"] == [[0, 0, 0]] * 3


def test_each_face_has_the_right_word_the_wrong_one_or_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The engine looks for faces at three places, so it finds all; some labels say another colour, or another place."""
    one, other = (
        make_set(tmp_path / "one", (RED, GREEN, BLUE), (RED, BLUE, BLUE)),
        make_set(tmp_path / "other", (RED, RED, BLUE)),
    )
    wrong = voc.read(other / "annotations" / "0.xml")
    boxes = (replace(wrong.boxes[0], name="without_mask"), replace(wrong.boxes[1], ymin=40, ymax=60))
    voc.write(other / "annotations" / "0.xml", replace(wrong, boxes=boxes))
    out = tmp_path / "f.json"
    flags = [*flags_of(one), *flags_of(other), *two_step(tmp_path), "--json", str(out)]
    assert evaluate.main(flags) == 0
    content = figures(out)
    every = content["at_chosen_threshold"]["all"]
    assert (every["faces"], every["right"], every["wrong"], every["missed"]) == (5, 0.6, 0.2, 0.2)
    assert (every["wrong_of_found"], every["false_per_100_images"]) == (0.25, 33.333333)
    bare = content["at_chosen_threshold"]["classes"]["without_mask"]
    assert (bare["faces"], bare["right"], bare["wrong"], bare["false_per_100_images"]) == (2, 0.5, 0.5, 0)
    assert [content["sets"][name]["at_chosen_threshold"]["all"]["right"] for name in ("one", "other")] == [1, 0]
    said = capsys.readouterr().out
    assert re.search(r"^all +5 +0\.600 +0\.200 +0\.200 +0\.250 +33\.3 ", said, re.MULTILINE)
    assert re.search(r"^other +1 +2 +0\.000 +0\.000 +0\.000 +0\.500 +0\.500 +1\.000 +100\.0$", said, re.MULTILINE)
    assert "best threshold" in said


def test_pictures_without_people_need_no_labels_and_whatever_is_found_there_is_false(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = ((BLUE,) * 3, (RED, BLUE, BLUE), (GREEN, RED, BLUE), (BLUE,) * 3)
    folder, out = make_set(tmp_path / "animals", *pictures), tmp_path / "f.json"
    shutil.rmtree(folder / "annotations")
    (folder / "images" / "broken.png").write_bytes(b"no picture")
    flags = ["--images", str(folder / "images"), *two_step(tmp_path), "--json", str(out)]
    assert evaluate.main(flags) == 1
    content = figures(out)
    assert content["images"] == 4
    assert content["at_chosen_threshold"]["all"]["false_per_100_images"] == 75
    assert content["at_chosen_threshold"]["all"]["right"] is None
    assert content["at_best_threshold"] is None
    said = capsys.readouterr()
    assert re.search(r"^all +0 +– +– +– +– +75\.0 ", said.out, re.MULTILINE)
    assert "1 labels or images were left out" in said.err


def test_a_calibrated_copy_says_how_often_it_is_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The network sees the same four faces everywhere; so often, in ten images, each is right: 8, 5, 9 and 3 times."""
    names, scores, right = (*["with_mask"] * 2, *["without_mask"] * 2), (0.9, 0.3, 0.8, 0.4), (8, 5, 9, 3)
    corners = [(x, y) for x in (0, 40) for y in (0, 40)]
    rows = [
        (x + 10, y + 10, 20, 20, *((score, 0) if name == "with_mask" else (0, score)))
        for (x, y), name, score in zip(corners, names, scores, strict=True)
    ]
    network = make_network(tmp_path, raw_head(*rows))
    folder = make_set(tmp_path / "set", *[()] * 100)
    for number in range(100):
        boxes = [voc.Box(name, x, y, x + 20, y + 20) for (x, y), name in zip(corners, names, strict=True)]
        there = tuple(box for box, often in zip(boxes, right, strict=True) if number % 10 < often)
        label = voc.Annotation(f"{number}.png", "images", (64, 64), there)
        voc.write(folder / "annotations" / f"{number}.xml", label)
    out, chart = tmp_path / "out" / "calibrated.onnx", tmp_path / "r.svg"
    flags = [*flags_of(folder), "--threads", "1", "--weights"]
    assert evaluate.main([*flags, str(network), "--calibrate", str(out), "--reliability", str(chart)]) == 0
    assert "calibrated; expected calibration error" in capsys.readouterr().out
    assert "without_mask: 200 boxes, expected calibration error 0.1" in chart.read_text()
    for _ in range(2):
        with load_engine(weights=out, threads=1) as engine:
            assert 0.3 < engine.conf < 0.8  # what is right three times in ten is better not shown
            engine.conf = 0.0
            found = engine(np.zeros((64, 64, 3), np.uint8))
        shares = {
            tuple(box[:2]): share for box, share in zip(found.xyxy.tolist(), found.confidence.tolist(), strict=True)
        }
        assert [shares[corner] for corner in corners] == pytest.approx([often / 10 for often in right], abs=0.02)
        again = [*flags, str(out), "--calibrate", str(out), "--overwrite", "--json", str(tmp_path / "f.json")]
        assert evaluate.main(again) == 0  # and a second time changes nothing
        assert figures(tmp_path / "f.json")["expected_calibration_error"] < 0.02
    with SingleStage(uncalibrated(out), conf=0.0) as own, SingleStage(network, conf=0.0) as before:
        picture = np.zeros((64, 64, 3), np.uint8)
        assert own(picture).confidence.tolist() == before(picture).confidence.tolist()
    assert onnx_metadata(out).keys() - onnx_metadata(network).keys() == {"calibration", "conf"}


def test_too_few_faces_to_calibrate_by_are_one_line_and_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = make_network(tmp_path, raw_head((10, 10, 20, 20, 0.9, 0)))
    folder, out = make_set(tmp_path / "set", (RED,)), tmp_path / "out.onnx"
    assert evaluate.main([*flags_of(folder), "--weights", str(network), "--calibrate", str(out)]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: 1 right and 0 other boxes with_mask are too few to calibrate by")
    assert not out.exists()


def onnx_metadata(path: Path) -> dict[str, str]:
    entries: dict[str, str] = ort.InferenceSession(path).get_modelmeta().custom_metadata_map
    return entries


def test_a_class_without_faces_is_one_clear_line_and_a_dash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_set(tmp_path / "set", (RED,), ())
    out = tmp_path / "f.json"
    assert evaluate.main([*flags_of(folder), *two_step(tmp_path), "--json", str(out)]) == 0
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        "warning: no face of 10 px or more is labelled without_mask: its recall is not defined (–)",
        f"wrote {out}",
    ]
    assert re.search(r"^without_mask\s+0\s+–\s+–$", said.out, re.MULTILINE)
    assert figures(out)["average_precision"]["without_mask"]["ap50"] is None
    assert evaluate.main([*flags_of(make_set(tmp_path / "none", (), ())), *two_step(tmp_path)]) == 0
    assert capsys.readouterr().err.count("warning: no face") == 2


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--annotations", "empty", "--images", "empty"], r"empty: no .*\.xml"),
        (["--annotations", "set/annotations"], r"--annotations and --images belong together"),
        (["--data", "data.yaml", "--split", "s.csv"], r"--data already names images and labels"),
        (["--data", "missing.yaml"], r"--data missing\.yaml: cannot be read"),
        (["--data", "data.yaml"], r"no entry val \(there: train\)"),
        (["--data", "data.yaml", "--part", "train"], r"no images in train"),
        (["--weights", "missing.onnx", "--annotations", "set/annotations", "--images", "set/images"], r"no such file"),
        (["--json", "taken.json"], r"taken\.json: exists already"),
        (["--coco", "taken"], r"ground_truth\.json: exists already"),
        (["--curves", "c.png"], r"--curves c\.png: name a file that ends in \.svg"),
        (["--reliability", "r.png"], r"--reliability r\.png: name a file that ends in \.svg"),
        (["--calibrate", "c.pt"], r"--calibrate c\.pt: name a file that ends in \.onnx"),
        (["--calibrate", "taken.onnx"], r"taken\.onnx: exists already"),
        (["--calibrate", "c.onnx", "--engine", "two-step"], r"only the single-stage engine has a calibration"),
        (["--images", "set/images", "--split", "s.csv"], r"--split needs --annotations"),
        (["--images", "empty"], r"empty: no image can be read"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    flags: list[str], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make_set(tmp_path / "set", (RED, GREEN))
    for folder in ("empty", "taken"):
        Path(folder).mkdir()
    Path("data.yaml").write_text("train: empty\nnames: {0: with_mask, 1: without_mask}\n")
    for name in ("taken.json", "taken.onnx", "taken/ground_truth.json"):
        Path(name).write_text("mine")
    assert evaluate.main(flags) == 2
    assert re.fullmatch(rf"error: .*{line}.*\n", capsys.readouterr().err)
    assert Path("taken.json").read_text() == "mine"


def test_overwrite_replaces_and_a_dash_writes_to_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = make_set(tmp_path / "set", (RED, GREEN)), tmp_path / "f.json"
    out.write_text("old")
    assert evaluate.main([*flags_of(folder), *two_step(tmp_path), "--json", str(out), "--overwrite"]) == 0
    capsys.readouterr()
    assert evaluate.main([*flags_of(folder), *two_step(tmp_path), "--json", "-"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["images"] == figures(out)["images"] == 1
    assert "AP50" in said.err


def test_an_image_that_cannot_be_read_is_left_out_for_all(tmp_path: Path) -> None:
    folder = make_set(tmp_path / "set", (RED,), (GREEN,))
    labelled = load_voc([folder / "annotations"], [folder / "images"])
    labelled[0].path.write_bytes(b"not an image")
    seen: list[tuple[int, ...]] = []
    with load_engine(threads=1) as engine:

        def watched(picture: images.Image) -> object:
            seen.append(picture.shape)
            return engine(picture)

        findings = find([Contender("one", watched, watched), Contender("two", watched, watched)], labelled)
    assert [image.path.name for image in findings.labelled] == ["1.png"]
    assert [len(examples) for examples in findings.examples] == [1, 1]
    assert len(findings.unreadable) == 1
    assert "0.png" in findings.unreadable[0]
    assert len(seen) == 2
    with pytest.raises(AnnotationError, match=r"no image can be read"):
        find([], labelled[:1])


@pytest.mark.parametrize(
    ("package", "name", "flags"),
    [("faster_coco_eval", "faster-coco-eval", []), ("matplotlib", "matplotlib", ["--curves", "c.svg"])],
)
def test_without_a_package_of_the_extra_the_remedy_comes_first(
    package: str, name: str, flags: list[str], tmp_path: Path
) -> None:
    code = f"import sys; sys.modules['{package}'] = None; import detector.evaluate as e; sys.exit(e.main())"
    done = subprocess.run(
        [sys.executable, "-c", code, *flags],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {name} is not installed: run pip install 'faster-coco-eval>=")


@pytest.mark.parametrize(
    ("yaml", "line"),
    [
        ("val: [images/val\n", "not YAML"),
        ("- a\n", "no entries train, val and names"),
        ("val: images/val\nnames: {1: mask}\n", "names must list the classes"),
        ("val: nowhere\nnames: [mask, face]\n", "nowhere is not there"),
        ("val: images/val\nnames: [mask]\n", "classes go from 0 to 0"),
        ("val: images/val\nnames: [mask, helmet]\n", r"not known: 'helmet'"),
    ],
)
def test_a_yolo_folder_that_cannot_be_used_says_why(yaml: str, line: str, tmp_path: Path) -> None:
    for kind in ("images", "labels"):
        (tmp_path / kind / "val").mkdir(parents=True)
    images.write(tmp_path / "images" / "val" / "a.png", np.zeros((32, 32, 3), np.uint8))
    (tmp_path / "labels" / "val" / "a.txt").write_text("1 0.5 0.5 0.5 0.5\n")
    (tmp_path / "data.yaml").write_text(yaml)
    with pytest.raises(AnnotationError, match=line):
        load_yolo(tmp_path / "data.yaml")


def test_a_list_of_images_is_understood_and_an_image_with_a_box_of_no_size_left_out_and_named(tmp_path: Path) -> None:
    for number in range(3):
        images.write(tmp_path / f"{number}.png", np.zeros((40, 80, 3), np.uint8))
    (tmp_path / "0.txt").write_text("0 0.5 0.5 0.25 0.5\n")
    (tmp_path / "2.txt").write_text("0 0.5 0.5 0.25 0.5\n1 0.5 0.5 0 0\n")
    (tmp_path / "broken.png").write_bytes(b"")
    (tmp_path / "list.txt").write_text("0.png\n1.png\n2.png\nbroken.png\n")
    (tmp_path / "data.yaml").write_text("test: list.txt\nnames: {0: mask, 1: face}\n")
    report = Report()
    one, other = load_yolo(tmp_path / "data.yaml", part="test", report=report)
    assert [note.file for note in report.dropped] == ["2.png", "2.png", "broken.png"]
    assert (one.title, one.size, one.truth.xyxy.tolist()) == ("0.png", (80, 40), [[30, 10, 50, 30]])
    assert len(other.truth) == 0
