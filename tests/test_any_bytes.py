"""Whatever a stranger's file holds, there is a result or one line; and what was written is read back.

The same inputs in every run; ``python -m tests.fuzz`` looks further.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from detector.data import corrections, voc
from detector.data.yolo import read_names
from detector.data.yolo_labels import format_labels, read_labels
from detector.detections import CLASSES, Detections
from detector.engines import SingleStage
from detector.engines.metadata import ModelMetadata
from detector.errors import DetectorError, ModelError
from detector.media import images
from tests.engines import networks
from tests.fuzz import targets

SAME = settings(derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
EXAMPLES = {"network": 100, "shipped_network": 6, "live": 100}

ODD = [
    *(b"", b"\0", b"\xff", b"\n", b"\t", b"\xef\xbb\xbf", b"<", b"&x;", b'"', b"'", b",", b"[", b"]", b"{", b"}", b":"),
    *(b"- ", b"#", b"|", b"*a", b"&a [*a]", b"!!python/object/apply:os.system [true]", b"!!int", b"!!timestamp x"),
    *(b"nan", b"-inf", b"1e999", b"1e12", b"-5", b"0x10", b"1_0", b"9" * 5000, "\u0663".encode(), b"true", b"null"),
    *(
        b"[" * 3000,
        b"{a: " * 3000,
        b"<a>" * 3000,
        b"a" * 70_000,
        b"\xf0\x9f\x98\xb7" * 80,
        b"\\ud800",
        b"../" * 40,
        b"/",
    ),
]


@pytest.fixture(autouse=True, scope="module")
def _no_folder_stays() -> Iterator[None]:
    yield
    targets.clean()


@st.composite
def damaged(draw: st.DrawFn, target: str) -> bytes:
    """An input that the door lets in, with a few places replaced; or any bytes at all."""
    data = bytearray(draw(st.sampled_from([*targets.seeds(target), b""])))
    edit = st.tuples(st.floats(0, 1), st.integers(0, 12), st.sampled_from(ODD) | st.binary(max_size=12))
    for place, gone, new in draw(st.lists(edit, min_size=1, max_size=4)):
        at = int(place * len(data))
        data[at : at + gone] = new
    return bytes(data)


@pytest.mark.parametrize("target", targets.TARGETS)
def test_any_bytes_end_in_a_result_or_in_one_line(target: str) -> None:
    @settings(SAME, max_examples=EXAMPLES.get(target, 200))
    @given(damaged(target))
    def try_it(data: bytes) -> None:
        try:
            targets.TARGETS[target](data)
        except DetectorError as error:
            if not str(error).isprintable():
                raise AssertionError from error

    try_it()


@pytest.mark.parametrize("target", [name for name in targets.TARGETS if name != "shipped_network"])
def test_the_inputs_that_the_others_are_made_from_are_let_in(target: str) -> None:
    for seed in targets.seeds(target):
        if target == "data_yaml":  # its folders are not there, and what it names is read
            assert read_names(targets.written("data.yaml", seed))
        else:
            targets.TARGETS[target](seed)


NUMBERS = st.integers(-(2**70), 2**70) | st.floats()
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=20) | st.sampled_from([str(odd, "latin-1") for odd in ODD]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5) | NUMBERS, inner, max_size=4),
    max_leaves=8,
)


@settings(SAME)
@given(st.dictionaries(st.sampled_from(["path", "train", "val", "test", "names", "nc"]), VALUES))
def test_a_data_yaml_of_any_values_ends_in_a_result_or_in_one_line(content: dict[str, object]) -> None:
    try:
        targets.data_yaml(yaml.safe_dump({"names": ["a"]} | content, allow_unicode=True).encode("utf-8", "replace"))
    except DetectorError as error:
        assert str(error).isprintable()  # noqa: PT017


@settings(SAME, max_examples=200)
@given(
    st.dictionaries(st.sampled_from(["names", "imgsz", "stride", "end2end"]), VALUES.map(repr) | st.text(max_size=40))
)
def test_metadata_of_any_values_ends_in_a_result_or_in_one_line(raw: dict[str, str]) -> None:
    try:
        targets.metadata(
            "\n".join(raw.get(key, "") for key in ("names", "imgsz", "stride", "end2end")).encode("latin-1", "replace")
        )
        ModelMetadata.parse(raw, "the entries")
    except ModelError as error:
        assert str(error).isprintable()  # noqa: PT017


@settings(SAME, max_examples=60)
@given(
    arrays.arrays(
        np.float32, st.sampled_from([(6, 5), (4, 6)]), elements=st.floats(width=32) | st.floats(0, 2, width=32)
    ),
    st.booleans(),
)
def test_a_network_that_answers_any_numbers_finds_faces_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, answer: np.ndarray, one_class: bool
) -> None:
    end2end = answer.shape == (4, 6)
    made = networks.make_network(tmp_path_factory.mktemp("any"), answer, {"end2end": str(end2end)})
    engine = SingleStage(made, one_class=one_class, threads=1)
    try:
        found = engine(targets.IMAGE)
    except ModelError as error:
        assert "numbers that are no faces" in str(error)  # noqa: PT017
    else:
        assert ((found.confidence > engine.conf) & (found.confidence <= 1)).all()
        assert ((found.xyxy >= 0) & (found.xyxy <= 64)).all()


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=12)
PIXELS = st.integers(-2_000_000, 2_000_000).map(lambda thousandths: thousandths / 1000)


@settings(SAME)
@given(
    st.builds(
        voc.Annotation,
        WORDS,
        WORDS,
        st.none() | st.tuples(st.integers(1, 9999), st.integers(1, 9999)),
        st.lists(
            st.builds(voc.Box, WORDS, PIXELS, PIXELS, PIXELS, PIXELS, st.booleans(), st.booleans(), WORDS), max_size=3
        ).map(tuple),
        st.integers(1, 4),
        st.none() | WORDS,
        st.booleans(),
    )
)
def test_any_annotation_that_was_written_is_read_back_the_same(annotation: voc.Annotation) -> None:
    path = targets.folder() / "round.xml"
    voc.write(path, annotation)
    again = voc.read(path)
    assert again.boxes == annotation.boxes
    assert again.size == (annotation.size or (0, 0))
    assert (again.filename, again.folder, again.verified) == (
        annotation.filename,
        annotation.folder,
        annotation.verified,
    )


@settings(SAME)
@given(st.lists(st.tuples(*[st.floats(0, 1, width=32)] * 4, st.integers(0, 1)), max_size=4), st.integers(1, 9999))
def test_any_boxes_that_were_written_as_labels_are_read_back_the_same(
    boxes: list[tuple[float, float, float, float, int]], width: int
) -> None:
    xyxy = np.array([[*sorted((a, b)), *sorted((c, d))] for a, b, c, d, _ in boxes], np.float32).reshape(-1, 4)
    truth = Detections(xyxy[:, [0, 2, 1, 3]] * width, np.ones(len(boxes)), np.array([box[4] for box in boxes], int))
    path = targets.written("round.txt", format_labels(truth, width, width).encode())
    again = read_labels(path)
    assert [CLASSES[box.class_id] for box in again] == truth.names
    if boxes:
        assert abs(np.array([box.xyxy(width, width) for box in again]) - truth.xyxy).max() < 0.011


@settings(SAME)
@given(
    st.lists(WORDS | st.sampled_from(["no", "yes", "1", "1e3", "null", "~", "2020-01-01", "0x1", "- a"]), min_size=1)
)
def test_any_class_names_are_read_from_a_data_yaml_as_they_were_meant(names: list[str]) -> None:
    for written in (names, dict(enumerate(names))):
        content = yaml.safe_dump({"names": written}, allow_unicode=True).encode()
        assert read_names(targets.written("data.yaml", content)) == names


@settings(SAME)
@given(st.lists(WORDS, max_size=9), st.integers(1, 8192), st.sampled_from([8, 16, 32, 64]), st.booleans())
def test_any_metadata_that_an_export_writes_is_understood(
    names: list[str], imgsz: int, stride: int, end2end: bool
) -> None:
    raw = {
        "names": str(dict(enumerate(names))),
        "imgsz": str([imgsz, 1]),
        "stride": str(stride),
        "end2end": str(end2end),
    }
    found = ModelMetadata.parse(raw, "the entries")
    assert (list(found.names), found.imgsz, found.stride, found.end2end) == (names, imgsz, stride, end2end)


@settings(SAME)
@given(
    st.lists(st.tuples(WORDS, st.sampled_from(["add", "class", "remove"]), st.tuples(*[PIXELS] * 4), WORDS), max_size=4)
)
def test_any_corrections_that_were_written_are_read_back_the_same(
    rows: list[tuple[str, str, tuple[float, float, float, float], str]],
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["image", "action", "xmin", "ymin", "xmax", "ymax", "name"])
    writer.writerows([image, action, *map(voc.format_number, box), name] for image, action, box, name in rows)
    read = corrections.read_corrections(targets.written("round.csv", text.getvalue().encode()))
    assert [(row.image, row.action, row.box.xyxy, row.box.name) for row in read if row.box] == rows


@settings(SAME)
@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_any_picture_that_was_written_without_loss_is_read_back_the_same(picture: np.ndarray) -> None:
    for suffix in (".png", ".bmp", ".tiff", ".ppm"):
        path: Path = targets.folder() / f"round{suffix}"
        images.write(path, picture)
        np.testing.assert_array_equal(images.read(path), picture)
