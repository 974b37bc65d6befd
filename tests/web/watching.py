"""What happens to files, as the kernel tells it: also what C libraries open."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

OPENED, READ, MOVED, DELETED, GONE = 0x20, 0x1, 0x40, 0x200, 0x400


@contextmanager
def untouched(*folders: Path) -> Iterator[None]:
    """Fail if anything in ``folders`` is opened, read, moved or deleted meanwhile."""
    if not sys.platform.startswith("linux"):
        pytest.skip("inotify is Linux's")
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_NONBLOCK)
    try:
        for folder in folders:
            mask = OPENED | READ | MOVED | DELETED | GONE
            assert libc.inotify_add_watch(watch, os.fsencode(folder), mask) > 0
        yield
        assert _events(watch) == []
    finally:
        os.close(watch)


def _events(watch: int) -> list[str]:
    try:
        data = os.read(watch, 65536)
    except BlockingIOError:
        return []
    found, at = [], 0
    while at < len(data):
        _, mask, _, length = struct.unpack_from("iIII", data, at)
        found.append(f"{data[at + 16 : at + 16 + length].rstrip(bytes(1)).decode()}: {mask:#x}")
        at += 16 + length
    return found
