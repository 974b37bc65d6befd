"""The doors through which a stranger's bytes come in: each ends in a result or a DetectorError, whatever the bytes.

tests/test_any_bytes.py tries them briefly in every run, ``python -m tests.fuzz`` for as long as one likes.
"""

from __future__ import annotations

import base64
import json
import random
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np

from detector.data import corrections, voc, yolo, yolo_labels
from detector.data.loading import Split
from detector.data.pairing import Pair
from detector.data.report import Report
from detector.engines import SingleStage, default_weights
from detector.engines.classic_finders import Res10Finder
from detector.engines.classifier import MaskClassifier
from detector.engines.face_finders import SsdFinder
from detector.engines.kinds import Kind, kind_of
from detector.engines.metadata import ModelMetadata
from detector.engines.session import OnnxSession
from detector.media import image_header, images
from detector.web.engine_pool import EnginePool
from detector.web.webcam_tab import WebcamTab
from tests.engines import networks

ROOT = Path(__file__).resolve().parents[2]
IMAGE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
BOX = voc.Box("mask", 1, 2, 30, 40)
LABEL = voc.Annotation("a.jpg", "images", (64, 48), (BOX,))


@cache
def folder() -> Path:
    """One for all tries of a process: what each writes there, the next replaces."""
    return Path(tempfile.mkdtemp(prefix="mask-detector-fuzz-"))


def clean() -> None:
    shutil.rmtree(folder(), ignore_errors=True)
    folder.cache_clear()


def written(name: str, data: bytes) -> Path:
    path = folder() / name
    path.write_bytes(data)
    return path


def xml(data: bytes) -> None:
    first = voc.read(written("a.xml", data))
    voc.write(folder() / "b.xml", first)
    again = voc.read(folder() / "b.xml")
    assert [box.name for box in again.boxes] == [box.name for box in first.boxes]


def labels(data: bytes) -> None:
    for box in yolo_labels.read_labels(written("a.txt", data)):
        left, top, right, bottom = box.xyxy(640, 480)
        assert 0 <= left <= right <= 640
        assert 0 <= top <= bottom <= 480


def data_yaml(data: bytes) -> None:
    path = written("data.yaml", data)
    yolo.MAX_ENTRIES = 500  # the bytes may name any folder of this computer
    source = yolo.read_source(path)
    assert all(isinstance(name, str) for name in source.names)
    assert yolo.read_names(path) == list(source.names)
    for part in source.parts:
        source.labels(part)


def correction_rows(data: bytes) -> None:
    rows = corrections.read_corrections(written("a.csv", data))
    pairs = [Pair(Path(row.image), Path("a.xml"), row.set_name or "", LABEL) for row in rows]
    for pair in corrections.correct(pairs, rows, Report()):
        assert all(isinstance(box, voc.Box) for box in pair.label.boxes)


def split_rows(data: bytes) -> None:
    Split(written("a.csv", data)).sides([Pair(Path("b.jpg"), Path("b.xml"), "a", LABEL)], Report())


def image(data: bytes) -> None:
    image_header.read_header(BytesIO(data))
    pixels = images.decode(data, "the bytes")
    assert (pixels.dtype, pixels.ndim, pixels.shape[2]) == (np.uint8, 3, 3)


def metadata(data: bytes) -> None:
    values = data.decode("latin-1").split("\n")
    found = ModelMetadata.parse(dict(zip(("names", "imgsz", "stride", "end2end"), values, strict=False)), "the bytes")
    assert found.imgsz is None or 0 < found.imgsz < 10_000
    assert 0 < found.stride < 1_000
    assert all(isinstance(name, str) for name in found.names)


def network(data: bytes) -> None:
    run_as(kind_of(OnnxSession(data, device="cpu", threads=1)), data)


def run_as(kind: Kind | None, data: bytes) -> None:
    options = {"device": "cpu", "threads": 1}
    if kind is Kind.CLASSIFIER:
        classifier = MaskClassifier(data, **options)
        classifier(np.zeros((2, classifier.side, classifier.side, 3), np.uint8))
    elif kind is Kind.SSD:
        SsdFinder(data, imgsz=64, **options)(IMAGE)
    elif kind is Kind.RES10:
        Res10Finder(written("a.onnx", data), **options)(IMAGE)
    else:
        engine = SingleStage(data, imgsz=64, **options)
        engine(IMAGE)
        engine.batch([IMAGE, IMAGE[:20]])


def shipped_network(data: bytes) -> None:
    """The bytes choose one of our three networks and how it is damaged."""
    rng = random.Random(data)  # noqa: S311
    kind, whole, places = rng.choice(_shipped())
    damaged = bytearray(whole)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        # Half of the damage into the graph and the metadata, which are a few of ten million bytes and lie at the ends.
        where = rng.randrange(len(damaged)) if rng.random() < 0.5 else -rng.randrange(1, 4_000)
        if rng.random() < 0.5:
            where = rng.choice(places) + rng.randrange(8)
        damaged[where % len(damaged)] ^= 1 << rng.randrange(8)
    if rng.random() < 0.1:
        del damaged[rng.randrange(len(damaged)) :]
    run_as(kind, bytes(damaged))


def live(data: bytes) -> None:
    try:
        message = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(message, dict):
        answer = _tab().live(message)
        assert {"faces", "wait", "over"} & answer.keys()
        json.dumps(answer, allow_nan=False)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "xml": xml,
    "labels": labels,
    "data_yaml": data_yaml,
    "corrections": correction_rows,
    "split": split_rows,
    "image": image,
    "metadata": metadata,
    "network": network,
    "shipped_network": shipped_network,
    "live": live,
}


def seeds(target: str) -> list[bytes]:
    """Small inputs that the door lets in."""
    return list(_SEEDS[target]())


def _xml_seeds() -> Iterator[bytes]:
    for path in sorted((ROOT / "data" / "annotations").glob("*.xml"))[:3]:
        yield path.read_bytes()


def _image_seeds() -> Iterator[bytes]:
    for suffix in (".jpg", ".png", ".bmp", ".webp", ".tiff", ".gif", ".ppm"):
        yield images.encode(IMAGE[:16, :24], suffix)
    yield cv2.imencode(".png", np.dstack([IMAGE, IMAGE[..., 0]]))[1].tobytes()
    yield cv2.imencode(".png", IMAGE.astype(np.uint16) * 257)[1].tobytes()


def _network_seeds() -> Iterator[bytes]:
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        yield networks.make_network(place, networks.raw_head((32, 20, 10, 16, 0.9, 0.1), anchors=4)).read_bytes()
        end2end = networks.end_to_end_head((10, 10, 20, 20, 0.9, 1))[:4]
        yield networks.make_network(place, end2end, {"end2end": "True"}).read_bytes()
        yield networks.make_classifier(place).read_bytes()
        yield networks.make_ssd(place, (10, 10, 20, 20, 0.9)).read_bytes()
        yield networks.make_res10(place, (0.1, 0.1, 0.5, 0.5), (0, 0, 1, 1), (0.2, 0.2, 0.3, 0.3)).read_bytes()


def _live_seeds() -> Iterator[bytes]:
    jpeg = base64.b64encode(images.encode(IMAGE[:16, :24], ".jpg")).decode()
    yield json.dumps({"viewer": "a", "jpeg": jpeg, "conf": 0.5, "engine": "One pass"}).encode()


_SEEDS: dict[str, Callable[[], Iterator[bytes]]] = {
    "xml": _xml_seeds,
    "labels": lambda: iter([b"0 0.5 0.5 0.2 0.2\n1 0.1 0.1 0.1 0.1 0.75\n"]),
    "data_yaml": lambda: iter(
        [
            yolo.DATA_YAML.encode(),
            b"path: .\ntrain: [a, b.txt]\nval: &x images # here\ntest:\nnc: 2\nnames: ['a', \"b\", *x]\n",
            b"names:\n- with_mask\n- without_mask\ntrain: |\n  a\n",
        ]
    ),
    "corrections": lambda: iter(
        [
            b"set,image,action,xmin,ymin,xmax,ymax,name,reason\n"
            b'a,b.jpg,class,1,2,30,40,face,"why, so"\n,c.jpg,drop,,,,,,\na,b.jpg,add,50,50,60,60.5,mask,\n'
        ]
    ),
    "split": lambda: iter([b"set,image,split,group\na,b.jpg,train,1\n,c.jpg,val,1\n"]),
    "image": _image_seeds,
    "metadata": lambda: iter([b"{0: 'with_mask', 1: 'without_mask'}\n[640, 640]\n32\nTrue", b"['face']\n512\n16\n"]),
    "network": _network_seeds,
    "shipped_network": lambda: iter([b"0"]),
    "live": _live_seeds,
}


@cache
def _shipped() -> list[tuple[Kind, bytes, list[int]]]:
    """Our networks, and where in each the names and types of its layers stand: there is the graph."""
    names = {"mask_detector": Kind.SINGLE_STAGE, "face_ssd": Kind.SSD, "mask_classifier": Kind.CLASSIFIER}
    words = re.compile(b"Conv|Relu|Sigmoid|Concat|kernel_shape|names|stride|imgsz")
    files = {kind: default_weights(f"{name}.onnx").read_bytes() for name, kind in names.items()}
    return [(kind, data, [found.start() - 4 for found in words.finditer(data)]) for kind, data in files.items()]


@cache
def _tab() -> WebcamTab:
    return WebcamTab(EnginePool(SingleStage(seeds("network")[0], device="cpu", threads=1)), viewers=10**9)
