"""What can go wrong in the middle of a training and is no bug."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from detector.errors import TrainingError

__all__ = ["one_line_errors"]


@contextmanager
def one_line_errors(run: Path, size_flag: str = "--imgsz") -> Iterator[None]:
    """What can go wrong while training and is no bug becomes a TrainingError.

    Args:
        run: the folder that is written to.
        size_flag: the flag that says how large the images are in the network.
    """
    try:
        yield
    except (RuntimeError, MemoryError, OSError) as error:
        text = str(error).lower()
        if isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text:
            raise TrainingError(f"out of memory: use a smaller --batch or {size_flag}") from error
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT}:
            raise TrainingError(
                f"{run}: cannot be written ({error.strerror}): make room or choose another --runs"
            ) from error
        if ("nan" in text and "loss" in text) or "nan persisted" in text:
            raise TrainingError(
                f"{run}: the loss is not a number any more: check the labels, or another --start"
            ) from error
        if "no valid images" in text or "no labels found" in text:
            raise TrainingError(f"{run / 'dataset'}: no image there that can be trained on: check the data") from error
        raise
