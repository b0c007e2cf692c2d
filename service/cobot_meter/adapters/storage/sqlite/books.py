"""The books in one SQLite file: the port `Books` over the writer thread and the keyed reads.

Reads run on the event loop's thread, as each is one short statement of 5 to 60 µs, which is less
than handing it to a thread and back would take. A read sees every transition whose `apply` has
returned, because each statement is a snapshot of its own. One process writes; others may read
beside it (`reports.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from cobot_meter.adapters.storage.keyed_reads import KeyedReads
from cobot_meter.adapters.storage.outage import StorageOutage
from cobot_meter.adapters.storage.read_queries import ReadStatements, read_statements
from cobot_meter.adapters.storage.sql_text import Statement
from cobot_meter.adapters.storage.sqlite.connections import (
    WriterLock,
    connect_reader,
    connect_writer,
    lock_of,
)
from cobot_meter.adapters.storage.sqlite.faults import damaged, fault_of, is_damage
from cobot_meter.adapters.storage.sqlite.files import BooksFiles
from cobot_meter.adapters.storage.sqlite.integrity import refuse_damage, refuse_missing_tables
from cobot_meter.adapters.storage.sqlite.schema import upgrade
from cobot_meter.adapters.storage.sqlite.statements import write_statements
from cobot_meter.adapters.storage.sqlite.transitions import TransitionWriter
from cobot_meter.adapters.storage.sqlite.writer import SqliteWriter
from cobot_meter.domain.errors import BooksBusy, BooksDamaged, CobotMeterError, SettingInvalid
from cobot_meter.domain.retention import Retention
from cobot_meter.domain.transitions.transition import Transition
from cobot_meter.ports.books import Applied


class SqliteReads(KeyedReads):
    """Finds rows by key. Every method raises BooksBusy when the database does not answer."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        statements: ReadStatements,
        *,
        path: Path,
        outage: StorageOutage,
    ) -> None:
        """Take over the connection to the file at `path`; `close_reads` closes it."""
        super().__init__(statements)
        self._connection = connection
        self._path = path
        self._outage = outage

    def close_reads(self) -> None:
        """Let go of the file."""
        self._connection.close()

    async def _rows(self, statement: Statement, *values: str | int | bytes) -> list[Any]:
        try:
            return self._connection.execute(statement.sql, values).fetchall()
        except sqlite3.Error as error:
            raise fault_of(error, where=self._path, outage=self._outage) from error


LOG = logging.getLogger(__name__)
# The pages of the file are looked at before anything is written, for at most so long.
CHECKED_S = 5.0
# Another program may hold the file this long before writes are refused.
BUSY_TIMEOUT_S = 10.0
# Reads never wait for a writer; only a rare clean-up of the log can hold one up.
READ_TIMEOUT_S = 1.0


@asynccontextmanager
async def open_sqlite_books(
    path: Path, *, retention: Retention, busy_timeout_s: float = BUSY_TIMEOUT_S
) -> AsyncIterator[SqliteBooks]:
    """Open the books at `path` for writing, made or brought up to date first.

    At the end what waits is written and the file is let go. Raises SettingInvalid when another
    process has them open, or when they were written by a newer version.
    """
    lock = await asyncio.to_thread(WriterLock, path)
    try:
        await asyncio.to_thread(_begun, path, lock)
        books = SqliteBooks(path, retention=retention, busy_timeout_s=busy_timeout_s)
        try:
            yield books
        finally:
            await books.aclose()
    finally:
        lock.release()


class SqliteBooks(SqliteReads):
    """The port `Books`; made by `open_sqlite_books`, which holds the lock."""

    def __init__(self, path: Path, *, retention: Retention, busy_timeout_s: float) -> None:
        """Open both connections; the tables must be there and up to date.

        Raises SettingInvalid for a file that cannot be written, BooksDamaged for none of ours.
        """
        self.outage = StorageOutage(what="the books cannot be written")
        files = BooksFiles(path)
        connect = functools.partial(_connected, files, busy_timeout_s=busy_timeout_s)
        transitions = functools.partial(
            TransitionWriter, statements=write_statements(), retention=retention
        )
        try:
            self._writer = SqliteWriter(connect, transitions, files=files, outage=self.outage)
            reader = connect_reader(path, busy_timeout_s=READ_TIMEOUT_S)
        except (sqlite3.Error, OSError) as error:
            raise _not_to_be_kept(path, error) from error
        super().__init__(reader, read_statements(), path=path, outage=self.outage)

    async def apply(self, transition: Transition) -> Applied:
        """Write a transition durably, with whatever else comes in the same moment, in one commit.

        Idempotent by its key. Raises ExposureExceeded, MovedOn, AlreadyOpen, BooksBusy and
        LedgerUnbalanced.
        """
        return await self._writer.apply(transition)

    async def ping(self) -> None:
        """Write a page and read nothing, both through the real doors. Raises BooksBusy."""
        await self._writer.apply(None)
        await self.settle_cursor("")

    async def look(self) -> None:
        """While they cannot be written: can they again?"""
        if self.outage.lasts_s:
            with contextlib.suppress(BooksBusy):
                await self.ping()

    async def died(self) -> None:
        """For as long as the writer lives. Raises Broken when it has died."""
        await self._writer.died()

    async def aclose(self) -> None:
        """Write what waits and let go of the file."""
        self.close_reads()
        await self._writer.aclose()


def _begun(path: Path, lock: WriterLock) -> None:
    """The file as it should be, made when there was none. Raises SettingInvalid, BooksDamaged."""
    there = path.exists() and path.stat().st_size > 0
    if lock.begun and not there:
        message = (
            f"{path} is gone or empty, though books were kept there: restore a backup "
            "(docs/operating.md, \u201cThe lost database\u201d); to begin new books on purpose, "
            f"remove {lock_of(path).name} there first"
        )
        raise BooksDamaged(message)
    if there and not refuse_damage(path, within_s=CHECKED_S).whole:
        LOG.warning("the books are large: their first %.0f s were checked", CHECKED_S)
    upgrade(path)
    refuse_missing_tables(path)
    lock.note_begun()


def _connected(files: BooksFiles, *, busy_timeout_s: float) -> sqlite3.Connection:
    """A connection that has written, so that nobody finds out with a caller's ask."""
    connection = connect_writer(files.path, busy_timeout_s=busy_timeout_s)
    try:
        connection.execute("PRAGMA user_version = 1")
    except sqlite3.Error:
        connection.close()
        raise
    files.remember()
    return connection


def _not_to_be_kept(path: Path, error: Exception) -> CobotMeterError:
    if is_damage(error):
        return damaged(path, error)
    message = (
        f"the books at {path} cannot be written ({error}): the file, its directory and their disk "
        "must be writable for the user who runs the service"
    )
    return SettingInvalid(message)
