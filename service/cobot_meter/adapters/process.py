"""Who else uses the data directory: alone there, or after others that are certainly gone.

Whoever runs there holds a lock on a file, which the kernel takes back however the process ends: who
gets the lock knows that everybody named in the file is gone, at once and without asking a database.
A line counts only in the file it was written to, so that a copied directory says nothing of
processes that still run elsewhere. Must not know: the books.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from cobot_meter.domain.errors import SettingInvalid

NAMES_MAX = 64
_BYTES_MAX = 65_536


@contextlib.contextmanager
def process_file(path: Path, own_id: str) -> Iterator[frozenset[str]]:
    """Those who ran here and are gone; none while another process runs in the same directory.

    Raises SettingInvalid when nothing can be written there.
    """
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        message = f"cannot use {path.parent} for data: {error.strerror}"
        raise SettingInvalid(message) from error
    try:
        yield _named(file, own_id)
    finally:
        os.close(file)


def _named(file: int, own_id: str) -> frozenset[str]:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return frozenset()
    here = str(os.fstat(file).st_ino)
    lines = os.pread(file, _BYTES_MAX, 0).decode("ascii", "replace").splitlines()
    words = (line.split() for line in lines)
    names = [pair[1] for pair in words if len(pair) == 2 and pair[0] == here]  # noqa: PLR2004
    kept = [*names[-NAMES_MAX + 1 :], own_id]
    os.ftruncate(file, 0)
    os.pwrite(file, "".join(f"{here} {name}\n" for name in kept).encode("ascii"), 0)
    return frozenset(names)


class SoleProcess:
    """Everybody else is gone, and every duty is ours."""

    def __init__(self, own_id: str) -> None:
        """`own_id` must be fresh at every start."""
        self._own_id = own_id

    @property
    def own_id(self) -> str:
        """The name of this start of the process, as it was given."""
        return self._own_id

    async def alive(self, replica_id: str) -> bool:
        """True for our own name alone: whoever had another one in this directory is gone."""
        return replica_id == self._own_id

    async def mine(self, name: str) -> bool:  # noqa: ARG002 - the port's
        """Always."""
        return True
