"""PostgreSQL under load and under kills: nothing waits for itself, is lost, or booked twice."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import asyncpg
import pytest

from cobot_meter.adapters.storage.postgres.books import PostgresBooks, open_postgres_books
from cobot_meter.adapters.storage.postgres.reports import open_postgres_reports
from cobot_meter.domain.errors import BooksBusy
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.transitions.transition import Transition
from cobot_meter.ports.books import Applied, Books
from tests.contracts.books.books_guards import WIDE
from tests.contracts.books.books_samples import RETENTION, Sale, opened
from tests.postgres.cluster import Cluster

REPLICAS = 4
SALES_EACH = 60
HOT_EVERY = 3
EVENTS = 8
PATIENCE_S = 60.0


CUT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


class PatientBooks:
    """Says the same again while the books are busy, as the recorder does."""

    def __init__(self, books: PostgresBooks) -> None:
        self._books = books
        self.repeated = 0

    async def apply(self, transition: Transition) -> Applied:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    applied = await self._books.apply(transition)
                except BooksBusy:
                    await asyncio.sleep(0.05)
                else:
                    self.repeated += applied.repeated
                    return applied


async def sell(books: Books, name: str, number: int) -> None:
    """One whole sale; every third of all is that of one caller."""
    caller_id = "c_hot" if number % HOT_EVERY == 0 else f"c_{name}_{number % 7}"
    sale = Sale(books, opened(f"esc_{name}_{number}", caller_id=caller_id, newcomer=False))
    await sale.open(terms=WIDE)
    await sale.generate()
    await sale.cost()
    await sale.invoice()
    await sale.settle()
    assert sale.escrow.progress is Progress.SETTLED


async def prove_whole(database: str, *, sales: int) -> None:
    """Every account adds up to zero, and every event of every sale stands once."""
    async with open_postgres_reports(database) as reports, reports.snapshot() as now:
        balances = await now.balances()
        kinds = [entry.kind async for entry in now.journal()]
    for commodity in ("msat", "pusd"):
        assert sum(row.net for row in balances if row.commodity == commodity) == 0
    assert len(kinds) == sales * (EVENTS - 1)
    assert kinds.count("invoice_settled") == sales


async def test_pg_load_no_deadlock(cluster: Cluster, database: str) -> None:
    """Row 10: many writers in several pools, callers that all share, and not one deadlock."""
    async with AsyncExitStack() as stack:
        pools = [
            await stack.enter_async_context(open_postgres_books(database, retention=RETENTION))
            for _ in range(REPLICAS)
        ]
        async with asyncio.TaskGroup() as tasks:
            for replica, books in enumerate(pools):
                for number in range(SALES_EACH):
                    tasks.create_task(sell(books, str(replica), number))
    await prove_whole(database, sales=REPLICAS * SALES_EACH)
    query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert cluster.sql(query, database=name_of(database)) == "0"


async def test_two_replicas_book_one_settlement_once(database: str) -> None:
    """Both hear of it at the same moment: one books it, the other finds it booked."""
    async with AsyncExitStack() as stack:
        one, other = [
            await stack.enter_async_context(open_postgres_books(database, retention=RETENTION))
            for _ in range(2)
        ]
        sale = Sale(one, opened("esc_a"))
        await sale.open()
        await sale.generate()
        await sale.cost()
        await sale.invoice()
        told = sale.transition(sale.settlement())
        applied = await asyncio.gather(one.apply(told), other.apply(told))
    assert sorted(each.repeated for each in applied) == [False, True]
    assert {each.escrow for each in applied} == {told.escrow}


@pytest.mark.parametrize("victim", ["its connections", "the server"])
async def test_killed_under_load_nothing_is_lost_or_twice(
    cluster: Cluster, database: str, victim: str
) -> None:
    """What was sent and never answered is said again, and the key decides."""
    async with open_postgres_books(database, retention=RETENTION) as books:
        patient = PatientBooks(books)
        async with asyncio.TaskGroup() as tasks:
            for number in range(SALES_EACH):
                tasks.create_task(sell(patient, "one", number))  # type: ignore[arg-type]
            for _ in range(3):
                await asyncio.sleep(0.15)
                await asyncio.to_thread(kill, cluster, database, victim)
    await prove_whole(database, sales=SALES_EACH)


def name_of(database: str) -> str:
    """The last part of its URL."""
    return database.rpartition("/")[2]


def kill(cluster: Cluster, database: str, victim: str) -> None:
    """Without a warning, and back again."""
    if victim == "the server":
        cluster.kill()
        cluster.start()
        return
    cluster.sql(CUT, database=name_of(database))


async def test_a_lock_that_somebody_holds_does_not_freeze_reads(database: str) -> None:
    """Another program has an account's row: who moves it waits, and reads go on."""
    async with open_postgres_books(database, retention=RETENTION) as books:
        await Sale(books, opened("esc_a", caller_id="c_a")).open()
        holder = await asyncpg.connect(database)
        async with holder.transaction():
            await holder.execute("SELECT 1 FROM account FOR UPDATE")
            waits = asyncio.ensure_future(Sale(books, opened("esc_b", caller_id="c_a")).open())
            assert (await books.standing("c_a")).open_msat > 0
            assert (await books.escrow("esc_a")) is not None
            assert not waits.done()
        assert not (await waits).repeated
        await holder.close()
