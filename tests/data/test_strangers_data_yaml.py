"""A data.yaml that came with somebody's folder: it leads to the images it names, or one line says why not."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from detector import evaluate
from detector.data import yolo
from detector.data.yolo import read_source
from detector.errors import AnnotationError
from detector.media import images

NAMES = "names: [with_mask, without_mask]\n"
BOMB = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 30))


def refused(folder: Path, content: str | bytes, part: str = "train") -> str:
    data = folder / "data.yaml"
    data.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
    began = time.process_time()
    with pytest.raises(AnnotationError) as caught:
        read_source(data).images(part)
    assert time.process_time() - began < 30
    assert str(caught.value).isprintable()
    assert str(folder) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        *(b"\xff\xfe\x00", b"\x00", b"train: \xff\n", b"train:\ta\n\tb: c", b"a: \x1b[2J\n", b"- a\n", b"5", b"{"),
        *(b"[" * 5_000, b"{a: " * 5_000, b"- " * 5_000, b"a:\n" * 90_000, b"x" * 300_000, b"&a [*a]", b"*a"),
        *(b"? [a]\n: b", b"a: b: c", b"--- a\n--- b\n", b"%YAML 9.9\n---\na", b"{[a]: b}", "\ud800: a"),
    ],
    ids=lambda content: str(content[:12]),
)
def test_what_is_no_mapping_in_yaml_is_refused(tmp_path: Path, content: str | bytes) -> None:
    refused(tmp_path, content)


@pytest.mark.parametrize(
    "names",
    [
        *("", "[]", "{}", "5", "with_mask", "null", "[with_mask, [a]]", "[{a: b}]", "{0: a, 2: b}", "{1: a}"),
        *(
            "{-1: a, 0: b}",
            "{a: b}",
            "{0: [a]}",
            "{0.0: a}",
            "['']",
            "[with_mask,]]",
            f"{{{'9' * 5000}: a}}",
            f"[{'a' * 300}]",
        ),
        *(
            '["a\\nb"]',
            '["\\ud800"]',
            '["\\0"]',
            "*a29",
            "[*a29]",
            "{0: *a29}",
            "!!python/object/apply:os.getcwd []",
            "!!set {a}",
        ),
    ],
    ids=lambda names: names[:20],
)
def test_names_that_are_no_list_of_texts_are_refused(tmp_path: Path, names: str) -> None:
    (tmp_path / "train").mkdir()
    refused(tmp_path, f"{BOMB}train: train\nnames: {names}\n")


@pytest.mark.parametrize("key", ["path", "train"])
@pytest.mark.parametrize(
    "entry",
    [
        *("{a: b}", "[[a]]", "[{a: b}]", "[null]", "['', a]", "*a29", "[*a29]", '"a\\0b"', '"\\ud800"'),
        *(
            "a" * 5_000,
            "a/" * 3_000,
            "5",
            "3.5",
            "true",
            "2020-01-01",
            "!!binary aaaa",
            "http://127.0.0.1/a.txt",
            "~root",
            "nowhere",
            "data.yaml",
        ),
    ],
    ids=lambda entry: entry[:20],
)
def test_entries_that_name_no_folder_are_refused(tmp_path: Path, key: str, entry: str) -> None:
    rest = "train: nowhere\n" if key == "path" else ""
    refused(tmp_path, f"{BOMB}{rest}{key}: {entry}\n{NAMES}")


@pytest.mark.parametrize(
    "entries",
    ["train: /\n", "path: /\ntrain: .\n", "path: /\ntrain: [tmp/.., .]\n", "train: " + "../" * 40 + "\n"],
)
def test_the_whole_disk_is_not_searched(tmp_path: Path, entries: str) -> None:
    assert "is the whole disk: name the folder of the images" in refused(tmp_path, entries + NAMES)


def test_a_folder_of_endless_files_is_not_searched_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yolo, "MAX_ENTRIES", 50)
    for number in range(51):
        (tmp_path / f"{number}.txt").touch()
    assert "holds more than 50 files" in refused(tmp_path, "train: .\n" + NAMES)


def test_a_link_in_a_folder_leads_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    images.write(tmp_path / "other" / "a.png", np.zeros((16, 16, 3), np.uint8))
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "link").symlink_to(tmp_path / "other")
    (tmp_path / "train" / "round").symlink_to(tmp_path / "train")
    assert "no images in train" in refused(tmp_path, "train: train\n" + NAMES)


@pytest.mark.parametrize(
    "content", [b"\xff\xd8", b"a\0b.png", b"a" * 5_000, b"nowhere.png", b"/etc/passwd", "\u2028.png".encode()]
)
def test_a_list_of_images_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "list.txt").write_bytes(content)
    refused(tmp_path, "train: list.txt\n" + NAMES)


def test_entries_that_say_nothing_are_as_if_they_were_not_there(tmp_path: Path) -> None:
    for nothing in ("", "null", "~", "''", "[]"):
        assert "no entry train" in refused(tmp_path, f"path:\ntrain: {nothing}\n{NAMES}")


def test_a_class_called_no_is_not_a_truth_value(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("path: .\nnames: [no, 1, null, 2020-01-01]\n")
    assert read_source(tmp_path / "data.yaml").names == ("no", "1", "null", "2020-01-01")


def test_the_command_says_it_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data.yaml").write_text(f"{BOMB}train: /\nnames: *a29\n")
    assert evaluate.main(["--data", str(tmp_path / "data.yaml")]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"error: --data {tmp_path / 'data.yaml'}: names must list the classes, 0: with_mask and so on: correct it"
    ]
