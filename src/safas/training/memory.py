"""Memory that is freed stays with the process while it trains on a CPU."""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

import torch

# mallopt's options (mallopt(3)) with what they are while a run trains, and what they are by default.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_KEEP = {_MMAP_MAX: 0, _TRIM_THRESHOLD: -1}  # no block of its own for a large array; nothing is given back
_USUAL = {_MMAP_MAX: 65536, _TRIM_THRESHOLD: 128 * 1024}


@contextmanager
def memory_kept(device: torch.device) -> Iterator[None]:
    """Within, the arrays of a step use the memory of those of the step before; afterwards it is given back.

    Otherwise glibc asks the system for each array above 32 MB and returns it a moment later, and the system fills it
    with zeros every time: with 192 views of 256 pixels that took a third of the step. No number changes; the process
    holds up to half as much memory again. On CUDA, whose allocator keeps memory by itself, and without glibc nothing
    is done.
    """
    if device.type != "cpu" or platform.libc_ver()[0] != "glibc":
        yield
        return
    libc = ctypes.CDLL(None)
    _set(libc, _KEEP)
    try:
        yield
    finally:
        _set(libc, _USUAL)
        libc.malloc_trim(0)


def _set(libc: ctypes.CDLL, options: dict[int, int]) -> None:
    for option, value in options.items():
        libc.mallopt(option, value)
