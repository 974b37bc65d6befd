"""``python -m detector`` lists the commands."""

from __future__ import annotations

import sys

import detector

COMMANDS = {
    "run": "find faces in images, a video, a webcam or a stream",
    "train": "train on your own LabelImg labels",
    "evaluate": "measure an engine on labelled images",
    "compare": "set the engines side by side on the same images",
    "demo": "show it as a web page, with a link for others",
    "export": "turn a checkpoint into a verified ONNX file",
}


def main() -> int:
    """Print the commands with one line each."""
    print(f"mask-detector {detector.__version__}\n")
    for name, purpose in COMMANDS.items():
        print(f"  python -m detector.{name:<8} {purpose}")
    print("\nEach takes --help.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
