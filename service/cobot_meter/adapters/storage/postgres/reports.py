"""The reports on one PostgreSQL database, beside running services."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from typing import Any

from cobot_meter.adapters.storage.ledger_rows import made_of
from cobot_meter.adapters.storage.outage import StorageOutage
from cobot_meter.adapters.storage.postgres.connections import Connection, Pool, connections
from cobot_meter.adapters.storage.postgres.faults import CAUGHT, fault_of
from cobot_meter.adapters.storage.postgres.schema import check_schema
from cobot_meter.adapters.storage.reports import StoredReports
from cobot_meter.adapters.storage.sql_text import Statement

SESSIONS_MAX = 4
CHUNK = 256
BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


@asynccontextmanager
async def open_postgres_reports(url: str) -> AsyncIterator[StoredReports]:
    """Open the books for reading. Raises SettingInvalid when there are none to read."""
    await check_schema(url)
    async with connections(url, at_most=SESSIONS_MAX) as pool:
        yield StoredReports(_Sessions(pool).session, database="postgresql")


class _Sessions:
    """Lends connections of one pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._outage = StorageOutage(what="reports of the books cannot be read")

    @asynccontextmanager
    async def session(self) -> AsyncIterator[ReportConnection]:
        """One, given back at the end. Raises BooksBusy."""
        with self._told():
            connection = await self._pool.acquire()
        try:
            yield ReportConnection(connection, told=self._told)
        finally:
            with suppress(*CAUGHT):
                await self._pool.release(connection)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Errors of the database as ours."""
        try:
            yield
        except CAUGHT as error:
            raise fault_of(error, outage=self._outage) from error
        self._outage.over()


class ReportConnection:
    """One connection; implements `storage.reports.Session`."""

    def __init__(
        self, connection: Connection, *, told: Callable[[], AbstractContextManager[None]]
    ) -> None:
        """`connection` is given back by whoever lent it; `told` turns its errors into ours."""
        self._connection = connection
        self._told = told
        self._stands_still = False

    async def all(
        self, made: Callable[[Any], Any], statement: Statement, *values: str | int | bytes
    ) -> tuple[Any, ...]:
        """Everything that `made` makes of the rows."""
        with self._told():
            rows = await self._connection.fetch(statement.sql, *values)
        return tuple(made_of(made([tuple(row) for row in rows])))

    async def stream(
        self, made: Callable[[Any], Any], statement: Statement, *values: str | int | bytes
    ) -> AsyncGenerator[Any, None]:
        """One by one, a chunk of rows in memory at a time, all of one moment.

        A cursor on the server, which lives as long as its transaction: the snapshot's, or its own.
        """
        own = not self._stands_still
        with self._told():
            if own:
                await self._connection.execute(BEGIN)
            cursor = await self._connection.cursor(statement.sql, *values)
        try:
            begun: list[tuple[Any, ...]] = []
            while rows := await self._fetched(cursor):
                whole, begun = _whole([*begun, *rows])
                for value in made_of(made(whole)):
                    yield value
            for value in made_of(made(begun)):
                yield value
        finally:
            if own:
                await self.end()

    async def _fetched(self, cursor: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - no types
        with self._told():
            return [tuple(row) for row in await cursor.fetch(CHUNK)]

    async def begin(self) -> None:
        """See one moment from here on, in every read."""
        with self._told():
            await self._connection.execute(BEGIN)
            await self._connection.fetchval("SELECT 1 FROM journal LIMIT 1")
        self._stands_still = True

    async def end(self) -> None:
        """See what is written from here on; a connection that broke sees nothing anyway."""
        self._stands_still = False
        with suppress(*CAUGHT):
            await self._connection.execute("ROLLBACK")


def _whole(rows: list[tuple[Any, ...]]) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Those of which no more can come, and the last ones of one key, which may go on.

    A journal entry is a row for each of its transfers, all with its number in front.
    """
    end = len(rows)
    while end and rows[end - 1][0] == rows[-1][0]:
        end -= 1
    return rows[:end], rows[end:]
