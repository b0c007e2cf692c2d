"""Memory that was needed once goes back to the system.

glibc keeps a large block for the next one after the first was freed, and raises the size from which
it does not up to 32 MiB: after a burst of large bodies a process stayed three times as big for
good. With a fixed threshold such blocks are mapped and unmapped alone.
"""

from __future__ import annotations

import ctypes
import sys

_M_MMAP_THRESHOLD = -3
# Over what most answers and rows take, so that those stay as quick as they are.
LARGE_BYTES = 131_072


def give_back_large_blocks() -> bool:
    """Fix the threshold for this process; False where the C library has none."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has no such function
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES))
