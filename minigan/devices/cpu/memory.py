"""Keeping freed memory: what a training loop frees in one step it needs again in the next.

The C library of Linux (glibc) hands large freed blocks back to the system at once. The next step then
gets fresh pages, and the system fills each with zeros when it is first touched, which takes longer than
the arithmetic of a small operation. A training step of the small deblurring generator (batch 8 of
64 x 64, two threads) took 85 ms without this setting, and 57 ms with it.
"""

from __future__ import annotations

import ctypes
import sys

# From glibc's malloc.h. Blocks below the second limit come from the heap (32 MB is the highest that glibc
# accepts); the heap's free end is given back to the system only when it grows past the first. One heap is
# for all threads: a thread's own has at most 64 MB, and gives back what it frees.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_MMAP_THRESHOLD, _TRIM_THRESHOLD = 32 << 20, 1 << 30


def keep_freed_memory() -> bool:
    """Make this process keep up to 1 GiB of freed memory for its next use; whether that worked.

    It holds for the whole process until it ends, so it is for programs, such as minigan's own commands,
    and not for a library to do behind its user's back. Elsewhere than on glibc, nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    limits = (
        (_M_MMAP_THRESHOLD, _MMAP_THRESHOLD),
        (_M_TRIM_THRESHOLD, _TRIM_THRESHOLD),
        (_M_ARENA_MAX, 1),
    )
    return all(mallopt(name, size) == 1 for name, size in limits)
