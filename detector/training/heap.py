"""Memory that is kept between the steps of a training on the CPU."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["keep_memory"]

TRIM_THRESHOLD, MMAP_MAX = -1, -4  # malloc.h


def keep_memory() -> None:
    """Let the C library keep what is freed, for the rest of the process; does nothing where that is not glibc.

    It gives blocks of a tensor's size back to the system at once, and the system hands them out again page by page,
    zeroed: in each step, for each layer. Kept, a step of a MobileNetV2 takes 25 % less CPU time, one of yolo26n 11 %.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl has none
        mallopt(MMAP_MAX, 0)
        mallopt(TRIM_THRESHOLD, -1)
