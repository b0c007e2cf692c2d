"""What PostgreSQL alone can refuse, and what it must not cost anybody else."""

from __future__ import annotations

import asyncio

import pytest

from cobot_meter.adapters.storage.postgres.books import PostgresBooks, open_postgres_books
from cobot_meter.adapters.storage.postgres.reports import open_postgres_reports
from cobot_meter.adapters.storage.postgres.session import refuse_another_secret
from cobot_meter.adapters.storage.secret_marks import SecretProof
from cobot_meter.domain.errors import BooksBusy, SettingInvalid
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run.record import Failure
from tests.contracts.books.books_samples import RETENTION, Sale, opened
from tests.postgres.cluster import Cluster

ROLL_UP = "SELECT roll_up_legs()"
LEGS = "SELECT count(*) FROM operator_leg"
READ = "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'uq_transfer_reserved'"
CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"


def name_of(database: str) -> str:
    """The last part of its URL."""
    return database.rpartition("/")[2]


async def begin(books: PostgresBooks, name: str) -> Sale:
    """A sale whose request was sent."""
    sale = Sale(books, opened(f"esc_{name}", caller_id=f"c_{name}"))
    await sale.open()
    await sale.record(ran.UpstreamRequested(requested_by="r_one"))
    return sale


async def go_on(sale: Sale) -> None:
    """The upstream began to answer it."""
    await sale.record(ran.GenerationStarted(generation_id=f"gen-{sale.escrow.escrow_id}"))


async def test_a_window_of_releases_only_is_rolled_up(cluster: Cluster, database: str) -> None:
    """Legs whose sum is negative go into their accounts, which stand as they stood."""
    name = name_of(database)
    async with open_postgres_books(database, retention=RETENTION) as books:
        sale = await begin(books, "a")
        cluster.sql(ROLL_UP, database=name)
        failure = Failure(code="upstream_refused", message="no")
        await sale.record(ran.RunFailed(failure=failure, charged=False))
        async with open_postgres_reports(database) as reports:
            before = await reports.balances()
            cluster.sql(ROLL_UP, database=name)
            assert await reports.balances() == before
    assert cluster.sql(LEGS, database=name) == "0"


async def test_an_account_that_cannot_be_rolled_up_stops_no_other(
    cluster: Cluster, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A leg that no row can take is logged once and stays; all the others go in."""
    name = name_of(database)
    bad = "INSERT INTO operator_leg VALUES ('cost/failed', 'pusd', 'expense', -1, 0, 0, 0)"
    cluster.sql(bad, database=name)
    async with open_postgres_books(database, retention=RETENTION) as books:
        await (await begin(books, "a")).record(
            ran.RunFailed(failure=Failure(code="upstream_refused", message="no"), charged=False)
        )
        async with asyncio.timeout(20):
            while not caplog.records or cluster.sql(LEGS, database=name) != "1":  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        await go_on(await begin(books, "b"))
        async with asyncio.timeout(20):
            while cluster.sql(LEGS, database=name) != "1":  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    said = [record.getMessage() for record in caplog.records]
    assert [line for line in said if "rolled up" in line] == said
    assert len(said) == 1
    assert "cost/failed" in said[0]


async def test_a_server_that_only_reads_is_busy(cluster: Cluster, database: str) -> None:
    """After a fail-over to a standby nothing is written, nothing is broken, and it goes on."""
    name = name_of(database)
    read_only = f"ALTER DATABASE {name} SET default_transaction_read_only = "
    async with open_postgres_books(database, retention=RETENTION) as books:
        sale = Sale(books, opened("esc_a"))
        cluster.sql(read_only + "on")
        cluster.sql(CUT.format(name=name))
        for _ in range(3):
            with pytest.raises(BooksBusy):
                await sale.open()
        cluster.sql(read_only + "off")
        cluster.sql(CUT.format(name=name))
        async with asyncio.timeout(10):
            while sale.transitions == []:
                try:
                    await sale.open()
                except BooksBusy:
                    await asyncio.sleep(0.05)
        assert await books.escrow("esc_a") == sale.escrow


async def test_a_server_that_only_reads_stops_the_start(cluster: Cluster, database: str) -> None:
    """A standby is no place to begin at: one sentence, exit 2."""
    cluster.sql(f"ALTER DATABASE {name_of(database)} SET default_transaction_read_only = on")
    proof = SecretProof(mark="a mark", payment_hash=lambda *_: "")
    with pytest.raises(SettingInvalid, match="cannot be used: cannot execute INSERT"):
        await refuse_another_secret(database, proof)


async def test_reservations_are_found_by_key_as_books_grow(cluster: Cluster, database: str) -> None:
    """Plans from when the books were empty do not walk them: a hold costs a row or two."""
    sales = 60
    async with open_postgres_books(database, retention=RETENTION) as books:
        for number in range(sales):
            sale = await begin(books, str(number))
            failure = Failure(code="upstream_refused", message="no")
            await sale.record(ran.RunFailed(failure=failure, charged=False))
    read = int(cluster.sql(READ, database=name_of(database)) or 0)
    assert read <= 10 * sales
