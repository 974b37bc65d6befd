"""The page's limits act before anything is decoded."""

from __future__ import annotations

import numpy as np
import pytest

from detector.detections import Detections
from detector.errors import SourceError
from detector.media.frames import Frame
from detector.web.fields import MAX_MEGAPIXELS, Upload, read_picture
from detector.web.video_job import COPY_SIDE, _shrunk
from tests.media.bombs import PNG, bmp_of, gif_of, jp2_of, moving, png_header, tiff_of

LARGE = {
    "a.tif": tiff_of(8000, 8000),
    "a.gif": gif_of((8000, 8000), (8, 8)),
    "a.bmp": bmp_of(8000, 8000, 8, 1),
    "a.webp": moving(1, 8000, 8000),
    "a.jp2": jp2_of(8000, 8000),
    "a.ppm": b"P6 8000 8000 255\n",
    "a.png": PNG + png_header(8000, 8000),
}


@pytest.mark.parametrize("name", LARGE)
def test_every_format_is_held_to_the_limit_by_its_header(name: str) -> None:
    said = rf"^{name}: 8000 x 8000 pixels are too many for this page \(at most {MAX_MEGAPIXELS} megapixels\)"
    with pytest.raises(SourceError, match=said):
        read_picture(Upload(name, None, LARGE[name]))


def test_an_animation_is_told_from_a_single_picture_by_its_header() -> None:
    assert "animation" in read_picture(Upload("a.webp", None, moving(2, 64, 64)))[1]


@pytest.mark.parametrize(("shape", "expected"), [((2160, 4096), (1012, 1920)), ((1080, 1920), (1080, 1920))])
def test_the_copy_of_a_large_video_is_scaled_and_its_boxes_with_it(
    shape: tuple[int, int], expected: tuple[int, int]
) -> None:
    whole = np.array([[0, 0, shape[1], shape[0]]], np.float32)
    found = Detections(whole, np.ones(1, np.float32), np.zeros(1, np.int64))
    frame, faces, boxes = _shrunk(Frame(np.zeros((*shape, 3), np.uint8), 0, 0.0, "x"), found, whole, COPY_SIDE)
    assert frame.image.shape[:2] == expected
    assert max(expected) <= COPY_SIDE
    for box in (*faces.xyxy, *boxes):
        np.testing.assert_allclose(box, [0, 0, expected[1], expected[0]], atol=1)
