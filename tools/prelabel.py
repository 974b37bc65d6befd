"""Let the detector label images: ``mask-detector prelabel`` under its old name."""

import sys

from detector.prelabel import main

if __name__ == "__main__":
    sys.exit(main())
