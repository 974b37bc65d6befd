from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import cv2
import numpy as np
import pytest

from detector import clean
from detector.data import voc
from detector.labelling.clean_files import find_labels
from detector.labelling.label_folder import LabelFolder
from detector.media import images
from tests.media.makers import jpeg, png, png_chunk, webp

pytest.importorskip("simplejpeg", reason="the extra labelling is not installed")
pillow_heif = pytest.importorskip("pillow_heif", reason="the extra labelling is not installed")
from PIL import Image, features  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "data" / "images"
SHARED = ROOT.parent / "shared" / "data"
PORTRAIT = images.read(SAMPLE / "collins_bare.jpg")


@pytest.fixture(autouse=True)
def pillow_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ultralytics, which other tests import and the tool does not, puts a door of its own before Pillow's."""
    patches = sys.modules.get("ultralytics.utils.patches")
    if patches is not None:
        monkeypatch.setattr(Image, "open", patches._image_open)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


def run(source: Path, *flags: str) -> dict[str, Any]:
    """Clean into a new folder; returns the report, with the folder as "out"."""
    out = source.parent / f"out-{len(list(source.parent.glob('out-*')))}"
    assert clean.main([str(source), "--out", str(out), *flags]) == 0
    return json.loads((out / "report.json").read_text()) | {"out": out}


def kept(report: dict[str, Any]) -> list[str]:
    return [picture["source"] for picture in report["kept"]]


def pillow(picture: images.Image, form: str, mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    pillow_heif.register_heif_opener()
    Image.fromarray(picture[..., ::-1]).convert(mode).save(buffer, form, **options)
    return buffer.getvalue()


def difference(one: images.Image, other: images.Image) -> float:
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other).mean())


def tree(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


SIXTEEN_BITS = (PORTRAIT.astype(np.uint16) * 257)[..., ::-1]
GREY = np.repeat(cv2.cvtColor(PORTRAIT, cv2.COLOR_BGR2GRAY)[..., None], 3, axis=2)
EXIF = Image.Exif()
EXIF[0x0112] = 6  # lies on its side
FORMATS: dict[str, tuple[bytes, images.Image]] = {
    "photo.png": (images.encode(PORTRAIT, ".png"), PORTRAIT),
    "photo.webp": (images.encode(PORTRAIT, ".webp"), PORTRAIT),
    "photo.gif": (pillow(PORTRAIT, "GIF"), PORTRAIT),
    "photo.tif": (images.encode(PORTRAIT, ".tif"), PORTRAIT),
    "photo.bmp": (images.encode(PORTRAIT, ".bmp"), PORTRAIT),
    "photo.tga": (pillow(PORTRAIT, "TGA"), PORTRAIT),
    "photo.HEIC": (pillow(PORTRAIT, "HEIF", quality=90), PORTRAIT),
    "lying.heic": (pillow(np.rot90(PORTRAIT).copy(), "HEIF", quality=90, exif=EXIF.tobytes()), PORTRAIT),
    "photo.avif": (pillow(PORTRAIT, "AVIF", quality=90), PORTRAIT),
    "cmyk.jpg": (pillow(PORTRAIT, "JPEG", "CMYK", quality=95), PORTRAIT),
    "cmyk.tif": (pillow(PORTRAIT, "TIFF", "CMYK"), PORTRAIT),
    "grey.jpg": (pillow(PORTRAIT, "JPEG", "L", quality=95), GREY),
    "deep.png": (cv2.imencode(".png", SIXTEEN_BITS[..., ::-1])[1].tobytes(), PORTRAIT),
    "lying.jpg": (jpeg(np.rot90(PORTRAIT).copy(), 6), PORTRAIT),
    "named.jpg": (images.encode(PORTRAIT, ".png"), PORTRAIT),
    "photo.php": (images.encode(PORTRAIT, ".png"), PORTRAIT),
}


@pytest.mark.parametrize("name", FORMATS)
def test_any_readable_format_becomes_an_upright_rgb_jpeg(name: str, source: Path) -> None:
    data, expected = FORMATS[name]
    (source / name).write_bytes(data)
    report = run(source)
    (picture,) = report["kept"]
    written = report["out"] / "images" / f"{Path(name).stem}.jpg"
    assert picture["file"] == f"images/{written.name}"
    assert picture["changed"]
    with Image.open(written) as opened:
        assert (opened.format, opened.mode, opened.getexif().get(0x0112, 1)) == ("JPEG", "RGB", 1)
    assert difference(images.read(written), expected) < 5
    assert (source / name).read_bytes() == data


def test_colours_of_a_wider_range_become_those_of_a_screen(source: Path) -> None:
    # Linear light: the same numbers mean brighter colours. The profile is sRGB's with another curve.
    from PIL import ImageCms

    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    start = profile.find(b"para")
    profile[start : start + 32] = b"curv" + bytes(4) + (0).to_bytes(4, "big") + bytes(20)
    profile = profile.replace(b"sRGB", b"line").replace(b"s\0R\0G\0B", b"l\0i\0n\0e")
    (source / "a.png").write_bytes(pillow(np.full((80, 80, 3), 64, np.uint8), "PNG", icc_profile=bytes(profile)))
    report = run(source)
    assert difference(images.read(report["out"] / "images/a.jpg"), np.full((80, 80, 3), 137, np.uint8)) < 4


def test_a_good_jpeg_is_copied_byte_for_byte_and_the_source_is_never_changed(source: Path) -> None:
    shutil.copytree(SAMPLE, source, dirs_exist_ok=True)
    (source / "below").mkdir()
    (source / "below" / "notes.txt").write_text("mine")
    before = tree(source)
    report = run(source)
    assert tree(source) == before
    unchanged = [picture for picture in report["kept"] if not picture["changed"]]
    assert len(unchanged) == report["counts"]["kept_unchanged"] == 26  # one is grey, one lies on its side
    for picture in unchanged:
        assert (report["out"] / picture["file"]).read_bytes() == (source / picture["source"]).read_bytes()
    assert report["others"] == ["below/notes.txt"]


def test_a_person_with_and_without_a_mask_is_not_a_duplicate(source: Path) -> None:
    """The sample's pictures are made of four photographs; some differ in nothing but a mask on a small face."""
    shutil.copytree(SAMPLE, source, dirs_exist_ok=True)
    assert run(source)["groups"] == {}


def flipped(data: bytes) -> bytes:
    """Bits of a JPEG's coded pixels turned over, so that libjpeg-turbo sees nothing wrong."""
    import simplejpeg

    start = data.index(b"\xff\xda") + 14
    for seed in range(1000):
        damaged = bytearray(data)
        rng = np.random.default_rng(seed)
        damaged[int(rng.integers(start + 3000, start + 9000))] ^= 1 << int(rng.integers(8))
        try:
            pixels = simplejpeg.decode_jpeg(bytes(damaged), "BGR")
        except ValueError:
            continue
        if difference(pixels, images.decode(data, "whole")) > 10:
            return bytes(damaged)
    raise AssertionError("no bit does damage that is not noticed")


def noisy(data: bytes) -> bytes:
    damaged = bytearray(data)
    start = data.index(b"\xff\xda") + 14
    for place in np.random.default_rng(0).integers(start, len(data) - 2, 40):
        damaged[place] ^= 0x55
    return bytes(damaged)


def zero_tailed(data: bytes) -> bytes:
    return data[: len(data) * 19 // 20].ljust(len(data), b"\0")


WHOLE = (SAMPLE / "collins_bare.jpg").read_bytes()
WHOLE_PNG = images.encode(PORTRAIT, ".png")
BROKEN: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty.jpg": (lambda: b"", "the file is empty"),
    "page.jpg": (lambda: b"\n<!DOCTYPE html><html>404</html>", "text, perhaps a web page"),
    "notes.png": (lambda: b"these are notes", "not an image"),
    "cut.jpg": (lambda: WHOLE[: len(WHOLE) // 2], "cut short"),
    "zeros.jpg": (lambda: WHOLE[: len(WHOLE) // 2].ljust(len(WHOLE) - 2, b"\0") + b"\xff\xd9", "a damaged JPEG"),
    "noisy.jpg": (lambda: noisy(WHOLE), "a damaged JPEG"),
    "flipped.jpg": (lambda: flipped(WHOLE), "brightness or colour is wrong from a block on"),
    "cut.png": (lambda: WHOLE_PNG[:-9000], "cut short"),
    "crc.png": (lambda: WHOLE_PNG[:-20] + b"\x55" + WHOLE_PNG[-19:], "a damaged picture (broken PNG"),
    "cut.webp": (lambda: images.encode(PORTRAIT, ".webp")[:-500], "cut short"),
    "cut.gif": (lambda: pillow(PORTRAIT, "GIF")[:-5000], "a damaged picture"),
    "cut.heic": (lambda: FORMATS["photo.HEIC"][0][:-5000], "a damaged picture"),
    "cut.tif": (lambda: images.encode(PORTRAIT, ".tif")[:-5000], ""),
}
if features.check("avif"):  # Pillow has it from 11.3 on
    BROKEN["zeros.avif"] = (lambda: zero_tailed(pillow(PORTRAIT, "AVIF")), "a damaged picture")


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_set_aside_with_the_reason(
    name: str, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, reason = BROKEN[name]
    data = make()
    (source / name).write_bytes(data)
    report = run(source)
    assert reason in report["unreadable"][name]
    assert report["kept"] == []
    assert (report["out"] / "aside/unreadable" / name).read_bytes() == data
    assert list((report["out"] / "images").iterdir()) == []
    assert capsys.readouterr().err == ""


def test_padding_before_the_end_of_a_jpeg_is_no_damage(source: Path) -> None:
    (source / "padded.jpg").write_bytes(WHOLE[:-2] + bytes(40) + WHOLE[-2:])
    assert kept(run(source)) == ["padded.jpg"]


def test_a_jpeg_that_lacks_only_its_end_marker_gets_one(source: Path) -> None:
    (source / "open.jpg").write_bytes(WHOLE[:-2])
    report = run(source)
    assert [row["changed"] for row in report["kept"]] == ["end marker added"]
    assert (report["out"] / "images/open.jpg").read_bytes() == WHOLE


def with_chunk(kind: bytes, body: bytes, *, damaged: bool = False) -> bytes:
    chunk = png_chunk(kind, body)
    return WHOLE_PNG[:33] + (chunk[:-1] + bytes([chunk[-1] ^ 1]) if damaged else chunk) + WHOLE_PNG[33:]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(with_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(3 << 20))), id="long text"),
        pytest.param(with_chunk(b"tEXt", b"Comment\0hello", damaged=True), id="damaged comment"),
        pytest.param(with_chunk(b"zTXt", b"Comment\0\0no deflate"), id="senseless comment"),
        pytest.param(with_chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(3 << 20))), id="long profile"),
        pytest.param(with_chunk(b"iCCP", b"p\0\0" + zlib.compress(b"x"), damaged=True), id="damaged profile"),
        pytest.param(with_chunk(b"tIME", b"1"), id="short time"),
    ],
)
def test_what_is_wrong_beside_the_pixels_of_a_png_takes_no_picture(source: Path, data: bytes) -> None:
    (source / "a.png").write_bytes(data)
    report = run(source)
    assert kept(report) == ["a.png"]
    assert np.abs(images.read(report["out"] / "images/a.jpg").astype(int) - PORTRAIT).mean() < 3


def test_a_picture_of_more_pixels_than_pillow_wants_is_kept(source: Path) -> None:
    Image.new("L", (15_000, 12_500)).save(source / "large.png")
    report = run(source, "--max-side", "500")
    assert kept(report) == ["large.png"]
    assert images.read(report["out"] / "images/large.jpg").shape == (417, 500, 3)


def crop(picture: images.Image, left: float, top: float, right: float, bottom: float) -> images.Image:
    height, width = picture.shape[:2]
    return picture[round(height * top) : round(height * (1 - bottom)), round(width * left) : round(width * (1 - right))]


def written_on(picture: images.Image) -> images.Image:
    return np.asarray(
        cv2.putText(picture.copy(), "news.example 2020", (20, 480), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (255, 255, 255), 3)
    )


def scale(picture: images.Image, factor: float) -> images.Image:
    return np.asarray(cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA))


COPIES: dict[str, Callable[[images.Image], bytes]] = {
    "saved_again": lambda picture: images.encode(picture, ".jpg", 40),
    "another_format": lambda picture: images.encode(picture, ".webp", 80),
    "smaller": lambda picture: images.encode(scale(picture, 0.5), ".jpg"),
    "larger": lambda picture: images.encode(scale(picture, 1.4), ".jpg"),
    "cropped": lambda picture: images.encode(crop(picture, 0.04, 0.02, 0.03, 0.05), ".jpg"),
    "cropped_on_one_side": lambda picture: images.encode(crop(picture, 0, 0.05, 0, 0), ".jpg"),
    "brighter": lambda picture: images.encode(np.clip(picture * 1.3 + 10, 0, 255).astype(np.uint8), ".jpg"),
    "darker": lambda picture: images.encode((255 * (picture / 255) ** 1.6).astype(np.uint8), ".jpg"),
    "grey": lambda picture: pillow(picture, "JPEG", "L"),
    "mirrored": lambda picture: images.encode(picture[:, ::-1].copy(), ".jpg"),
    "written_on": lambda picture: images.encode(written_on(picture), ".jpg"),
    "all_at_once": lambda picture: images.encode(
        scale(np.clip(crop(picture[:, ::-1], 0.03, 0, 0, 0.03) * 0.85 + 9, 0, 255).astype(np.uint8), 0.7), ".jpg", 70
    ),
}


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_of_a_picture_is_set_aside(how: str, source: Path) -> None:
    (source / "a.jpg").write_bytes(WHOLE)
    (source / "b").write_bytes(COPIES[how](PORTRAIT))
    (source / "b").rename(source / ("b.webp" if how == "another_format" else "b.jpg"))
    shutil.copy(SAMPLE / "hopper_bare.jpg", source / "c.jpg")
    report = run(source)
    (copies,) = report["groups"].values()
    assert {copies[0]["source"][0], next(iter(report["groups"]))[0]} == {"a", "b"}
    assert copies[0]["mirrored"] == (how in {"mirrored", "all_at_once"})
    assert (report["out"] / copies[0]["file"]).is_file()
    assert copies[0]["file"].startswith("aside/duplicates/")
    assert sorted(path.name for path in (report["out"] / "images").iterdir())[-1] == "c.jpg"


def test_a_mirror_image_can_be_kept(source: Path) -> None:
    (source / "a.jpg").write_bytes(WHOLE)
    (source / "b.jpg").write_bytes(COPIES["mirrored"](PORTRAIT))
    assert kept(run(source, "--keep-mirrored")) == ["a.jpg", "b.jpg"]


def test_the_best_of_a_group_is_kept(source: Path) -> None:
    (source / "a_grey.jpg").write_bytes(pillow(scale(PORTRAIT, 1.5), "JPEG", "L"))
    (source / "b_small.jpg").write_bytes(COPIES["smaller"](PORTRAIT))
    (source / "c_worse.jpg").write_bytes(COPIES["saved_again"](PORTRAIT))
    (source / "d_best.jpg").write_bytes(WHOLE)
    (source / "e_same.jpg").write_bytes(WHOLE)
    report = run(source)
    assert kept(report) == ["d_best.jpg"]
    aside = {copy["source"]: copy["differs"] for copy in report["groups"]["d_best.jpg"]}
    assert list(aside) == ["a_grey.jpg", "b_small.jpg", "c_worse.jpg", "e_same.jpg"]
    assert [name for name, differs in aside.items() if differs is None] == ["e_same.jpg"]
    label(source / "b_small.xml", (256, 256))
    assert kept(run(source)) == ["b_small.jpg"]  # labels are worth more than pixels


def test_a_row_of_frames_each_like_the_next_is_not_one_group(source: Path) -> None:
    for step in range(13):
        shift = 0.025 * step
        (source / f"{step}.jpg").write_bytes(images.encode(crop(PORTRAIT, shift, 0, 0.3 - shift, 0), ".jpg"))
    report = run(source)
    assert 2 <= len(report["kept"]) < 13
    for name, copies in report["groups"].items():
        assert all(abs(int(Path(copy["source"]).stem) - int(Path(name).stem)) <= 5 for copy in copies)


def label(path: Path, size: tuple[int, int], box: tuple[float, float, float, float] = (10, 20, 50, 60)) -> None:
    voc.write(path, voc.Annotation(f"{path.stem}.png", "images", size, (voc.Box("without_mask", *box),)))


def test_label_files_go_with_their_images_and_are_scaled_with_them(source: Path) -> None:
    (source / "sub").mkdir()
    (source / "sub" / "a.png").write_bytes(WHOLE_PNG)
    label(source / "sub" / "a.xml", (512, 512), (100, 200, 140, 260))
    report = run(source)
    assert (report["out"] / "images/a.xml").read_bytes() == (source / "sub/a.xml").read_bytes()
    assert report["others"] == []
    report = run(source, "--max-side", "256")
    assert images.read(report["out"] / "images/a.jpg").shape == (256, 256, 3)
    scaled = voc.read(report["out"] / "images/a.xml")
    assert (scaled.size, scaled.boxes[0].xyxy) == ((256, 256), (50, 100, 70, 130))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("make", [png, webp])
def test_labels_of_a_png_or_webp_that_is_turned_are_turned_with_it(source: Path, make: Any, orientation: int) -> None:
    stored = np.zeros((200, 300, 3), np.uint8)
    stored[30:80, 20:120] = 255  # the face, as LabelImg shows it
    (source / "a.png").write_bytes(make(stored, orientation))
    label(source / "a.xml", (300, 200), (20, 30, 120, 80))
    report = run(source)
    upright = images.read(report["out"] / "images/a.jpg")
    turned = voc.read(report["out"] / "images/a.xml")
    assert turned.size == (upright.shape[1], upright.shape[0])
    rows, columns = np.nonzero(upright[..., 0] > 128)
    assert turned.boxes[0].xyxy == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def test_labels_of_a_picture_that_was_labelled_upright_stay(source: Path) -> None:
    (source / "a.jpg").write_bytes(jpeg(np.asarray(PORTRAIT[:, :300]), 6))
    label(source / "a.xml", (512, 300))
    report = run(source)
    assert (report["out"] / "images/a.xml").read_bytes() == (source / "a.xml").read_bytes()


def test_a_label_file_that_cannot_be_scaled_is_set_aside(source: Path) -> None:
    (source / "a.png").write_bytes(WHOLE_PNG)
    label(source / "a.xml", (640, 480))
    (source / "b.jpg").write_bytes(b"broken")
    label(source / "b.xml", (640, 480))
    report = run(source, "--max-side", "100")
    assert report["labels"] == {
        "a.xml": "states 640x480, but the image had 512x512: its boxes cannot be scaled",
        "b.xml": "its image is unreadable",
    }
    for name, folder in (("a.xml", "annotations"), ("b.xml", "unreadable")):
        assert (report["out"] / "aside" / folder / name).read_bytes() == (source / name).read_bytes()
    assert not (report["out"] / "images/a.xml").exists()


def test_label_files_may_have_a_folder_of_their_own(source: Path, tmp_path: Path) -> None:
    (source / "a.png").write_bytes(WHOLE_PNG)
    (source / "b.jpg").write_bytes(COPIES["smaller"](PORTRAIT))
    labels = tmp_path / "xml"
    labels.mkdir()
    for name, size in (("a.xml", (512, 512)), ("b.xml", (256, 256))):
        label(labels / name, size)
    report = run(source, "--annotations", str(labels))
    assert (report["out"] / "annotations/a.xml").read_bytes() == (labels / "a.xml").read_bytes()
    assert (report["out"] / "aside/duplicates/b.xml").read_bytes() == (labels / "b.xml").read_bytes()


def test_no_two_pictures_get_the_same_name(source: Path) -> None:
    pictures = [SAMPLE / f"{name}.jpg" for name in ("collins_bare", "hopper_bare", "pair_one_mask", "video_call_six")]
    names = ["a.png", "a.jpg", "A.jpeg", "口罩.jpg"]
    for name, picture in zip(names, pictures, strict=True):
        (source / name).write_bytes(images.encode(images.read(picture), Path(name).suffix))
    label(source / "a.xml", images.image_size(source / "a.png"))  # states a.png
    report = run(source)
    stems = [Path(picture["file"]).stem.casefold() for picture in report["kept"]]
    assert len(set(stems)) == 4
    (labelled,) = (picture["file"] for picture in report["kept"] if picture["source"] == "a.png")
    assert (report["out"] / labelled).with_suffix(".xml").is_file()


def test_the_contact_sheet_shows_every_group_and_needs_no_other_file(source: Path) -> None:
    name = "&lt;b&gt;.jpg"
    (source / "a.jpg").write_bytes(WHOLE)
    (source / name).write_bytes(COPIES["cropped"](PORTRAIT))
    (source / "c.jpg").write_bytes((SAMPLE / "hopper_bare.jpg").read_bytes())
    (source / "d.jpg").write_bytes((SAMPLE / "hopper_bare.jpg").read_bytes())
    (source / "e.jpg").write_bytes(b"broken")
    report = run(source)
    page = (report["out"] / "sheet.html").read_text(encoding="utf-8")
    assert page.count("<section ") == len(report["groups"]) == 2
    pictures = [base64.b64decode(code) for code in re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)]
    assert len(pictures) == 4
    assert all(max(images.decode(picture, "thumbnail").shape[:2]) == 200 for picture in pictures)
    assert not re.search(r'src="(?!data:)', page)
    assert "http" not in page
    assert "&amp;lt;b&amp;gt;.jpg" in page
    links = re.findall(r'href="([^"]+)"', page)
    assert all((report["out"] / unquote(link)).is_file() for link in links)
    assert "e.jpg" in page


def test_the_same_files_give_the_same_bytes(source: Path) -> None:
    for how in ("saved_again", "smaller", "cropped", "written_on", "mirrored"):
        (source / f"{how}.jpg").write_bytes(COPIES[how](PORTRAIT))
    for path in sorted(SAMPLE.glob("*.jpg"))[-5:]:
        shutil.copy(path, source)
    one, two = (run(source, "--threads", threads) for threads in ("1", "3"))
    assert tree(one["out"]) == tree(two["out"])


def test_a_dry_run_says_what_would_happen_and_writes_nothing(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (source / "a.jpg").write_bytes(WHOLE)
    (source / "b.jpg").write_bytes(WHOLE)
    (source / "c.jpg").write_bytes(b"")
    before = tree(tmp_path)
    assert clean.main([str(source), "--out", str(tmp_path / "out"), "--dry-run"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[:2] == ["unreadable: c.jpg: the file is empty", "duplicate: b.jpg: the same file as a.jpg"]
    assert printed[-1] == "dry run: nothing was written"
    assert tree(tmp_path) == before
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("out", "message"),
    [("full", "is there and not empty"), ("source/below", "lies inside"), ("source", "is there and not empty")],
)
def test_nothing_of_the_users_is_overwritten(
    out: str, message: str, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (source / "a.jpg").write_bytes(WHOLE)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    before = tree(tmp_path)
    assert clean.main([str(source), "--out", str(tmp_path / out)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert tree(tmp_path) == before


def test_a_folder_that_is_missing_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clean.main([str(tmp_path / "gone"), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path / 'gone'}: no such folder: check the name\n"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process")
def test_ctrl_c_leaves_nothing(source: Path, tmp_path: Path) -> None:
    for index in range(400):
        (source / f"{index}.jpg").symlink_to(SAMPLE / "collins_bare.jpg")
    command = [sys.executable, "-m", "detector.clean", str(source), "--out", str(tmp_path / "out")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not list(tmp_path.glob(".*/new/out/images/*")):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "stopped\n")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_the_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        clean.main(["--help"])
    assert "examples:" in capsys.readouterr().out


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="the real photographs are not beside this clone (see CONTRIBUTING.md)")
def test_planted_copies_of_real_photographs_are_found_and_nothing_else(source: Path) -> None:
    """Photographs of different groups in split.csv are different pictures."""
    import csv

    with (SHARED / "split.csv").open(newline="") as file:
        of_group = {row["group"]: SHARED / row["set"] / "images" / row["image"] for row in csv.DictReader(file)}
    photographs = [path for _, path in sorted(of_group.items())][::16]
    for path in photographs:
        shutil.copy(path, source)
    planted = {}
    for index, (path, how) in enumerate(zip(photographs, [*COPIES] * 5, strict=False)):
        name = f"planted{index}_{how}.{'webp' if how == 'another_format' else 'jpg'}"
        (source / name).write_bytes(COPIES[how](images.read(path)))
        planted[name] = path.name
    report = run(source)
    group_of = {
        copy: name for name, copies in report["groups"].items() for copy in (name, *(c["source"] for c in copies))
    }
    found = [
        name for name, original in planted.items() if name in group_of and group_of[name] == group_of.get(original)
    ]
    assert len(found) >= 0.98 * len(planted)
    assert report["unreadable"] == {}
    assert report["counts"]["duplicates"] == len(found)


def test_a_label_file_in_upper_case_belongs_to_its_image(tmp_path: Path) -> None:
    (tmp_path / "A.XML").write_bytes(b"<annotation/>")
    assert find_labels(tmp_path, ["a.jpg", "b.jpg"], None) == {"a.jpg": tmp_path / "A.XML"}
    folder = LabelFolder(tmp_path, overwrite=False, refresh=False, background=False, dry_run=True)
    assert folder.label_of(tmp_path / "a.jpg") == tmp_path / "A.XML"
    assert not folder.may_write(tmp_path / "a.jpg")
    assert folder.may_write(tmp_path / "b.jpg")
