"""Brings a PostgreSQL database to the schema of this version, one process at a time.

Must not know: what is in a revision.
"""

from __future__ import annotations

import importlib

import asyncpg
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from service.adapters.storage.migrate import HEAD
from service.adapters.storage.postgres_connections import (
    CALL_S,
    CONNECT_S,
    UPGRADING,
    WRONG,
    shown,
    unreachable,
)
from service.domain.errors import SettingInvalid


async def upgrade_postgres(url: str, revision: str = HEAD) -> None:
    """Make or update the tables. Raises SettingInvalid for a database that cannot be used."""
    if await found_schema(url) == revision:
        return

    def migrate(connection: Connection) -> None:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({UPGRADING})")
        run = importlib.import_module("service.adapters.storage.migration_run")
        run.upgrade_on(connection, revision)

    await _run(url, migrate)


async def downgrade_postgres(url: str, revision: str) -> None:
    """Go down to `revision`; `base` drops everything. For tests, and operators who mean it."""

    def migrate(connection: Connection) -> None:
        run = importlib.import_module("service.adapters.storage.migration_run")
        run.downgrade_on(connection, revision)

    await _run(url, migrate)


async def check_schema(url: str) -> None:
    """Return when the database has the tables of this version. Raises SettingInvalid."""
    found = await found_schema(url)
    if found is None:
        message = f"{shown(url)} holds no books yet: `cobot-meter db upgrade` makes them"
        raise SettingInvalid(message)
    if found != HEAD:
        message = (
            f"the books in {shown(url)} have schema {found} and this version reads {HEAD}: "
            "`cobot-meter db upgrade` brings them up to date"
        )
        raise SettingInvalid(message)


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
