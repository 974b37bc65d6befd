from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detector.data.yolo import DATA_YAML, read_names, read_source
from detector.data.yolo_labels import YoloBox, format_labels, read_labels
from detector.detections import CLASSES, Detections
from detector.errors import AnnotationError


def random_truth(width: int, height: int, seed: int, count: int = 50) -> Detections:
    """Whole, half and arbitrary coordinates, with boxes at the edges."""
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(0, width, (count, 2)), axis=1)
    y = np.sort(rng.uniform(0, height, (count, 2)), axis=1)
    xyxy = np.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], axis=1)
    xyxy[::3] = xyxy[::3].round()
    xyxy[1::3] = (xyxy[1::3] * 2).round() / 2
    xyxy[:2] = (0, 0, width, height), (0, 0, 1, 1)
    return Detections(xyxy.astype(np.float32), np.ones(count, np.float32), rng.integers(0, 2, count))


@pytest.mark.parametrize("size", [(10, 10), (64, 48), (641, 427), (1920, 1080), (10_000, 9_999), (31, 10_000)])
def test_boxes_come_back_to_within_a_hundredth_of_a_pixel(size: tuple[int, int], tmp_path: Path) -> None:
    truth = random_truth(*size, seed=sum(size))
    (tmp_path / "a.txt").write_text(format_labels(truth, *size), encoding="utf-8")
    boxes = read_labels(tmp_path / "a.txt")
    back = np.array([box.xyxy(*size) for box in boxes])
    assert np.abs(back - truth.xyxy).max() < 0.01
    whole = truth.xyxy == truth.xyxy.round()
    assert (back[whole] == truth.xyxy[whole]).all()
    assert [CLASSES[box.class_id] for box in boxes] == truth.names


def test_every_number_of_a_label_is_from_0_to_1() -> None:
    lines = format_labels(random_truth(10_000, 10_000, 0, 500), 10_000, 10_000).splitlines()
    values = np.array([line.split()[1:] for line in lines], np.float64)
    assert values.min() >= 0
    assert values.max() <= 1


def test_an_image_without_faces_has_an_empty_file() -> None:
    assert format_labels(Detections.empty(), 64, 48) == ""


def test_the_sixth_column_is_the_confidence(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbf0 0.5 0.5 0.2 0.2 0.75\r\n\r\n1 0.5 0.5 1 1\n")
    assert read_labels(tmp_path / "a.txt") == [YoloBox(0, 0.5, 0.5, 0.2, 0.2, 0.75), YoloBox(1, 0.5, 0.5, 1, 1)]


def test_an_outline_becomes_the_box_around_it(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1 0.1 0.2 0.3 0.1 0.5 0.4 0.2 0.5\n0 0.5 0.5 0.2 0.2\n", encoding="utf-8")
    outline, box = read_labels(tmp_path / "a.txt")
    assert (outline.class_id, outline.xyxy(100, 100)) == (1, (10, 10, 50, 50))
    assert box == YoloBox(0, 0.5, 0.5, 0.2, 0.2)


def test_all_label_files_that_cannot_be_used_are_named_at_once(tmp_path: Path) -> None:
    for name, row in {"a": "0 0.5 0.5 0.1 0.1", "b": "mask 0 0 0 0", "c": "7 0.5 0.5 0.1 0.1"}.items():
        (tmp_path / f"{name}.jpg").write_bytes(b"")
        (tmp_path / f"{name}.txt").write_text(row, encoding="utf-8")
    (tmp_path / "data.yaml").write_text("train: .\nnames: [with_mask, without_mask]\n", encoding="utf-8")
    with pytest.raises(
        AnnotationError, match=r"2 label files .*b\.txt: line 1 is not .*c\.txt: classes go from 0 to 1"
    ):
        read_source(tmp_path / "data.yaml").labels("train")


def test_a_folder_that_roboflow_puts_above_its_data_yaml_is_found_beside_it(tmp_path: Path) -> None:
    (tmp_path / "set/train/images").mkdir(parents=True)
    (tmp_path / "set/train/images/a.jpg").write_bytes(b"")
    data = tmp_path / "set/data.yaml"
    data.write_text("train: ../train/images\nnames: [with_mask, without_mask]\n", encoding="utf-8")
    assert read_source(data).images("train") == [tmp_path / "set/train/images/a.jpg"]
    (tmp_path / "train/images").mkdir(parents=True)  # what it says, where that is there
    (tmp_path / "train/images/b.jpg").write_bytes(b"")
    assert [path.name for path in read_source(data).images("train")] == ["b.jpg"]


def test_a_box_that_rounding_pushed_over_the_edge_is_put_back() -> None:
    assert YoloBox(0, 0.5, 0.5, 1.0005, 1).xyxy(1000, 100) == (0, 0, 1000, 100)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("0 0.5 0.5 0.2", "4 columns"),
        ("0 0.1 0.1 0.2 0.1 0.2 0.2 0.1", "8 columns"),
        ("mask 0.5 0.5 0.2 0.2", "not made of numbers"),
        ("0 0,5 0,5 0,2 0,2", "not made of numbers"),
        ("-1 0.5 0.5 0.2 0.2", "class -1"),
        ("0.5 0.5 0.5 0.2 0.2", r"class 0\.5"),
        ("inf 0.5 0.5 0.2 0.2", "not made of numbers"),
        ("0 320 240 50 50", "a value outside 0 to 1"),
        ("0 nan 0.5 0.2 0.2", "not made of numbers"),
        ("0 0.5 0.5 0.2 1e400", "a value outside 0 to 1"),
        ("0 0.5 0.5 0.2 1e99", "a value outside 0 to 1"),
        ("0 0.5 0.5 0.2 0x1", "not made of numbers"),
        ("0 0.5 0.5 0.2 0_1", "not made of numbers"),
        ("\u0663 0.5 0.5 0.2 0.2", "not made of numbers"),
        ("9" * 5000 + " 0.5 0.5 0.2 0.2", "class 999"),
        ("0 0.5 0.5 -0.2 0.2", "a value outside 0 to 1"),
    ],
)
def test_a_line_that_is_no_box_is_refused(line: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(f"0 0.5 0.5 0.1 0.1\n{line}\n", encoding="utf-8")
    with pytest.raises(AnnotationError, match=rf"a\.txt: line 2 has {reason}|a\.txt: line 2 is {reason}"):
        read_labels(tmp_path / "a.txt")


@pytest.mark.parametrize("content", [b"\xff\xd8\xff", None])
def test_a_label_file_that_cannot_be_read_is_refused(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(AnnotationError, match=r"a\.txt: cannot be read"):
        read_labels(tmp_path / "a.txt")


@pytest.mark.parametrize(
    "text",
    [
        DATA_YAML,
        "names: [with_mask, without_mask]",
        "path: x\nnames: ['with_mask', \"without_mask\"]  # two\nnc: 2\n",
        "names: {0: with_mask, 1: without_mask}",
        "nc: 2\nnames:\n- with_mask\n- without_mask\ntrain: images\n",
        "names:\n  - 'with_mask' # worn\n  - without_mask\n",
        "names:\n  # the two\n  0: with_mask\n\n  1: without_mask\r\n",
        "names: [\n  with_mask,\n  without_mask,\n]\n",
    ],
)
def test_class_names_are_read_however_data_yaml_writes_them(text: str, tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_bytes(text.encode())
    assert read_names(tmp_path / "data.yaml") == ["with_mask", "without_mask"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nc: 2",
        "names:\n",
        "names: []",
        "names: *a",
        "names:\n  1: a\n  0: b\n",
        "names: a",
        "names: [[a]]",
        "names: {-1: a}",
        "names: {0: a, 2: b}",
        "names: {a: b}",
        f"names: {{{'9' * 5000}: a}}",
        "names: [a, ~x, '']",
        f"names: [{'a' * 201}]",
        'names: ["a\\nb"]',
        'names: ["\\ud800"]',
    ],
)
def test_names_that_are_not_plain_are_refused_with_the_remedy(text: str, tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(
        AnnotationError, match=r"data\.yaml: (no plain list of names there|not YAML \(line 1\)): .*--names"
    ):
        read_names(tmp_path / "data.yaml")


def test_a_missing_data_yaml_is_an_error_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"data\.yaml: cannot be read .*--names"):
        read_names(tmp_path / "data.yaml")
