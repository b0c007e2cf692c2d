"""Budgets: which accounts of budgets count a sale, in the sale's row.

What owners have said of their budgets are entries of the journal, and what counts against them are
accounts: neither needs a table. No sale of before counts against one. On the way down books in
which one does are refused: no schema before this one knows whose those reservations are.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

BUDGETED = "SELECT count(*) FROM escrow WHERE budgets <> ''"


def upgrade() -> None:
    """One column."""
    op.execute("ALTER TABLE escrow ADD COLUMN budgets TEXT DEFAULT '' NOT NULL")


def downgrade() -> None:
    """Without it. Refuses what no row of before can hold."""
    budgeted = op.get_bind().execute(sa.text(BUDGETED)).scalar()
    if budgeted:
        message = (
            f"{budgeted} sales count against budgets, which no schema before 0020 knows, so "
            "restore a copy from before the upgrade"
        )
        raise ValueError(message)
    op.drop_column("escrow", "budgets")
