"""Writes a small file whole: after a kill there is all of it, or what was there before.

Must not know: what is in it.
"""

from __future__ import annotations

import os
from pathlib import Path

_PRIVATE = 0o600
PRIVATE_FOLDER = 0o700


def write_whole(path: Path, text: str) -> None:
    """Write it for its owner's eyes, and flush it and its folder. Raises OSError."""
    beside = path.with_suffix(".new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
