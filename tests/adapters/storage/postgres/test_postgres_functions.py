"""What PostgreSQL runs of ours is what the revision that it is at says."""

from __future__ import annotations

import asyncpg

from cobot_meter.adapters.storage.postgres.schema import downgrade_postgres, upgrade_postgres
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
