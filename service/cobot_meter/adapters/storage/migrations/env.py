"""What Alembic runs around every command: our connection, our tables, one transaction.

The connection is passed in by `service/cobot_meter/adapters/storage/migration_run.py`.
"""

from __future__ import annotations

from alembic import context

from cobot_meter.adapters.storage.tables import METADATA

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=METADATA,
    # SQLite cannot alter most things: Alembic copies the table instead.
    render_as_batch=connection.dialect.name == "sqlite",
    # A revision is there as a whole or not at all, on SQLite too.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
