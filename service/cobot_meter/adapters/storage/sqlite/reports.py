"""The reports on one SQLite file, beside a running service or without one.

Each runs on a thread with a read-only connection of its own: the event loop goes on, and so does
the writer, because a reader sees the moment at which it began. Must not know: the writer.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import ParamSpec, TypeVar

from cobot_meter.adapters.storage.ledger_rows import made_of
from cobot_meter.adapters.storage.outage import StorageOutage
from cobot_meter.adapters.storage.report_queries import SHA256_HEX
from cobot_meter.adapters.storage.reports import StoredReports
from cobot_meter.adapters.storage.schema import VERSION_TABLE, head, other_schema
from cobot_meter.adapters.storage.sql_text import Statement
from cobot_meter.adapters.storage.sqlite.connections import connect_reader
from cobot_meter.adapters.storage.sqlite.faults import damaged, fault_of, is_damage
from cobot_meter.adapters.storage.sqlite.integrity import refuse_damage, refuse_missing_tables
from cobot_meter.domain.errors import BooksBusy, SettingInvalid

SESSIONS_MAX = 4
# How long a read waits for a session that is free, and for a file that is not.
SESSION_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 5.0
# How many values are made in one go on the thread.
CHUNK = 256

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Value = TypeVar("Value")
Rows = Iterable[tuple[object, ...]]


class ReportSession:
    """One thread, one connection; what is asked of it happens in the order of asking."""

    def __init__(self, path: Path) -> None:
        """Open the file. Raises sqlite3.Error when it cannot be."""
        self._path = path
        self._outage = StorageOutage(what="reports of the books cannot be read")
        self._connection = connect_reader(path, busy_timeout_s=READ_TIMEOUT_S)
        self._connection.create_function(SHA256_HEX, 1, sha256_hex, deterministic=True)
        self._thread = ThreadPoolExecutor(1, "ledger report")

    async def run(
        self, work: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """Do it on the thread. Raises BooksBusy, or BooksDamaged for a file that cannot be read."""
        done = self._thread.submit(work, *args, **kwargs)
        try:
            result = await asyncio.wrap_future(done)
        except sqlite3.Error as error:
            raise fault_of(error, where=self._path, outage=self._outage) from error
        self._outage.over()
        return result

    def execute(self, statement: Statement, *values: str | int | bytes) -> sqlite3.Cursor:
        """On the thread: run a statement."""
        return self._connection.execute(statement.sql, values)

    async def all(
        self,
        made: Callable[[Rows], Iterable[Value]],
        statement: Statement,
        *values: str | int | bytes,
    ) -> tuple[Value, ...]:
        """Everything that `made` makes of the rows."""

        def read() -> tuple[Value, ...]:
            return tuple(made_of(made(self.execute(statement, *values))))

        return await self.run(read)

    async def stream(
        self,
        made: Callable[[Rows], Iterable[Value]],
        statement: Statement,
        *values: str | int | bytes,
    ) -> AsyncGenerator[Value, None]:
        """What `made` makes of the rows, one by one, CHUNK of them in memory, all of one moment."""
        cursor = await self.run(self.execute, statement, *values)
        values_made = iter(made_of(made(cursor)))
        try:
            while chunk := await self.run(_chunk, values_made):
                for value in chunk:
                    yield value
        finally:
            self._thread.submit(cursor.close)

    async def begin(self) -> None:
        """See one moment from here on, in every read."""
        await self.run(self._connection.execute, "BEGIN")
        await self.run(self._connection.execute, "SELECT max(sequence) FROM journal")

    async def end(self) -> None:
        """See what is written from here on."""
        self._thread.submit(self._connection.execute, "ROLLBACK")

    async def aclose(self) -> None:
        """Stop what is being read and let go of the file."""
        self._connection.interrupt()
        self._thread.submit(self._connection.close)
        await asyncio.to_thread(self._thread.shutdown)


class ReportSessions:
    """At most SESSIONS_MAX sessions on one file, opened when they are needed and kept."""

    def __init__(self, path: Path) -> None:
        """`path` must hold books by now."""
        self._path = path
        self._free = asyncio.Semaphore(SESSIONS_MAX)
        self._idle: list[ReportSession] = []
        self._open: list[ReportSession] = []

    @asynccontextmanager
    async def session(self) -> AsyncIterator[ReportSession]:
        """A session of one's own. Raises BooksBusy when none becomes free."""
        try:
            async with asyncio.timeout(SESSION_TIMEOUT_S):
                await self._free.acquire()
        except TimeoutError as error:
            raise BooksBusy("too many reports are being read", retry_after_s=1) from error
        try:
            session = self._idle.pop() if self._idle else await self._opened()
            try:
                yield session
            finally:
                self._idle.append(session)
        finally:
            self._free.release()

    async def aclose(self) -> None:
        """Close them all, those in use too."""
        for session in self._open:
            await session.aclose()

    async def _opened(self) -> ReportSession:
        try:
            session = await asyncio.to_thread(ReportSession, self._path)
        except sqlite3.Error as error:
            outage = StorageOutage(what="reports of the books cannot be read")
            raise fault_of(error, where=self._path, outage=outage) from error
        self._open.append(session)
        return session


def sha256_hex(stored: bytes | None) -> str | None:
    """What SQL has under SHA256_HEX: PostgreSQL has a function of its own."""
    return None if stored is None else hashlib.sha256(stored).hexdigest()


def _chunk(values: Iterator[Value]) -> list[Value]:
    return list(itertools.islice(values, CHUNK))


NO_WAY_IN = "cannot be read: it and its directory must be writable, for its log lies beside it"


@asynccontextmanager
async def open_sqlite_reports(
    path: Path, *, checked_s: float = 0.0
) -> AsyncIterator[StoredReports]:
    """Open the books at `path` for reading; their pages are looked at first, for so long.

    Raises SettingInvalid when there are none to read, BooksDamaged when they cannot be read.
    """
    await asyncio.to_thread(_check_readable, path)
    if checked_s:
        await asyncio.to_thread(refuse_damage, path, within_s=checked_s)
        await asyncio.to_thread(refuse_missing_tables, path)
    sessions = ReportSessions(path)
    try:
        yield StoredReports(sessions.session, database="sqlite")
    finally:
        await sessions.aclose()


def _check_readable(path: Path) -> None:
    """Books of this version, or one line that says what is wrong."""
    if not path.exists():
        raise SettingInvalid(f"there are no books at {path}: start the service once to make them")
    try:
        with closing(connect_reader(path, busy_timeout_s=1.0)) as connection:
            found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.DatabaseError as error:
        if is_damage(error) and VERSION_TABLE not in str(error):
            raise damaged(path, error) from error
        problem = "holds no books of this service" if VERSION_TABLE in str(error) else NO_WAY_IN
        raise SettingInvalid(f"{path} {problem}: {error}") from error
    if found != (head(),):
        raise other_schema(path, found and found[0])
