"""Reports on PostgreSQL come through a cursor: a table is never in memory as a whole."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from cobot_meter.adapters.storage.postgres.books import open_postgres_books
from cobot_meter.adapters.storage.postgres.reports import CHUNK, open_postgres_reports
from cobot_meter.ports.ledger_reports import JournalEntry
from tests.contracts.books.books_samples import RETENTION, Sale, give_credit, opened
from tests.postgres.cluster import Cluster

SALES = 8
GIFTS = 85
READING = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"


async def filled(database: str) -> None:
    """Books whose journal takes several chunks."""
    async with open_postgres_books(database, retention=RETENTION) as books:
        for number in range(GIFTS):
            caller_id = f"c_{number % SALES:03}"
            await give_credit(books, caller_id=caller_id, amount_msat=1_000, name=f"{number}")
        for number in range(SALES):
            sale = Sale(books, opened(f"esc_{number:03}", caller_id=f"c_{number:03}"))
            await sale.open()
            await sale.generate()
            await sale.cost()


async def test_an_entry_is_whole_wherever_a_chunk_ends(database: str) -> None:
    """The journal as it streams is what its callers' statements hold, transfer for transfer."""
    await filled(database)
    async with open_postgres_reports(database) as reports:
        streamed = [entry async for entry in reports.journal()]
        kept: list[JournalEntry] = []
        for number in range(SALES):
            kept += await reports.statement(f"c_{number:03}", before=None, limit=1_000)
        rows = [entry.sequence for entry in streamed for _ in entry.transfers or (None,)]
        assert rows[CHUNK - 1] == rows[CHUNK], "no entry lies across the end of a chunk"
        assert [one for one in streamed if one.caller_id] == sorted(
            kept, key=lambda entry: entry.sequence
        )
        async with reports.snapshot() as still:
            assert [entry async for entry in still.journal()] == streamed


async def test_a_stream_lets_go_of_its_transaction(database: str, cluster: Cluster) -> None:
    """Half read it has a cursor open on the server; left, it has not, and can be read again."""
    await filled(database)
    name = database.rpartition("/")[2]

    async def open_cursors() -> int:
        here = f"{READING} AND datname = '{name}'"
        return int(await asyncio.to_thread(cluster.sql, here, database=name))

    async with open_postgres_reports(database) as reports:
        for _ in range(6):
            async with aclosing(reports.journal()) as stream:  # type: ignore[type-var]
                await anext(stream)
                assert await open_cursors() == 1
            assert await open_cursors() == 0
        assert len([entry async for entry in reports.journal()]) > GIFTS
