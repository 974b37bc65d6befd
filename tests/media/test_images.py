from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from detector.errors import OutputError, SourceError
from detector.media import images
from tests.media.makers import encoded, exif, jpeg, png, png_chunk, quarters, turned, webp

ORIENTATIONS = range(1, 9)


def saved(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_jpeg_comes_upright_and_its_size_is_known_before(tmp_path: Path, orientation: int, order: str) -> None:
    path = saved(tmp_path / "photo.jpg", jpeg(quarters(), orientation, order))
    image = images.read(path)
    expected = turned(quarters(), orientation)
    assert image.shape == expected.shape
    assert image.flags.c_contiguous
    assert (np.abs(image.astype(int) - expected).max(axis=2) < 12).mean() > 0.7  # JPEG blurs the edges
    assert images.image_size(path) == (image.shape[1], image.shape[0])


@pytest.mark.parametrize("make", [png, webp])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_png_and_webp_come_upright_with_and_without_alpha(tmp_path: Path, make, orientation: int) -> None:  # type: ignore[no-untyped-def]
    expected = turned(quarters(), orientation)
    opaque = np.dstack([quarters(), np.full((40, 60), 255, np.uint8)])
    for index, stored in enumerate((quarters(), opaque)):
        path = saved(tmp_path / f"{index}.{make.__name__}", make(stored, orientation))
        np.testing.assert_array_equal(images.read(path), expected)
        assert images.image_size(path) == (expected.shape[1], expected.shape[0])


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_tiff_comes_upright(orientation: int) -> None:
    pillow = pytest.importorskip("PIL.Image", reason="Pillow writes the orientation that OpenCV cannot")
    file = io.BytesIO()
    pillow.fromarray(quarters()[..., ::-1].copy()).save(file, "TIFF", tiffinfo={0x0112: orientation})
    np.testing.assert_array_equal(images.decode(file.getvalue(), "x.tif"), turned(quarters(), orientation))


def test_what_opencv_does_with_orientation_is_what_the_reader_relies_on() -> None:
    data = np.frombuffer(jpeg(quarters(), 6), np.uint8)
    assert cv2.imdecode(data, cv2.IMREAD_COLOR).shape == (60, 40, 3)
    assert cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION).shape == (40, 60, 3)
    assert cv2.imdecode(data, cv2.IMREAD_UNCHANGED).shape == (40, 60, 3)
    assert cv2.imdecode(np.frombuffer(png(quarters(), 6), np.uint8), cv2.IMREAD_UNCHANGED).shape == (40, 60, 3)


@pytest.mark.parametrize("nonsense", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_upright(nonsense: int) -> None:
    assert images.decode(jpeg(quarters(), nonsense), "x").shape == (40, 60, 3)


def test_damaged_exif_never_stops_an_image() -> None:
    whole = exif(6)
    for length in range(len(whole)):
        data = jpeg(quarters())
        payload = b"Exif\0\0" + whole[:length]
        data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + data[2:]
        assert images.decode(data, "x").size == quarters().size


def test_grey_becomes_three_channels() -> None:
    image = images.decode(encoded(".png", np.full((4, 5), 77, np.uint8)), "x")
    assert image.shape == (4, 5, 3)
    assert (image == 77).all()


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tiff"])
def test_transparency_is_laid_on_white(suffix: str) -> None:
    stored = np.zeros((4, 6, 4), np.uint8)
    stored[:, :2] = (10, 20, 200, 255)
    stored[:, 2:4] = (0, 0, 0, 128)
    image = images.decode(encoded(suffix, stored, *((cv2.IMWRITE_WEBP_QUALITY, 101) if suffix == ".webp" else ())), "x")
    assert image[0, 0].tolist() == [10, 20, 200]
    assert image[0, 2].tolist() == [127, 127, 127]
    assert image[0, 5].tolist() == [255, 255, 255]


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_are_scaled_to_eight(suffix: str, channels: int) -> None:
    stored = np.full((3, 3, channels), 40000, np.uint16)
    if channels == 4:
        stored[..., 3] = 65535
    image = images.decode(encoded(suffix, stored), "x")
    assert image.dtype == np.uint8
    assert (image == round(40000 / 257)).all()


def test_a_palette_with_a_transparent_colour_is_understood() -> None:
    header = struct.pack(">IIBBBBB", 2, 1, 8, 3, 0, 0, 0)
    parts = [
        (b"IHDR", header),
        (b"PLTE", bytes([255, 0, 0, 0, 255, 0])),
        (b"tRNS", bytes([255, 0])),
        (b"IDAT", zlib.compress(b"\0\0\1")),
        (b"IEND", b""),
    ]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(kind, body) for kind, body in parts)
    assert images.decode(data, "x").tolist() == [[[0, 0, 255], [255, 255, 255]]]


@pytest.mark.parametrize(("mode", "suffix"), [("CMYK", "JPEG"), ("CMYK", "TIFF"), ("P", "GIF"), ("1", "PNG")])
def test_other_colour_models_are_understood(mode: str, suffix: str) -> None:
    pillow = pytest.importorskip("PIL.Image", reason="Pillow writes the files that OpenCV cannot")
    file = io.BytesIO()
    white = np.full((16, 16, 3), 255, np.uint8)
    pillow.fromarray(white).convert(mode).save(file, suffix)
    image = images.decode(file.getvalue(), "x")
    assert image.shape == (16, 16, 3)
    assert image.min() >= 253


def test_a_damaged_animation_is_refused_and_not_the_end_of_the_process() -> None:
    """Made by changing bytes at random; OpenCV 5.0.0 reads beyond its memory when it decodes it."""
    damaged = Path(__file__).with_name("damaged_animation.png")
    program = (
        "import sys; from pathlib import Path\n"
        "from detector.errors import SourceError; from detector.media import images\n"
        "try: images.read(Path(sys.argv[1]))\n"
        "except SourceError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program, damaged], capture_output=True, text=True, check=True)
    assert "damaged" in done.stdout


def test_of_an_animation_the_first_picture_is_taken() -> None:
    pillow = pytest.importorskip("PIL.Image", reason="Pillow writes animations")
    file = io.BytesIO()
    first, second = (pillow.fromarray(np.full((8, 8, 3), value, np.uint8)) for value in (0, 255))
    first.save(file, "GIF", save_all=True, append_images=[second])
    assert images.decode(file.getvalue(), "x").max() == 0


def test_floating_point_pixels_are_refused() -> None:
    with pytest.raises(SourceError, match=r"^x\.tif: float32 pixels .* save it as PNG$"):
        images.decode(encoded(".tiff", np.full((4, 4), 0.5, np.float32)), "x.tif")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
def test_a_file_that_is_cut_short_is_refused_by_name(tmp_path: Path, suffix: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    whole = saved(tmp_path / f"whole{suffix}", encoded(suffix, noise))
    data = whole.read_bytes()
    short = saved(tmp_path / f"short{suffix}", data[: int(len(data) * share)])
    assert images.header_of(whole).complete
    assert not images.header_of(short).complete
    with pytest.raises(SourceError, match=rf"short\{suffix}: the file is cut short \(\d+ bytes, .* copy it again$"):
        images.read(short)


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_photo() -> None:
    data = jpeg(quarters(), 1, thumbnail=b"\xff\xd8" + b"thumbnail" + b"\xff\xd9")
    assert images.decode(data, "x").shape == (40, 60, 3)
    with pytest.raises(SourceError, match="cut short"):
        images.decode(data[:-20], "x")


@pytest.mark.parametrize("kind", [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 2)])
@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("tail", [b"", b"\xff", bytes(5000), b"\xff" * 5000])
def test_a_jpeg_that_lacks_only_its_end_marker_is_used_and_noted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: tuple[int, ...], grey: bool, tail: bytes
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    data = encoded(".jpg", noise[..., 0] if grey else noise, *kind)
    assert data.endswith(b"\xff\xd9")
    path = saved(tmp_path / "a.jpg", data[:-2] + tail)
    np.testing.assert_array_equal(images.read(path), images.decode(data, "whole"))
    assert images.image_size(path, whole=True) == (96, 64)
    images.read(path)
    assert caplog.messages == [f"{path}: its end marker is missing, but nothing of its picture: it is used"]


@pytest.mark.parametrize("tail", [b"", bytes(5000), b"\xff" * 5000])
def test_a_jpeg_that_lacks_more_is_refused_wherever_it_ends(tail: bytes) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    for kind in ((), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)):
        data = encoded(".jpg", noise, *kind)
        between = [at for at in range(700, len(data)) if data[at : at + 2] in (b"\xff\xc4", b"\xff\xda")]
        for end in (*between, *range(1000, len(data) - 40, 371)):
            with pytest.raises(SourceError, match="cut short"):
                images.decode(data[:end] + tail, "x")


def test_the_colours_that_transparency_hides_stay_hidden_in_jpeg_2000() -> None:
    pillow = pytest.importorskip("PIL.Image", reason="Pillow writes JPEG 2000 with transparency")
    file = io.BytesIO()
    pillow.fromarray(np.dstack([quarters(), np.zeros((40, 60), np.uint8)])).save(file, "JPEG2000", irreversible=False)
    assert (images.decode(file.getvalue(), "x.jp2") == 255).all()


def test_a_cameras_raw_picture_is_not_taken_for_the_thumbnail_in_it(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.NEF", encoded(".tiff", quarters()))
    with pytest.raises(SourceError, match=r"a\.NEF: a camera's raw picture cannot be read: convert it"):
        images.read(path)


def test_files_in_subfolders_are_counted_without_hidden_ones_and_links(tmp_path: Path) -> None:
    assert images.left_below(tmp_path) == ""
    for name in ("a.jpg", "b/c.JPG", "b/d/e.heic", ".thumbs/f.jpg", "b/.g.jpg", "b/h.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "b" / "link.jpg").symlink_to(tmp_path / "a.jpg")
    assert images.left_below(tmp_path).startswith("2 images in subfolders were not looked at, such as b/c.JPG:")
    assert images.left_below(tmp_path, frozenset({".txt"}), "note").startswith("1 note in subfolders was not looked at")


def test_bytes_after_the_end_of_a_photo_are_no_fault(tmp_path: Path) -> None:
    path = saved(tmp_path / "motion.jpg", jpeg(quarters()) + bytes(100_000))
    assert images.header_of(path).complete
    assert images.read(path).shape == (40, 60, 3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"just a text, no picture", "not an image"),
        (b"\xff\xd8", "cut short"),
        (b"\xff\xd8\xff\xe0\x00\x04ab" + b"\xff" * 9, "cut short"),
        (b"\0\0\0\x18ftypheic" + bytes(50), "HEIC and AVIF cannot be read"),
        (b"BM" + bytes(60), "not an image|damaged"),
    ],
)
def test_what_is_no_image_is_refused_by_name(data: bytes, message: str) -> None:
    with pytest.raises(SourceError, match=rf"^a/b\.jpg: .*({message})"):
        images.decode(data, "a/b.jpg")


@pytest.mark.parametrize("size", [(60_000, 60_000), (2_000_000, 10), (0, 5)])
def test_an_absurd_size_is_refused_before_memory_is_taken(size: tuple[int, int]) -> None:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0))
    body = png_chunk(b"IDAT", zlib.compress(bytes(100))) + png_chunk(b"IEND", b"")
    with pytest.raises(SourceError, match=rf"^bomb: {size[0]}x{size[1]} pixels cannot be read"):
        images.decode(b"\x89PNG\r\n\x1a\n" + header + body, "bomb")


def test_refusals_leave_the_terminal_alone(tmp_path: Path) -> None:
    bad = saved(tmp_path / "short.jpg", jpeg(quarters())[:-50])
    code = "import sys; from pathlib import Path; from detector.media import images; images.read(Path(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", code, str(bad)], capture_output=True, text=True, check=False)
    lines = done.stderr.strip().splitlines()
    assert lines[0].startswith("Traceback")
    assert "cut short" in lines[-1]


def test_the_size_comes_from_the_header_alone(tmp_path: Path) -> None:
    large = np.zeros((300, 200, 3), np.uint8)
    assert images.image_size(saved(tmp_path / "a.jpg", jpeg(large)[:700])) == (200, 300)
    assert images.image_size(saved(tmp_path / "a.png", png(large)[:60])) == (200, 300)


def test_the_size_of_other_formats_comes_from_their_pixels(tmp_path: Path) -> None:
    for suffix in (".bmp", ".webp", ".tiff", ".ppm"):
        assert images.image_size(saved(tmp_path / f"a{suffix}", encoded(suffix, quarters()))) == (60, 40)
    with pytest.raises(SourceError, match="not an image"):
        images.image_size(saved(tmp_path / "a.txt", b"text"))


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    for call in (images.read, images.image_size, images.header_of):
        with pytest.raises(
            SourceError, match=r"none\.jpg: cannot be read \(No such file or directory\): check the name"
        ):
            call(tmp_path / "none.jpg")


def test_a_folder_lists_its_images_sorted_and_nothing_else(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "c.webp", "._a.png", ".hidden.jpg", "notes.txt", "é.tif"):
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()
    assert [path.name for path in images.list_images(tmp_path)] == ["a.png", "b.JPG", "c.webp", "é.tif"]
    with pytest.raises(SourceError, match="none: cannot be read"):
        images.list_images(tmp_path / "none")


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".bmp", ".tiff"])
def test_what_is_written_is_what_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"Straße 面罩{suffix}"
    images.write(path, quarters())
    np.testing.assert_array_equal(images.read(path), quarters())
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".jfif", ".webp"])
def test_quality_decides_the_size_of_the_file(suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    assert len(images.encode(noise, suffix, quality=30)) < len(images.encode(noise, suffix, quality=95))


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "there.png"
    images.write(path, quarters())
    before = path.read_bytes()
    with pytest.raises(OutputError, match=r"use \.png"):
        images.write(path.with_suffix(".xyz"), quarters())
    with pytest.raises(OutputError, match=r"none.x\.png: cannot be written"):
        images.write(tmp_path / "none" / "x.png", quarters())
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(OutputError, match=r"taken\.png: cannot be written"):
        images.write(tmp_path / "taken.png", quarters())
    assert path.read_bytes() == before
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["taken.png", "there.png"]


def test_a_picture_too_large_for_its_format_is_refused() -> None:
    with pytest.raises(OutputError, match=r"\.webp.* use \.png"):
        images.encode(np.zeros((2, 17_000, 3), np.uint8), ".webp")
