"""The books in one PostgreSQL database: the port `Books` over batches and keyed reads.

Several processes may write at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from cobot_meter.adapters.storage.keyed_reads import KeyedReads
from cobot_meter.adapters.storage.outage import StorageOutage
from cobot_meter.adapters.storage.postgres.connections import Pool, connections
from cobot_meter.adapters.storage.postgres.faults import CAUGHT, fault_of
from cobot_meter.adapters.storage.postgres.schema import check_schema, upgrade_postgres
from cobot_meter.adapters.storage.postgres.writer import WORKERS, PostgresWriter
from cobot_meter.adapters.storage.read_queries import read_statements
from cobot_meter.adapters.storage.sql_text import Statement
from cobot_meter.domain.errors import BooksBusy
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.retention import Retention
from cobot_meter.domain.transitions.transition import Transition
from cobot_meter.ports.books import Applied

# A write that changes nothing, and that a standby, a full disk or a lost right refuses.
PROVE = "UPDATE secret_mark SET mark = mark WHERE number = 1"
CONNECTIONS_MAX = 12
DRAIN_S = 10.0


@asynccontextmanager
async def open_postgres_books(
    url: str, *, retention: Retention, upgrading: bool = True
) -> AsyncIterator[PostgresBooks]:
    """Open the books for writing, made or brought up to date first unless told not to.

    Raises SettingInvalid when the database cannot be used, or is of another version.
    """
    if upgrading:
        await upgrade_postgres(url)
    await check_schema(url)
    async with connections(url, at_most=CONNECTIONS_MAX) as pool:
        books = PostgresBooks(pool, retention=retention)
        async with asyncio.TaskGroup() as tasks:
            working = [tasks.create_task(work) for work in books.workers()]
            try:
                yield books
            finally:
                await books.finish()
                for task in working:
                    task.cancel()
                books.let_go()


class PostgresBooks(KeyedReads):
    """The port `Books`; made by `open_postgres_books`, which runs its workers."""

    def __init__(self, pool: Pool, *, retention: Retention) -> None:
        """`pool` is not closed here."""
        super().__init__(read_statements("postgresql"))
        self._pool = pool
        self.outage = StorageOutage(what="the books cannot be written")
        self._writer = PostgresWriter(
            pool, retention=retention, stands=self._as_it_stands, outage=self.outage
        )

    def workers(self) -> list[Any]:
        """What must run while the books are open."""
        return [*map(self._writer.work, range(WORKERS)), self._writer.roll_up()]

    async def finish(self) -> None:
        """Write what waits, for a while."""
        try:
            async with asyncio.timeout(DRAIN_S):
                await self._writer.finish()
        except TimeoutError:
            pass  # the database is away: who waits is cancelled with its task

    def let_go(self) -> None:
        """Tell whoever still waits that nothing more is written."""
        self._writer.let_go()

    async def apply(self, transition: Transition) -> Applied:
        """Write a transition durably, as a whole or not at all, by one of a few workers.

        Idempotent by its key. Raises ExposureExceeded, MovedOn, AlreadyOpen, LedgerUnbalanced, and
        BooksBusy, after which the key decides whether it was written.
        """
        return await self._writer.apply(transition)

    async def ping(self) -> None:
        """Write what stands, through the real door. Raises BooksBusy."""
        try:
            await self._pool.execute(PROVE)
        except CAUGHT as error:
            raise fault_of(error, outage=self.outage) from error
        self.outage.over()

    async def look(self) -> None:
        """While they are away: are they back?"""
        if self.outage.lasts_s:
            with contextlib.suppress(BooksBusy):
                await self.ping()

    async def _rows(self, statement: Statement, *values: str | int | bytes) -> list[Any]:
        self.outage.spare()
        try:
            return [tuple(row) for row in await self._pool.fetch(statement.sql, *values)]
        except CAUGHT as error:
            raise fault_of(error, outage=self.outage) from error

    async def _as_it_stands(self, transition: Transition) -> Applied:
        """The rows of a transition that the journal has already."""
        escrow, topup, api_key = transition.escrow, transition.topup, transition.api_key
        return Applied(
            repeated=True,
            escrow=await self._again(escrow) if escrow else None,
            topup=await self.topup(topup.topup_id) if topup else None,
            api_key=await self.api_key(api_key.key_id) if api_key else None,
        )

    async def _again(self, told: Escrow) -> Escrow | None:
        if told.looks_back:
            return await self.escrow_of_run(told.run.run_id)
        return await self.escrow(told.escrow_id)
