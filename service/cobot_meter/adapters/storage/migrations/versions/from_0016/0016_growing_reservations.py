"""What is reserved for a sale on credit may grow: how it began, and by how much it has grown.

The reservations of before are their ceilings, and none of them grows. On the way down books in
which one has begun smaller are refused: no schema before this one says what is reserved for it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

COLUMNS = {
    "first_tokens": "BIGINT",
    "overrun_pusd": "BIGINT DEFAULT 0 NOT NULL",
    "extensions": "BIGINT DEFAULT 0 NOT NULL",
    "extended_msat": "BIGINT DEFAULT 0 NOT NULL",
}
GROWING = "SELECT count(*) FROM escrow WHERE first_tokens IS NOT NULL"


def upgrade() -> None:
    """Four columns."""
    for name, kind in COLUMNS.items():
        op.execute(f"ALTER TABLE escrow ADD COLUMN {name} {kind}")


def downgrade() -> None:
    """Without them. Refuses what no row of before can hold."""
    growing = op.get_bind().execute(sa.text(GROWING)).scalar()
    if growing:
        message = (
            f"{growing} sales began with less than their ceiling reserved, and no schema before "
            "0016 can say how much, so restore a copy from before the upgrade"
        )
        raise ValueError(message)
    for name in COLUMNS:
        op.drop_column("escrow", name)
