"""Where a page keeps what visitors send, and that it goes. Imports no gradio, which looks for its place at once."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["own_folder"]


@contextlib.contextmanager
def own_folder() -> Iterator[Path]:
    """A folder for all that Gradio writes, uploads above all, which goes with the ``with``.

    Gradio looks for its place when it is imported and when a field is made, so both belong inside.
    """
    before = os.environ.get("GRADIO_TEMP_DIR"), tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="mask-detector-demo-", ignore_cleanup_errors=True) as folder:
        os.environ["GRADIO_TEMP_DIR"] = tempfile.tempdir = folder  # parts of uploads are written to the latter
        try:
            yield Path(folder)
        finally:
            tempfile.tempdir = before[1]
            if before[0] is None:
                del os.environ["GRADIO_TEMP_DIR"]
            else:
                os.environ["GRADIO_TEMP_DIR"] = before[0]
