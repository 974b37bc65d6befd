"""``mask-detector compare`` with other people's networks in the table too. See --help.

Two are known: ``aizoo`` (AIZOOTech/FaceMaskDetection, MIT, an SSD at 260x260) and ``rfb`` (a mask detector on
Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB, MIT, 640x480). Their files are not part of this project.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from detector import cli
from detector.boxes import suppress
from detector.compare import build_parser, run
from detector.defaults import DEFAULT_CONF
from detector.detections import Detections
from detector.engines.session import OnnxSession
from detector.evaluation.contenders import Contender
from detector.media.images import Image
from detector.scoring import TAIL

EXAMPLES = """\
  python tools/compare_peers.py --data my_yolo_folder/data.yaml --peer rfb=rfb_ssd_640.onnx --out report.html
  python tools/compare_peers.py --peer rfb=rfb_ssd_640.onnx --peer aizoo=aizoo_ssd_260.onnx

Everything else is as in mask-detector compare. Further networks: write an adapter here."""

Floats = npt.NDArray[np.float32]

IOU = 0.4
AIZOO_GRIDS = (33, 17, 9, 5, 3)
AIZOO_SIZES = ((0.04, 0.056), (0.08, 0.11), (0.16, 0.22), (0.32, 0.45), (0.64, 0.72))
AIZOO_RATIOS = (0.62, 0.42)
AIZOO_VARIANCES = (0.1, 0.1, 0.2, 0.2)


def _aizoo(session: OnnxSession, image: Image) -> tuple[Floats, Floats]:
    """AIZOOTech's SSD: RGB in 0..1, plain resize to 260x260, anchors as in its repository."""
    tensor = cv2.dnn.blobFromImage(image, 1 / 255, (260, 260), swapRB=True)
    location, scores = (output[0] for output in session(np.asarray(tensor, np.float32)))
    offset, anchors = location * AIZOO_VARIANCES, aizoo_anchors()
    centre = offset[:, :2] * anchors[:, 2:] + anchors[:, :2]
    half = np.exp(offset[:, 2:]) * anchors[:, 2:] / 2
    return np.concatenate([centre - half, centre + half], axis=1), scores


def _rfb(session: OnnxSession, image: Image) -> tuple[Floats, Floats]:
    """The ultra-light RFB network with mask classes: RGB, (x - 127) / 128, plain resize to 640x480."""
    tensor = cv2.dnn.blobFromImage(image, 1 / 128, (640, 480), (127, 127, 127), swapRB=True)
    outputs = dict(zip(session.shapes, session(np.asarray(tensor, np.float32)), strict=True))
    return outputs["boxes"][0], outputs["scores"][0][:, [2, 1]]  # of background, face, masked face


PEERS: dict[str, Callable[[OnnxSession, Image], tuple[Floats, Floats]]] = {"aizoo": _aizoo, "rfb": _rfb}
"""Each gives boxes (N, 4) in 0..1 of the image, and scores (N, 2) in our order of classes."""


def _peer(text: str) -> tuple[str, Path]:
    """The value of a flag ``--peer KIND=FILE``."""
    kind, separator, path = text.partition("=")
    if kind not in PEERS or not separator or not path:
        raise argparse.ArgumentTypeError(f"{text} is not KIND=FILE, where KIND is {' or '.join(PEERS)}")
    return kind, Path(path)


def add_peer_flag(parser: argparse.ArgumentParser, **settings: Any) -> None:
    """``--peer``, which here and in ``val_figures.py`` means the same."""
    names = " or ".join(PEERS)
    parser.add_argument(
        "--peer", type=_peer, metavar="KIND=FILE", help=f"another's network: {names} and its ONNX file", **settings
    )


def peer_detector(kind: str, path: Path, threads: int | None = None) -> Callable[..., Detections]:
    """A peer as a function of an image and the least score."""
    session = OnnxSession(path, threads=threads)

    def look(image: Image, least: float = DEFAULT_CONF) -> Detections:
        boxes, scores = PEERS[kind](session, image)
        size = np.tile(np.array(image.shape[1::-1], np.float32), 2)
        xyxy, confidence = np.clip(boxes * size, 0, size), scores.max(axis=1)  # a face gets its surer class
        kept = suppress(xyxy, confidence, IOU, least=least)
        return Detections(xyxy[kept], confidence[kept], scores[kept].argmax(axis=1))

    return look


def peer_contender(kind: str, path: Path, args: argparse.Namespace) -> Contender:
    """A peer as it is measured beside our engines, with its ``--conf`` and ``--threads``."""
    look, conf = peer_detector(kind, path, args.threads), DEFAULT_CONF if args.conf is None else args.conf
    return Contender(kind, lambda image: look(image, min(conf, TAIL)), lambda image: look(image, conf), conf)


@cache
def aizoo_anchors() -> Floats:
    """Centre x, centre y, width, height (5972, 4) in 0..1."""
    anchors = []
    for grid, sizes in zip(AIZOO_GRIDS, AIZOO_SIZES, strict=True):
        ticks = (np.arange(grid) + 0.5) / grid
        y, x = np.meshgrid(ticks, ticks, indexing="ij")
        shapes = [(size, size) for size in sizes]
        shapes += [(sizes[0] * ratio**0.5, sizes[0] / ratio**0.5) for ratio in AIZOO_RATIOS]
        cells = [np.stack([x, y, np.full_like(x, w), np.full_like(x, h)], axis=-1) for w, h in shapes]
        anchors.append(np.stack(cells, axis=2).reshape(-1, 4))
    return np.concatenate(anchors).astype(np.float32)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = build_parser("tools/compare_peers.py", EXAMPLES)
    add_peer_flag(parser, action="append", default=[])
    return cli.run_command(parser, _command, argv)


def _command(args: argparse.Namespace) -> int:
    def others(_: contextlib.ExitStack) -> list[Contender]:
        return [peer_contender(kind, path, args) for kind, path in args.peer]

    return run(args, others)


if __name__ == "__main__":
    sys.exit(main())
