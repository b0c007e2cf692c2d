"""Connections to the books' file, and the lock that lets one process write.

Must not know: tables or statements. Every connection is in autocommit mode: whoever wants a
transaction begins it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from pathlib import Path

from cobot_meter.domain.errors import SettingInvalid

STATEMENTS_CACHED = 256
# Pages kept in memory by the writer and by each reader, in KiB.
WRITER_CACHE_KIB = 4_096
READER_CACHE_KIB = 1_024
LOCK_BYTES = 64
BEGUN = b"begun\n"
# The write-ahead log is folded into the file after so many pages of 4 KiB.
CHECKPOINT_PAGES = 4_000


def connect_writer(path: Path, *, busy_timeout_s: float) -> sqlite3.Connection:
    """The one connection that writes: every commit is on the disk when it returns.

    It may be used by another thread than the one that opens it, by one thread at a time.
    """
    return _set_up(
        _connect(path, busy_timeout_s=busy_timeout_s),
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "secure_delete = ON",
        # What a savepoint would restore is kept in memory, not in a temporary file.
        "temp_store = MEMORY",
        f"cache_size = -{WRITER_CACHE_KIB}",
        f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
    )


def connect_reader(path: Path, *, busy_timeout_s: float) -> sqlite3.Connection:
    """A connection that only reads, and never waits for the writer."""
    return _set_up(
        _connect(path, busy_timeout_s=busy_timeout_s),
        "query_only = ON",
        f"cache_size = -{READER_CACHE_KIB}",
    )


def _set_up(connection: sqlite3.Connection, *pragmas: str) -> sqlite3.Connection:
    """The connection with its pragmas; closed when the file turns out to be no database."""
    try:
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _connect(path: Path, *, busy_timeout_s: float) -> sqlite3.Connection:
    # Bound as it is anyway; without an adapter the driver looks for one at every NULL, for longer
    # than it takes to bind it.
    sqlite3.register_adapter(type(None), _as_it_is)
    # mode=rw: a missing file is an error here, and its creation is the migration's.
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=busy_timeout_s,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=STATEMENTS_CACHED,
    )


def _as_it_is(value: None) -> None:
    return value


def lock_of(path: Path) -> Path:
    """The file that says who writes the books at `path`, and that there are some."""
    return path.with_name(f"{path.name}.lock")


def were_begun(path: Path) -> bool:
    """Whether there are, or were, books at `path`."""
    if path.exists() and path.stat().st_size:
        return True
    lock = lock_of(path)
    return lock.exists() and BEGUN in lock.read_bytes()[:LOCK_BYTES]


class WriterLock:
    """Held by the one process that writes; the kernel lets go of it however that process ends."""

    def __init__(self, path: Path) -> None:
        """Take the lock of the books at `path`.

        Raises SettingInvalid when it is taken, or when nothing can be written there.
        """
        try:
            self._file = os.open(lock_of(path), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            message = f"the books cannot be kept at {path}: {error.strerror}"
            raise SettingInvalid(message) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            said = os.pread(self._file, LOCK_BYTES, 0).decode("ascii", "replace")
            holder = said.partition("\n")[0].strip() or "unknown"
            os.close(self._file)
            message = (
                f"{path} is in use by another process (pid {holder}): stop it, or give this one "
                "a data directory of its own"
            )
            raise SettingInvalid(message) from error
        self.begun = BEGUN in os.pread(self._file, LOCK_BYTES, 0)
        self._note()

    def note_begun(self) -> None:
        """There are books from here on: should they be gone one day, that is no fresh start."""
        self.begun = True
        self._note()

    def _note(self) -> None:
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, b"%d\n%b" % (os.getpid(), BEGUN if self.begun else b""), 0)

    def release(self) -> None:
        """Let another process write."""
        with contextlib.suppress(OSError):
            os.close(self._file)
