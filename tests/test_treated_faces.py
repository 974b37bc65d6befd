from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

import treated_faces
from detector import masks


@pytest.fixture
def covered(tmp_path: Path) -> list[str]:
    """Flags that name the sample's bare faces with things before their mouths."""
    out, report = tmp_path / "covered", tmp_path / "covered.json"
    wishes = ["--share", "1", "--confusers", "1", "--worn-wrongly", "0"]
    assert masks.main([*wishes, "--out", str(out), "--report", str(report)]) == 0
    return ["--images", str(out / "images"), "--report", str(report)]


def test_each_treated_face_gets_one_verdict(covered: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    treated = json.loads(Path(covered[-1]).read_text(encoding="utf-8"))["treated"]
    capsys.readouterr()
    assert treated_faces.main(covered) == 0
    *_, faces, with_mask, without_mask, missed, _ = capsys.readouterr().out.strip().splitlines()[-1].split()
    assert int(faces) == len(treated) == int(with_mask) + int(without_mask) + int(missed)
    assert int(with_mask) + int(without_mask) > 0.6 * len(treated)  # large faces: most are seen


def test_a_face_is_not_found_where_the_engine_shows_none(
    covered: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert treated_faces.main([*covered, "--conf", "1"]) == 0
    *_, faces, with_mask, without_mask, missed, share = capsys.readouterr().out.strip().splitlines()[-1].split()
    assert (with_mask, without_mask, missed, share) == ("0", "0", faces, "0.0%")


def test_the_shares_are_of_what_was_drawn() -> None:
    counts = Counter(
        {
            ("confuser", "cup", "with_mask"): 1,
            ("confuser", "cup", "without_mask"): 2,
            ("confuser", "cup", "not found"): 1,
            ("confuser", "hand", "without_mask"): 4,
            ("mask", "black", "with_mask"): 3,
        }
    )
    lines = [line.split() for line in treated_faces.table(counts).splitlines()]
    assert lines[1:] == [
        ["confuser", "cup", "4", "1", "2", "1", "25.0%"],
        ["confuser", "hand", "4", "0", "4", "0", "0.0%"],
        ["confuser", "all", "8", "1", "6", "1", "12.5%"],
        ["mask", "black", "3", "3", "0", "0", "100.0%"],
        ["mask", "all", "3", "3", "0", "0", "100.0%"],
    ]


@pytest.mark.parametrize(
    "content", ["no JSON", "[]", "{}", '{"treated": [{"image": "a.jpg", "after": "face 1 2 3 4"}]}']
)
def test_another_file_than_a_report_is_refused_in_one_line(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.json"
    report.write_text(content, encoding="utf-8")
    assert treated_faces.main(["--images", str(tmp_path), "--report", str(report)]) == 2
    error = capsys.readouterr().err.strip()
    assert "is no report of mask-detector masks" in error
    assert "\n" not in error


def test_a_report_that_is_missing_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert treated_faces.main(["--images", str(tmp_path), "--report", str(tmp_path / "none.json")]) == 2
    assert "none.json: cannot be read" in capsys.readouterr().err
