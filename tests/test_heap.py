from __future__ import annotations

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import numpy as np
from detector._heap import keep_memory

def touch():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(64 * 2**20, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if sys.argv[1] == "set":
    keep_memory()
touch()
print(touch())
"""

HOLES = """
import sys, threading
import numpy as np
from detector._heap import return_memory

def resident_mib():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 // 2**20

kept = []

def pictures():
    np.ones(16 * 2**20, np.uint8)  # freed: from now on glibc takes blocks up to this size from the heap
    several = []
    for _ in range(8):
        several.append(np.ones(2 * 2**20, np.uint8))
        kept.append(np.ones(60 * 1024, np.uint8))  # stays between them
    several.clear()

if sys.argv[1] == "set":
    return_memory()
before = resident_mib()
for _ in range(8):
    thread = threading.Thread(target=pictures)
    thread.start()
    thread.join()
print(resident_mib() - before)
"""

glibc_only = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such knob")


def both_ways(program: str) -> tuple[int, int]:
    """What it prints as glibc is by itself, and after its knobs were set."""
    plain, done = (
        int(subprocess.run([sys.executable, "-c", program, how], check=True, capture_output=True, text=True).stdout)
        for how in ("plain", "set")
    )
    return plain, done


@glibc_only
def test_memory_that_was_freed_is_used_again_and_not_paged_in_anew() -> None:
    plain, kept = both_ways(FAULTS)
    assert kept < plain / 4


@glibc_only
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no /proc to read the memory from")
def test_memory_that_was_freed_between_blocks_that_stay_goes_back_to_the_system() -> None:
    plain, returned = both_ways(HOLES)
    assert plain > 12, "glibc does not keep holes here: the test proves nothing"
    assert returned < 8  # 4 MiB stay in use
