"""Runs Alembic from inside the program; loaded only where there is something to do."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Engine
from sqlalchemy.engine import Connection

from cobot_meter.domain.errors import SettingInvalid

SCRIPTS = Path(__file__).with_name("migrations")


def run_upgrade(engine: Engine, revision: str) -> None:
    """Go up to `revision`. Raises SettingInvalid for a revision that is not among ours."""
    with engine.connect() as connection:
        upgrade_on(connection, revision)


def run_downgrade(engine: Engine, revision: str) -> None:
    """Go down to `revision`; `base` drops everything."""
    with engine.connect() as connection:
        downgrade_on(connection, revision)


def upgrade_on(connection: Connection, revision: str) -> None:
    """Go up to `revision` on an open connection. Raises SettingInvalid for none of ours."""
    try:
        command.upgrade(configured(connection), revision)
    except CommandError as error:
        message = f"the books were written by another version of this service: {error}"
        raise SettingInvalid(message) from error


def downgrade_on(connection: Connection, revision: str) -> None:
    """Go down to `revision` on an open connection; `base` drops everything."""
    command.downgrade(configured(connection), revision)


def configured(connection: Connection) -> Config:
    """What Alembic needs to know to work through this connection."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("recursive_version_locations", "true")
    config.attributes["connection"] = connection
    return config
