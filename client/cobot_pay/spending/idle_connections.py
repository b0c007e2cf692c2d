"""Connections to one SQLite file that are opened once and used again.

To open one and to read the file's tables costs as much CPU as ten small transactions. A connection
is used by one thread at a time, and only by the process that opened it.
"""

from __future__ import annotations

import os
import sqlite3
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

BUSY_S = 30.0
_IDLE_MAX = 4  # so many threads at once find one open; more open their own and close it again


class _Opened(NamedTuple):
    """A connection, the process that opened it and the file that it opened."""

    connection: sqlite3.Connection
    process: int
    file: tuple[int, int]


class IdleConnections:
    """The connections to one file that nobody uses at the moment."""

    def __init__(self, path: Path) -> None:
        """`path` is a file that exists. Nothing is opened yet."""
        self._path = path
        self._idle: deque[_Opened] = deque()
        self._inherited: list[_Opened] = []
        # An unclosed connection is a warning to the user, and leaves its log beside the file.
        weakref.finalize(self, _close_ours, self._idle)

    @contextmanager
    def taken(self) -> Iterator[sqlite3.Connection]:
        """A connection for the caller alone; where anything raises it is closed, not kept."""
        opened = self._idle_one() or self._new_one()
        kept = False
        try:
            yield opened.connection
            kept = len(self._idle) < _IDLE_MAX
        finally:
            if kept:
                self._idle.append(opened)
            else:
                opened.connection.close()

    def _idle_one(self) -> _Opened | None:
        while True:
            try:
                found = self._idle.pop()
            except IndexError:
                return None
            if found.process != os.getpid():
                # SQLite's locks are its parent's: used or closed here it would damage the file.
                self._inherited.append(found)
            elif found.file != self._file():
                # The file was deleted or put back from a copy: it is a limit that nobody else sees.
                found.connection.close()
            else:
                return found

    def _new_one(self) -> _Opened:
        connection = sqlite3.connect(
            self._path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA synchronous = FULL")
        return _Opened(connection, os.getpid(), self._file())

    def _file(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return (0, 0)
        return (found.st_dev, found.st_ino)


def _close_ours(idle: deque[_Opened]) -> None:
    for opened in idle:
        if opened.process == os.getpid():
            opened.connection.close()
