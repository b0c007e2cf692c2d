"""A socket's file by a name that fits: addresses of Unix sockets hold about a hundred bytes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

NAME_BYTES_MAX = 100  # sun_path holds 104 to 108, with its end
DESCRIPTORS = Path("/proc/self/fd")


@contextlib.contextmanager
def fitting(path: Path) -> Iterator[str]:
    """The path itself, or by way of its directory's descriptor; valid inside the block.

    Raises OSError when the directory is not there, or the path is too long for this system.
    """
    if len(os.fsencode(path)) <= NAME_BYTES_MAX:
        yield str(path)
        return
    if not DESCRIPTORS.exists():
        message = f"is longer than {NAME_BYTES_MAX} bytes, choose a shorter data directory"
        raise OSError(0, message, str(path))
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield str(DESCRIPTORS / str(directory) / path.name)
    finally:
        os.close(directory)
