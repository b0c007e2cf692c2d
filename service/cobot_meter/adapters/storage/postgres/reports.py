"""The reports on one PostgreSQL database, beside running services."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from typing import Any

from cobot_meter.adapters.storage.ledger_rows import made_of
from cobot_meter.adapters.storage.outage import Outage
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
        self._outage = Outage(what="reports of the books cannot be read")

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
    """One connection; implements `stored_reports.Session`."""

    def __init__(
        self, connection: Connection, *, told: Callable[[], AbstractContextManager[None]]
    ) -> None:
        """`connection` is given back by whoever lent it; `told` turns its errors into ours."""
        self._connection = connection
        self._told = told

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
        """Read in one go of one statement, and so of one moment; made one by one."""
        with self._told():
            rows = await self._connection.fetch(statement.sql, *values, timeout=None)
        for value in made_of(made(tuple(row) for row in rows)):
            yield value

    async def begin(self) -> None:
        """See one moment from here on, in every read."""
        with self._told():
            await self._connection.execute(BEGIN)
            await self._connection.fetchval("SELECT 1 FROM journal LIMIT 1")

    async def end(self) -> None:
        """See what is written from here on; a connection that broke sees nothing anyway."""
        with suppress(*CAUGHT):
            await self._connection.execute("ROLLBACK")
