"""``mask-detector compare``: the same images for all, an honest clock, and a report that stands alone."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from lxml import etree

from detector import compare as command
from detector.data.loading import load_voc
from detector.data.sample import Sample
from detector.detections import CLASSES, Detections
from detector.engines import load_engine
from detector.evaluation.comparison import Comparison, most_different, table, table_rows
from detector.evaluation.comparison_page import write_comparison
from detector.evaluation.contenders import Contender, Findings, open_contender
from detector.evaluation.text import caveat
from detector.evaluation.timing import CANVAS, canvas, cut_faces, time_engines
from detector.media import images
from detector.scoring import Example, Words

from .engines.networks import make_res10
from .test_evaluate import BLUE, GREEN, RED, flags_of, make_set, two_step

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "data"
SOME = {"video_call_six.jpg", "pair_one_mask.jpg", "hopper_surgical_mask.jpg", "no_face_coffee.jpg"}


@pytest.fixture(scope="module")
def labelled() -> list[Sample]:
    """A few images of the sample."""
    every = load_voc([DATA / "annotations"], [DATA / "images"])
    return [image for image in every if image.path.name in SOME]


@pytest.fixture(scope="module")
def comparison(labelled: list[Sample]) -> Comparison:
    """The shipped network at its own size and at one that is far too small."""
    with ExitStack() as stack:
        contenders = [
            open_contender(stack, name, partial(load_engine, imgsz=size, threads=1), conf=0.25)
            for name, size in (("at 640 px", 640), ("<i>at 96 px & less</i>", 96))
        ]
        return command.compare(contenders, labelled, counts=(1, 4), rounds=1)


@pytest.fixture(scope="module")
def report(comparison: Comparison) -> str:
    return write_comparison(comparison, "a machine of <two> cores")


def test_one_number_of_faces_makes_a_chart_too(comparison: Comparison) -> None:
    assert "<svg" in write_comparison(replace(comparison, timings=comparison.timings[:1]), "a machine")


def faces(*rows: tuple[float, float, float, str]) -> Detections:
    """Squares of 40 px given as left, top, confidence, class."""
    xyxy = [[left, top, left + 40, top + 40] for left, top, *_ in rows]
    return Detections(
        np.array(xyxy, np.float32).reshape(-1, 4),
        np.array([row[2] for row in rows], np.float32),
        np.array([CLASSES.index(row[3]) for row in rows], np.int64),
    )


def test_the_better_engine_is_ahead_in_the_table(comparison: Comparison) -> None:
    rows = {row.label: row for row in table_rows(comparison)}
    assert rows["AP50 `with_mask` (5 faces)"].best == (True, False)
    assert rows["masked faces found at 0.25 (recall)"].best == (True, False)
    right, wrong, missed, false = (
        rows[label]
        for label in (
            "right word at 0.25, of all faces",
            "wrong word at 0.25, of all faces",
            "missed at 0.25",
            "false boxes per 100 images at 0.25",
        )
    )
    assert right.best == (True, False)
    assert missed.best == (True, False)  # the least is best
    for column, figures in enumerate(comparison.figures):
        words = figures.chosen.overall.words()
        assert [right.cells[column], missed.cells[column]] == [
            f"{share / words.faces:.3f}" for share in (words.right, words.missed)
        ]
        assert wrong.cells[column] == f"{words.wrong / words.faces:.3f}"
        assert false.cells[column] == f"{100 * words.false / len(SOME):.1f}"
    times = [row for label, row in rows.items() if label.startswith("ms at 1 face,")]
    assert times[0].best == (False, True)  # fewer pixels take less time


def test_engines_with_thresholds_of_their_own_are_each_shown_at_theirs(labelled: list[Sample]) -> None:
    found = faces((0, 0, 0.4, "with_mask"))
    one, other = (Contender(name, lambda _: found, lambda _: found, conf) for name, conf in (("a", 0.3), ("b", 0.5)))
    compared = command.compare([one, other], labelled, counts=(1,), rounds=1)
    rows = {row.label: row.cells for row in table_rows(compared)}
    assert rows["false boxes per 100 images at 0.3 / 0.5"] == ("100.0", "0.0")
    assert {len(verdict.found) for difference in compared.differences for verdict in difference.verdicts[:1]} == {1}
    assert {len(verdict.found) for difference in compared.differences for verdict in difference.verdicts[1:]} == {0}


def test_the_markdown_table_has_a_column_for_each_engine_and_the_best_in_bold(comparison: Comparison) -> None:
    head, rule, first, *_ = table(comparison).splitlines()
    assert head == "|  | at 640 px | <i>at 96 px & less</i> |"
    assert rule == "| --- | --- | --- |"
    assert re.fullmatch(r"\| AP50 `with_mask` \(5 faces\) \| \*\*\d\.\d{3}\*\* \| \d\.\d{3} \|", first)


def test_the_report_asks_nothing_of_anyone(report: str) -> None:
    page = etree.fromstring(report.encode(), etree.HTMLParser())
    targets = [value for node in page.iter() for key, value in node.attrib.items() if key in {"src", "href", "srcset"}]
    assert targets
    assert all(target.startswith("data:image/jpeg;base64,") for target in targets)
    assert not re.search(r"@import|url\(|<script|<link|<iframe", report)
    # Names of namespaces, not addresses.
    assert set(re.findall(r"https?://[^\"]+", report)) == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_names_are_words_in_the_report_never_markup(report: str) -> None:
    assert "<i>" not in report
    assert "&lt;i&gt;at 96 px &amp; less&lt;/i&gt;" in report
    assert "a machine of &lt;two&gt; cores" in report


def test_a_report_on_the_sample_says_that_it_proves_nothing(report: str, tmp_path: Path) -> None:
    assert "proves nothing" in report
    folder = make_set(tmp_path / "set", (RED,))
    assert caveat(load_voc([folder / "annotations"], [folder / "images"])) == ""


def test_a_name_that_is_no_text_can_be_written_too(comparison: Comparison) -> None:
    assert r"caf\udce9" in write_comparison(comparison, "caf\udce9").encode().decode()


def test_every_picture_of_the_report_is_described_and_can_be_decoded(report: str, comparison: Comparison) -> None:
    page = etree.fromstring(report.encode(), etree.HTMLParser())
    pictures = page.findall(".//img")
    assert len(pictures) == 3 * len(comparison.differences)  # the labels and two engines
    for picture in pictures:
        decoded = images.decode(base64.b64decode(picture.get("src").partition(",")[2]), "picture")
        assert decoded.shape[:2] == (int(picture.get("height")), int(picture.get("width")))
        assert re.search(r": .*, \d+ with_mask, \d+ without_mask$", picture.get("alt"))
    assert all(chart.get("role") == "img" and chart.get("aria-label") for chart in page.findall(".//svg"))
    assert page.get("lang") == "en"


def test_the_report_fits_both_schemes_and_a_phone(report: str) -> None:
    assert "@media (prefers-color-scheme:dark)" in report
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in report


def test_the_images_that_differ_most_come_first_and_those_that_do_not_are_left_out(
    labelled: list[Sample],
) -> None:
    truth = faces((0, 0, 1, "with_mask"), (100, 0, 1, "without_mask"))
    wrong = faces((0, 0, 0.9, "without_mask"))
    unsure = faces((0, 0, 0.9, "with_mask"), (100, 0, 0.2, "without_mask"))
    false = faces((0, 0, 0.9, "with_mask"), (100, 0, 0.9, "without_mask"), (0, 200, 0.9, "with_mask"))
    shown = [[truth, truth, truth, truth], [truth, wrong, unsure, false]]
    examples = [[Example(truth, found) for found in engine] for engine in shown]
    differences = most_different(Findings(labelled, examples, []), [0.25, 0.25], min_side=10)
    assert [(d.image, d.amount) for d in differences] == [(labelled[1], 2), (labelled[2], 1), (labelled[3], 1)]
    first = differences[0].verdicts[1]
    assert first.words == Words(right=0, wrong=1, missed=1, false=0)
    assert len(differences[1].verdicts[1].found) == 1
    assert differences[2].verdicts[1].words.false == 1
    assert len(most_different(Findings(labelled, examples, []), [0.25, 0.25], min_side=10, most=2)) == 2


def test_engines_that_agree_get_a_report_that_says_so(labelled: list[Sample]) -> None:
    nothing: Callable[[images.Image], Detections] = lambda _: Detections.empty()  # noqa: E731
    contenders = [Contender(name, nothing, nothing) for name in ("one", "other")]
    alike = command.compare(contenders, labelled, counts=(1, 2), rounds=1)
    assert not alike.differences
    assert "Nowhere" in write_comparison(alike, "a machine")
    assert not any(any(row.best) for row in table_rows(alike) if not row.label.startswith("ms"))


@pytest.mark.parametrize("count", [1, 2, 8, 32])
def test_the_picture_that_is_timed_has_as_many_faces_as_it_says(count: int, labelled: list[Sample]) -> None:
    picture = canvas(cut_faces(labelled), count)
    assert picture.shape == (CANVAS[1], CANVAS[0], 3)
    with load_engine(threads=1) as engine:
        assert len(engine(picture)) == count


def test_cells_come_from_faces_that_stand_alone_large_ones_of_both_classes_first() -> None:
    image = DATA / "images" / "collins_bare.jpg"
    alone, near, small = [100, 100, 180, 180], [300, 300, 360, 360], [10, 10, 40, 40]
    boxes = np.array([alone, near, [370, 300, 430, 360], small], np.float32)
    truth = Detections(boxes, np.ones(4, np.float32), np.zeros(4, np.int64))
    cells = cut_faces([Sample(image, "a", "", images.image_size(image), truth)])
    assert [cell.shape for cell in cells] == [(180, 160, 3)]
    both = [Sample(image, "a", "", (512, 512), Detections(boxes[:1], truth.confidence[:1], [c])) for c in (0, 0, 1)]
    assert len(cut_faces(both, most=2)) == 2


def test_engines_take_turns_and_only_what_people_run_is_timed() -> None:
    called: list[str] = []

    def engine(name: str, *found: tuple[float, float, float, str]) -> Callable[[images.Image], Detections]:
        def call(_: images.Image) -> Detections:
            called.append(name)
            return faces(*found)

        return call

    contenders = [
        Contender("one", engine("one, scored"), engine("one", (0, 0, 0.9, "with_mask"))),
        Contender("two", engine("two, scored"), engine("two")),
    ]
    (timing,) = time_engines(contenders, [np.zeros((180, 160, 3), np.uint8)], counts=(3,), rounds=1)
    assert called == ["one", "two"] * 3  # two rounds to warm up
    assert (timing.faces, timing.found) == (3, (1, 0))


def test_images_without_a_face_to_time_with_are_compared_all_the_same(tmp_path: Path) -> None:
    folder = make_set(tmp_path / "set", (RED, GREEN))  # of 20 px
    small = load_voc([folder / "annotations"], [folder / "images"])
    nothing = Contender("none", lambda _: Detections.empty(), lambda _: Detections.empty())
    compared = command.compare([nothing], small)
    assert compared.timings == []
    assert "Not measured" in write_comparison(compared, "a machine")


def test_the_command_sets_two_step_engines_beside_the_single_stage_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_set(tmp_path / "set", (RED, GREEN), (GREEN, RED, BLUE))
    _, _, _, classifier, _, finder = two_step(tmp_path)
    res10 = f"res10={make_res10(tmp_path, *[(0, 0, 0.3, 0.3)] * 3)}"
    flags = ["--classifier", classifier, "--faces", finder, "--faces", res10, "--threads", "1"]
    out = tmp_path / "out" / "report.html"
    assert command.main([*flags_of(folder), *flags, "--rounds", "1", "--out", str(out), "--imgsz", "64"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[0] == "|  | single-stage | two-step (ssd) | two-step (res10) |"
    assert out.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert sorted(path.name for path in out.parent.iterdir()) == ["report.html"]
    table_file = tmp_path / "table.md"
    again = ["--rounds", "1", "--out", str(out), "--overwrite", "--markdown", str(table_file)]
    assert command.main([*flags_of(folder), *flags, *again]) == 0
    assert capsys.readouterr().out == ""
    assert table_file.read_text(encoding="utf-8").startswith("|  | single-stage |")


@pytest.mark.parametrize("flag", ["--out", "--markdown"])
def test_a_file_that_is_there_is_kept(flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    assert command.main([flag, str(taken)]) == 2
    assert capsys.readouterr().err == f"error: {taken}: exists already: remove it or choose another name\n"
    assert taken.read_text() == "mine"


def test_a_network_that_is_missing_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--classifier", str(tmp_path / "none.onnx")]) == 2
    assert re.fullmatch(r"error: .*none\.onnx: no such file: .*\n", capsys.readouterr().err)


def test_more_engines_than_a_chart_can_show_are_refused_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, _, _, classifier, _, finder = two_step(tmp_path)
    assert command.main(["--classifier", classifier, *["--faces", finder] * 5]) == 2
    assert capsys.readouterr().err == "error: --faces: 6 engines in one comparison: a chart can show 5 at most\n"


def test_other_peoples_networks_have_a_script_of_their_own() -> None:
    script = ROOT / "tools" / "compare_peers.py"
    done = subprocess.run([sys.executable, str(script), "--help"], capture_output=True, text=True, check=True)
    assert "--peer KIND=FILE" in done.stdout
    wrong = subprocess.run([sys.executable, str(script), "--peer", "x"], capture_output=True, text=True, check=False)
    assert (wrong.returncode, "x is not KIND=FILE, where KIND is aizoo or rfb" in wrong.stderr) == (2, True)
