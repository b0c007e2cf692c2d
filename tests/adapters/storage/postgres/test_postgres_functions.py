"""What PostgreSQL runs of ours is what the revision that it is at says."""

from __future__ import annotations

import asyncpg
import pytest

from cobot_meter.adapters.storage.postgres.books import open_postgres_books
from cobot_meter.adapters.storage.postgres.reports import open_postgres_reports
from cobot_meter.adapters.storage.postgres.schema import downgrade_postgres, upgrade_postgres
from tests.contracts.books.books_samples import RETENTION, Sale, opened
from tests.contracts.books.books_tasks import sold_task
from tests.domain.samples import SELLER
from tests.postgres.cluster import Cluster

BEFORE = "0010"
FUNCTIONS = """
SELECT proname, prosrc FROM pg_proc JOIN pg_language ON pg_language.oid = prolang
WHERE lanname = 'plpgsql' AND pronamespace = 'public'::REGNAMESPACE
"""


async def functions(url: str) -> dict[str, str]:
    """The text of each, however it is broken into lines."""
    connection = await asyncpg.connect(url)
    try:
        return {name: " ".join(text.split()) for name, text in await connection.fetch(FUNCTIONS)}
    finally:
        await connection.close()


async def test_the_way_down_gives_back_the_functions_of_before(
    cluster: Cluster, database: str
) -> None:
    """An older version finds those that it was written for, and the way up makes ours again."""
    ours = await functions(database)
    older = cluster.new_database()
    await upgrade_postgres(older, BEFORE)
    assert "write_escrow" in await functions(older)
    await downgrade_postgres(database, BEFORE)
    assert await functions(database) == await functions(older)
    await upgrade_postgres(database)
    assert await functions(database) == ours
    assert "write_escrow" not in ours


async def test_what_was_sold_before_0018_is_in_its_sellers_statement(database: str) -> None:
    """The journal's new column is filled on the way up, and refuses changes as before."""
    async with open_postgres_books(database, retention=RETENTION) as books:
        await Sale(books, opened("esc_other")).sell()
        await sold_task(books)
    async with open_postgres_reports(database) as reports:
        before = await reports.statement(SELLER, before=None, limit=100)
    assert before
    await downgrade_postgres(database, "0017")
    await upgrade_postgres(database)
    async with open_postgres_reports(database) as reports:
        assert await reports.statement(SELLER, before=None, limit=100) == before
    connection = await asyncpg.connect(database)
    try:
        with pytest.raises(asyncpg.RaiseError, match="insert-only"):
            await connection.execute("UPDATE journal SET seller_id = NULL")
    finally:
        await connection.close()
