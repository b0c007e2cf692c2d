"""Brings a database to the schema of this version, and says which one it has.

Alembic is loaded only when there is something to do: it would cost every start a third of a second.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import DatabaseError, ProgrammingError
from sqlalchemy.pool import NullPool

from cobot_meter.adapters.storage.schema import head, other_schema
from cobot_meter.adapters.storage.sqlite.faults import damaged, is_damage
from cobot_meter.domain.errors import SettingInvalid

LOG = logging.getLogger(__name__)


def upgrade(database: Path | str) -> None:
    """Make or update the tables of a SQLite file (a path) or another database (a URL).

    Raises SettingInvalid for books that this version cannot read.
    """
    if isinstance(database, Path) and not database.exists():
        os.close(os.open(database, os.O_CREAT | os.O_WRONLY, 0o600))
    engine = engine_for(database)
    try:
        found = found_revision(engine)
        if found != head():
            _keep_a_copy(database, found)
            from cobot_meter.adapters.storage.migration_run import run_upgrade

            run_upgrade(engine, head())
    finally:
        engine.dispose()


def _keep_a_copy(database: Path | str, found: str | None) -> None:
    """Older books in a file are copied before they are changed, and that is said.

    Raises SettingInvalid for newer ones, and when there is no room for the copy.
    """
    if found is not None and found > head():
        raise other_schema(database, found)
    if found is None or not isinstance(database, Path):
        return
    copy = database.with_name(f"{database.name}.before-{head()}")
    from cobot_meter.adapters.storage.sqlite.backup import back_up

    back_up(database, copy)
    LOG.warning(
        "%s goes from schema %s to %s; as it was it is kept in %s",
        database,
        found,
        head(),
        copy.name,
    )


def found_revision(engine: Engine) -> str | None:
    """The revision that the database is at; None when it has no tables of ours.

    Raises SettingInvalid when it cannot be opened at all.
    """
    try:
        with engine.connect() as connection:
            return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    except DatabaseError as error:
        no_table = isinstance(error, ProgrammingError) or "no such table" in str(error.orig)
        if no_table:
            return None
        if error.orig is not None and is_damage(error.orig):
            raise damaged(engine.url.database, error.orig) from error
        message = f"{engine.url.database} cannot be opened as books: {error.orig}"
        raise SettingInvalid(message) from error


def engine_for(database: Path | str) -> Engine:
    """An engine for migrations, whose every transaction holds the write lock."""
    if not isinstance(database, Path):
        return create_engine(database, poolclass=NullPool)
    engine = create_engine(URL.create("sqlite", database=str(database)), poolclass=NullPool)
    event.listen(engine, "connect", _leave_transactions_to_us)
    event.listen(engine, "begin", _begin)
    return engine


def _leave_transactions_to_us(connection: object, _record: object) -> None:
    # The driver would commit by itself before every statement that makes a table.
    connection.isolation_level = None  # type: ignore[attr-defined]


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
