"""Memory that is kept while training: seen by the system's count of pages that it had to provide."""

import mmap
import platform
import subprocess
import sys

import pytest

_LOOK = """
import resource, sys, torch
from pathlib import Path
from safas.training.memory import memory_kept

def array():
    torch.ones(16 << 20)  # 64 MB, freed at once

def held():
    return int(Path("/proc/self/statm").read_text().split()[1])

with memory_kept(torch.device(sys.argv[1])):
    array()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        array()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    within = held()
print(within - held())
"""

ARRAY = 64 * 2**20 // mmap.PAGESIZE  # pages of one of them
pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="what is set is glibc's")


def pages(device: str) -> tuple[int, int]:
    """Pages that the system provided for ten arrays, and those given back at the end, in a fresh process."""
    done = subprocess.run([sys.executable, "-c", _LOOK, device], capture_output=True, text=True, check=True)
    provided, returned = map(int, done.stdout.split())
    return provided, returned


def test_arrays_use_each_others_memory_and_it_is_given_back_at_the_end() -> None:
    """On another device than the CPU all is as usual: the system provides every array anew."""
    (provided, returned), (usually, kept) = pages("cpu"), pages("meta")
    assert 3 * provided < usually
    assert returned > 0.9 * ARRAY
    assert kept < 0.1 * ARRAY
