"""Brings a PostgreSQL database to the schema of this version, one process at a time."""

from __future__ import annotations

import asyncpg
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from cobot_meter.adapters.storage.postgres.connections import (
    CALL_S,
    CONNECT_S,
    UPGRADING,
    WRONG,
    shown,
    unreachable,
)
from cobot_meter.adapters.storage.postgres.faults import CAUGHT
from cobot_meter.adapters.storage.postgres.row_writer import WRITER_NOW, row_writer, writer_body
from cobot_meter.adapters.storage.schema import head, other_schema
from cobot_meter.adapters.storage.tables import METADATA
from cobot_meter.domain.errors import BooksDamaged, SettingInvalid

MISSING = "SELECT name FROM unnest($1::TEXT[]) AS name WHERE to_regclass(name) IS NULL LIMIT 1"
# What PostgreSQL alone has.
OWN_TABLES = ("operator_leg", "journal_leg")


async def upgrade_postgres(url: str, revision: str = "") -> None:
    """Make or update the tables. Raises SettingInvalid for a database that cannot be used."""
    revision = revision or head()
    found = await found_schema(url)
    if found == revision and (revision != head() or await _writes_rows(url)):
        return
    if found is not None and found > head():
        raise other_schema(shown(url), found)

    def migrate(connection: Connection) -> None:
        from cobot_meter.adapters.storage.migration_run import upgrade_on

        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({UPGRADING})")
        upgrade_on(connection, revision)
        if revision == head():
            connection.exec_driver_sql(row_writer())

    await _run(url, migrate)


async def downgrade_postgres(url: str, revision: str) -> None:
    """Go down to `revision`; `base` drops everything. For tests, and operators who mean it."""

    def migrate(connection: Connection) -> None:
        from cobot_meter.adapters.storage.migration_run import downgrade_on

        downgrade_on(connection, revision)

    await _run(url, migrate)


async def check_schema(url: str) -> None:
    """Return when the database has the tables of this version. Raises SettingInvalid."""
    found = await found_schema(url)
    if found is None:
        message = f"{shown(url)} holds no books yet: `cobot-meter db upgrade` makes them"
        raise SettingInvalid(message)
    if found != head():
        raise other_schema(shown(url), found)
    await _refuse_missing_tables(url)
    if not await _writes_rows(url):
        message = (
            f"the function write_rows in {shown(url)} is not the one of this version: stop the "
            "services on it and run `cobot-meter db upgrade`"
        )
        raise SettingInvalid(message)


async def _writes_rows(url: str) -> bool:
    """Whether rows are written there as this version writes them."""
    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_S, command_timeout=CALL_S)
    except WRONG as fault:
        raise unreachable(url, fault) from None
    try:
        found: str | None = await connection.fetchval(WRITER_NOW)
    except CAUGHT as fault:
        raise unreachable(url, fault) from None
    else:
        return found == writer_body()
    finally:
        await connection.close()


async def _refuse_missing_tables(url: str) -> None:
    """Raises BooksDamaged when a table of this version is not there."""
    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_S, command_timeout=CALL_S)
    except WRONG as fault:
        raise unreachable(url, fault) from None
    try:
        missing = await connection.fetchval(MISSING, [*METADATA.tables, *OWN_TABLES])
    finally:
        await connection.close()
    if missing is not None:
        message = (
            f"the books in {shown(url)} are damaged (there is no table {missing}): stop the "
            "service and restore a backup (docs/operating.md, \u201cThe damaged file\u201d)"
        )
        raise BooksDamaged(message)


async def found_schema(url: str) -> str | None:
    """The revision that the database is at; None when it has no tables of ours."""
    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_S, command_timeout=CALL_S)
    except WRONG as fault:
        raise unreachable(url, fault) from None
    try:
        found: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    except asyncpg.UndefinedTableError:
        return None
    except CAUGHT as fault:
        raise unreachable(url, fault) from None
    else:
        return found
    finally:
        await connection.close()


async def _run(url: str, migrate: object) -> None:
    # The driver reads the address itself: the toolkit knows fewer of its options.
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: asyncpg.connect(url, timeout=CONNECT_S),
        poolclass=NullPool,
    )
    try:
        async with engine.begin() as connection:
            await connection.run_sync(migrate)  # type: ignore[arg-type]
    except DBAPIError as fault:
        said = str(fault.orig).partition("\n")[0].rpartition(">: ")[2]
        message = f"{shown(url)} cannot be given the tables of this version: {said}"
        raise SettingInvalid(message) from None
    finally:
        await engine.dispose()
