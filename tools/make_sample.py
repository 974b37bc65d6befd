"""Make the sample in data/: photographs that anyone may share, with and without drawn masks, and their labels.

The sample lets every command run on a fresh clone. It is made from four photographs that come with scikit-image and
matplotlib; data/README.md says where they are from and why they may be shared. The same library versions make the same
bytes; another version of OpenCV rounds some pixels differently.
"""

from __future__ import annotations

import argparse
import struct
import sys
import zlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from _sample.mask_painting import paint_mask
from _sample.scenes import EXIF_SIDEWAYS, PHOTOGRAPHS, SCENES, Scene, Tone, View
from detector import cli
from detector.cli.flags import add_flags
from detector.data import voc
from detector.detections import CLASSES
from detector.errors import OutputError
from detector.files import make_folder, write_file
from detector.media.images import Image, encode

GAP = 6  # px between the views of a picture that has several
BACKDROP = (38, 34, 32)
TIE = 1e-6  # px; a corner on a whole pixel must not depend on the last bit


def _compose(name: str, scene: Scene) -> tuple[Image, list[voc.Box]]:
    """The upright picture of a scene and its boxes, both before encoding."""
    width, height = scene.size
    canvas = np.full((height, width, 3), BACKDROP, np.uint8)
    rows = -(-len(scene.views) // scene.columns)
    gap = GAP if len(scene.views) > 1 else 0
    tile = (width - gap) // scene.columns - gap, (height - gap) // rows - gap
    boxes = []
    for index, view in enumerate(scene.views):
        left = gap + index % scene.columns * (tile[0] + gap)
        top = gap + index // scene.columns * (tile[1] + gap)
        canvas[top : top + tile[1], left : left + tile[0]], face = _render(view, tile)
        if len(face):
            x0, y0 = np.floor(face.min(0) + TIE).clip(0).tolist()
            x1, y1 = np.ceil(face.max(0) - TIE).clip(None, tile).tolist()
            covered = view.mask is not None and view.worn == "properly"
            boxes.append(voc.Box(CLASSES[0 if covered else 1], left + x0, top + y0, left + x1, top + y1))
    return _tone(canvas, scene.tone, zlib.crc32(name.encode())), boxes


def _render(view: View, size: tuple[int, int]) -> tuple[Image, npt.NDArray[np.float64]]:
    """The view as a picture of ``size`` (width, height), and the points of its face and mask in it, (N, 2)."""
    photograph = PHOTOGRAPHS[view.photograph]
    picture = _masked(view.photograph, view.mask, view.worn)
    scale = size[0] / view.width
    cos, sin = scale * np.cos(np.radians(view.angle)), scale * np.sin(np.radians(view.angle))
    turn = np.array([[cos, -sin], [sin, cos]]) @ np.diag([-1 if view.mirrored else 1, 1])
    move = np.array(size) / 2 - turn @ view.center
    corners = (np.array([(0, 0), (size[0], 0), size, (0, size[1])]) - move) @ np.linalg.inv(turn).T
    if corners.min() < -0.5 or (corners.max(0) > np.array(picture.shape[1::-1]) + 0.5).any():
        raise ValueError(f"{view} looks beyond its photograph: {corners.round().tolist()}")
    if scale < 1:  # warpAffine does not average
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.5 * np.sqrt(scale**-2 - 1)), np.uint8)
    center_move = turn @ (0.5, 0.5) + move - 0.5  # OpenCV counts from the middle of a pixel
    matrix = np.column_stack([turn, center_move])
    seen = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    outline = photograph.outlines[view.worn] if view.mask else None
    points = np.array([*photograph.face, *((*outline.top, *outline.bottom) if outline else ())]).reshape(-1, 2)
    return np.asarray(seen, np.uint8), points @ turn.T + move


@cache
def _masked(name: str, mask: str | None, worn: str) -> Image:
    photograph = PHOTOGRAPHS[name]
    if mask is None:
        return photograph.load()
    seed = zlib.crc32(f"{name} {mask} {worn}".encode())
    assert photograph.light is not None  # noqa: S101 - whoever has outlines has it
    painted = paint_mask(_masked(name, None, "properly"), photograph.outlines[worn], mask, photograph.light, seed)
    if name == "cameraman":  # a mask in colour would give away a photograph in grey
        grey = cv2.cvtColor(painted, cv2.COLOR_BGR2GRAY)
        painted = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)
    return painted


def _tone(picture: Image, tone: Tone, seed: int) -> Image:
    values = (picture / 255) ** tone.gamma * tone.gain * (1 - tone.warmth, 1, 1 + tone.warmth)
    if tone.blur:
        values = np.asarray(cv2.GaussianBlur(values, (0, 0), tone.blur), np.float64)
    values += np.random.default_rng(seed).normal(0, 1, picture.shape) * tone.noise
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)


def _to_jpeg(picture: Image, scene: Scene) -> bytes:
    """The picture as JPEG: one channel where the scene is grey, stored on its side where its orientation says so."""
    if scene.grey:
        picture = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
    if scene.orientation != EXIF_SIDEWAYS:
        return encode(picture, ".jpg", scene.quality)
    data = encode(np.ascontiguousarray(np.rot90(picture)), ".jpg", scene.quality)
    # Exif: a big-endian TIFF header and one directory with one entry, Orientation (0x0112) as a 16-bit number.
    exif = b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, scene.orientation, 0, 0)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code. Files that are not of the sample are left alone."""
    parser = cli.make_parser("tools/make_sample.py", __doc__ or "", "  python tools/make_sample.py --out data")
    add_flags(parser, "--out", default=Path("data"), help="folder for images/, annotations/ and split.csv")
    add_flags(parser, "--overwrite", help="replace files of the sample that have other contents")
    return cli.run_command(parser, _command, argv)


def _command(args: argparse.Namespace) -> int:
    rows = [f"{name}.jpg,{scene.split}" for name, scene in sorted(SCENES.items())]
    files = {"split.csv": "\n".join(["image,split", *rows, ""]).encode()}
    for name, scene in SCENES.items():
        picture, boxes = _compose(name, scene)
        annotation = voc.Annotation(f"{name}.jpg", "images", scene.size, tuple(boxes), depth=1 if scene.grey else 3)
        files[f"images/{name}.jpg"] = _to_jpeg(picture, scene)
        files[f"annotations/{name}.xml"] = voc.to_bytes(annotation)
    for file, content in files.items():
        path = args.out / file
        if not args.overwrite and path.exists() and path.read_bytes() != content:
            raise OutputError(f"{path}: exists with other contents: choose another --out or give --overwrite")
    for folder in ("images", "annotations"):
        make_folder(args.out / folder)
    for file, content in files.items():
        write_file(args.out / file, content, replace=True)
    size = sum(map(len, files.values()))
    print(f"{len(SCENES)} pictures in {args.out}, {size / 1e6:.1f} MB with their labels")
    return cli.EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
