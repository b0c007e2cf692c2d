"""The files of the books on disk: whether they are still the ones that are open, and have room.

Removing or replacing a file under a process that has it open is silent: what is written goes into
a file that nobody finds again. Must not know: SQL.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

# So much must be free on the disk before the books are said to take writes.
ROOM_BYTES = 1_048_576
_CANNOT_TELL = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINTR})

Identity = tuple[int, int]


class BooksFiles:
    """The books' file and its write-ahead log, as they were when they were opened."""

    def __init__(self, path: Path) -> None:
        """Nothing is remembered yet."""
        self.path = path
        self._wal = path.with_name(f"{path.name}-wal")
        self._books_were: Identity | None = None
        self._wal_was: Identity | None = None

    def remember(self) -> None:
        """A connection was opened, and has written: these are the files from now on."""
        self._books_were = _identity(self.path)
        self._wal_was = _identity(self._wal)

    def check(self) -> None:
        """Raises OSError when what would be written now would be found by nobody."""
        for path, was in ((self.path, self._books_were), (self._wal, self._wal_was)):
            if was is not None and _identity(path) != was:
                message = (
                    f"{path} was removed or replaced while it was in use: put it back, or stop "
                    "the service and restore a backup"
                )
                raise OSError(errno.ESTALE, message)

    @property
    def same_books(self) -> bool:
        """Whether the file at the path is the one that was opened first."""
        return self._books_were is None or _identity(self.path) == self._books_were

    def check_room(self) -> None:
        """Raises OSError when the disk has no room for what the next asks take."""
        scratch = self.path.with_name(f"{self.path.name}.room")
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, ROOM_BYTES)
        except OSError as error:
            if error.errno not in _CANNOT_TELL:
                raise
        finally:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                scratch.unlink()


def free_bytes(path: Path) -> int:
    """What is free for us on the disk of `path`; -1 where that cannot be said."""
    try:
        found = os.statvfs(path)
    except OSError:
        return -1
    return found.f_bavail * found.f_frsize


def _identity(path: Path) -> Identity | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
