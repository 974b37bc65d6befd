"""The pages that commands leave behind: alike, and none wider than a phone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from detector import compare
from detector.data.loading import load_voc
from detector.detections import Detections
from detector.engines import load_engine
from detector.evaluation.comparison_page import write_comparison
from detector.evaluation.contenders import Contender
from detector.labelling.check_page import write_sheet
from detector.labelling.disagreements import Disagreement, Face

DATA = Path(__file__).resolve().parents[2] / "data"
LONG = "a_picture_with_a_name_that_goes_on_and_on_as_those_of_cameras_and_archives_do_20261126"


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    cleaning = pytest.importorskip("detector.labelling.cleaning", reason="the extra labelling is not installed")
    root = tmp_path_factory.mktemp("reports")
    (root / "photos").mkdir()
    for name in ("pair_one_mask", f"{LONG}"):
        shutil.copy(DATA / "images" / "pair_one_mask.jpg", root / "photos" / f"{name}.jpg")
    (root / "photos" / f"{LONG}_cut.jpg").write_bytes((DATA / "images" / "hopper_bare.jpg").read_bytes()[:9000])
    cleaning.clean(root / "photos", root / "clean")
    labels = (DATA / "annotations" / "pair_one_mask.xml").read_text("utf-8").replace("pair_one_mask", LONG)
    (root / "labels").mkdir()
    (root / "labels" / f"{LONG}.xml").write_text(labels, "utf-8")
    images = load_voc([root / "labels"], [root / "photos"])
    with load_engine(imgsz=224, threads=1) as engine:
        nothing = Contender("two-step (ssd: a_network_of_somebody_else)", lambda _: Detections.empty(), engine)
        compared = compare.compare([Contender("single-stage", engine, engine), nothing], images, counts=(1,), rounds=1)
    face = Face((100.0, 100.0, 200.0, 220.0), "with_mask", 0.97)
    found = [Disagreement(images[0], "missed", 0.9, None, face, [])] * 3
    pages = {"compare": write_comparison(compared, "a machine"), "check": write_sheet(found, [], 1)}
    for name, page in pages.items():
        (root / f"{name}.html").write_text(page, "utf-8")
    return {name: root / f"{name}.html" for name in pages} | {"clean": root / "clean" / "sheet.html"}


@pytest.mark.parametrize("width", [390, 1280])
def test_reports_look_alike_and_none_is_wider_than_its_screen(
    width: int, reports: dict[str, Path], browser: Any
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 844})
    looks = set()
    for name, path in reports.items():
        page = context.new_page()
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") == width, name
        of = "e => { const s = getComputedStyle(e); return s.font + s.color + s.maxWidth + s.backgroundColor }"
        looks.add(tuple(page.locator(element).first.evaluate(of) for element in ("body", "h1", "p")))
        picture = page.locator("img, .picture").first.bounding_box()
        assert 0 < picture["width"] <= width, name
    context.close()
    assert len(looks) == 1
