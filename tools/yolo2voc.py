"""YOLO labels to LabelImg labels: ``mask-detector unconvert`` under its old name, with its old flag ``--force``."""

import sys
from collections.abc import Sequence

from detector import unconvert


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    words = sys.argv[1:] if argv is None else argv
    return unconvert.main(["--overwrite" if word == "--force" else word for word in words])


if __name__ == "__main__":
    sys.exit(main())
