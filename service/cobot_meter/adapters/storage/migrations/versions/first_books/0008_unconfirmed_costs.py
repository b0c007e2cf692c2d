"""Costs that only an answer told of, found by an index; PostgreSQL's count of entries set right.

What such a cost was told too high is what a comparison with the upstream's usage may take back. The
count is what tells a deleted entry from a number that PostgreSQL gave and never used; books that
were copied from SQLite began to count at their copying.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

UNCONFIRMED = sa.text("cost_standing = 'provisional'")
COUNT = """
INSERT INTO tally (name, entries)
SELECT 'journal', (SELECT count(*) FROM journal)
  - coalesce((SELECT sum(entries) FROM journal_leg), 0)
WHERE EXISTS (SELECT 1 FROM journal)
ON CONFLICT (name) DO UPDATE SET entries = excluded.entries
"""


def upgrade() -> None:
    """The index on both databases; the count where there is one."""
    op.create_index(
        "ix_escrow_unconfirmed",
        "escrow",
        ["cost_pusd"],
        sqlite_where=UNCONFIRMED,
        postgresql_where=UNCONFIRMED,
    )
    if op.get_context().dialect.name == "postgresql":
        op.execute(COUNT)


def downgrade() -> None:
    """The count stays: it is as right as before, or more so."""
    op.drop_index("ix_escrow_unconfirmed", "escrow")
