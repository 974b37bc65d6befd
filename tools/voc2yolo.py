"""LabelImg labels to a YOLO folder: ``mask-detector convert`` under its old name."""

import sys

from detector.convert import main

if __name__ == "__main__":
    sys.exit(main())
