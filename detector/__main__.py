"""The one door: ``mask-detector COMMAND`` where the package is installed, ``python -m detector COMMAND`` anywhere."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from importlib import import_module

import detector

__all__ = ["COMMANDS", "main"]

COMMANDS = {
    "run": "find faces in images, a video, a webcam or a stream",
    "train": "train on your own LabelImg labels",
    "export": "turn a checkpoint into a verified ONNX file",
    "evaluate": "measure an engine on labelled images",
    "compare": "set the engines side by side on the same images",
    "demo": "show it as a web page, with a link for others",
    "archive": "find the faces of millions of images, on one computer or a cluster",
    "convert": "LabelImg labels to a YOLO folder",
    "unconvert": "YOLO labels, or predictions, to LabelImg labels",
    "crop": "cut labelled faces into folders for the two-step classifier",
    "collect": "search the web for pictures to label",
    "clean": "make pictures ready for labelling: whole, upright, each once",
    "prelabel": "let the detector label images, for a person to correct",
    "check": "show where the detector and the labels disagree most",
    "masks": "draw masks, and what is taken for masks, onto bare faces",
}
"""Each is the module of its name, with a ``main(argv)`` that returns the exit code, and what it is for."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that the first word names; returns its exit code, 2 where there is none of that name."""
    name, *rest = [*(sys.argv[1:] if argv is None else argv), ""]
    if name in ("", "-h", "--help"):
        print(_help())
    elif name == "--version":
        print(f"mask-detector {detector.__version__}")
    elif name in COMMANDS:
        code: int = import_module(f"detector.{name}").main(rest[:-1])
        return code
    else:
        near = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.66)
        meant = f"did you mean {near[0]}?" if near else "mask-detector --help lists them"
        print(f"error: {name}: no such command: {meant}", file=sys.stderr)
        return 2
    return 0


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {purpose}" for name, purpose in COMMANDS.items()]
    return "\n".join(["usage: mask-detector COMMAND [--help | flags]", "", *lines])


if __name__ == "__main__":
    sys.exit(main())
