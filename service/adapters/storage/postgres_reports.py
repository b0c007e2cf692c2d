"""The reports on one PostgreSQL database, beside running services.

Must not know: which reads there are, or who writes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from service.adapters.storage.compiled import Statement
from service.adapters.storage.postgres_connections import (
    AWAY,
    Connection,
    Pool,
    busy,
    connections,
)
from service.adapters.storage.postgres_schema import check_schema
from service.adapters.storage.stored_reports import StoredReports

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

    @asynccontextmanager
    async def session(self) -> AsyncIterator[ReportConnection]:
        """One, given back at the end. Raises BooksBusy."""
        try:
            connection = await self._pool.acquire()
        except AWAY as fault:
            raise busy(fault) from fault
        try:
            yield ReportConnection(connection)
        finally:
            await self._pool.release(connection)


class ReportConnection:
    """One connection; implements `stored_reports.Session`."""

    def __init__(self, connection: Connection) -> None:
        """`connection` is given back by whoever lent it."""
        self._connection = connection

    async def all(
        self, made: Callable[[Any], Any], statement: Statement, *values: str | int
    ) -> tuple[Any, ...]:
        """Everything that `made` makes of the rows."""
        try:
            rows = await self._connection.fetch(statement.sql, *values)
        except AWAY as fault:
            raise busy(fault) from fault
        return tuple(made([tuple(row) for row in rows]))

    async def stream(
        self, made: Callable[[Any], Any], statement: Statement, *values: str | int
    ) -> AsyncGenerator[Any, None]:
        """Read in one go of one statement, and so of one moment; made one by one."""
        try:
            rows = await self._connection.fetch(statement.sql, *values, timeout=None)
        except AWAY as fault:
            raise busy(fault) from fault
        for value in made(tuple(row) for row in rows):
            yield value

    async def begin(self) -> None:
        """See one moment from here on, in every read."""
        await self._connection.execute(BEGIN)
        await self._connection.fetchval("SELECT 1 FROM journal LIMIT 1")

    async def end(self) -> None:
        """See what is written from here on."""
        await self._connection.execute("ROLLBACK")
