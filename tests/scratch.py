"""Tests write their files into memory, where the machine has room for them.

Every commit of every database in a test waits for the disk, and the waits are a sixth of a run. No
test asks what a disk does when the power fails: what they kill are processes, whose files outlive
them in memory too. A TMPDIR of one's own is obeyed.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")
ROOM_BYTES = 8 << 30  # a whole run has needed 2 GB, and the tests themselves need memory too
TMPDIR = "TMPDIR"


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    """Say so before anything asks for a folder; workers and commands under test inherit it."""
    if TMPDIR not in os.environ and has_room(MEMORY):
        os.environ[TMPDIR] = str(MEMORY)
        tempfile.tempdir = None  # what was found before is forgotten


def has_room(folder: Path) -> bool:
    """Whether programs can be run from there and so much fits."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    runs_programs = not found.f_flag & os.ST_NOEXEC
    return (
        runs_programs
        and os.access(folder, os.W_OK)
        and found.f_bavail * found.f_frsize > ROOM_BYTES
    )
