"""Tasks: sales of many runs, with a seller beside the buyer.

No sale of before is one, so what is new is NULL in all of them. On the way down books that have had
a task are refused: no schema before this one says whose cap bounds it, or what its fee is.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

OF_SALE = {
    "seller_id": "TEXT",
    "seller_key_id": "TEXT",
    "max_fee_msat": "BIGINT",
    "ends_at_ms": "BIGINT",
    "title": "TEXT",
    "answer_sha256": "TEXT",
    "fee_msat": "BIGINT",
    "provisional_runs": "BIGINT",
}
INDEX = "ix_escrow_task_of_seller"
OPEN = "seller_id IS NOT NULL AND state = 'running'"
TASKS = "SELECT count(*) FROM escrow WHERE seller_id IS NOT NULL"


def upgrade() -> None:
    """Eight columns of sales and one of runs; an index of each seller's open tasks."""
    for name, kind in OF_SALE.items():
        op.execute(f"ALTER TABLE escrow ADD COLUMN {name} {kind}")
    op.execute("ALTER TABLE run ADD COLUMN most_pusd BIGINT")
    op.execute(f"CREATE INDEX {INDEX} ON escrow (seller_id, opened_sequence) WHERE {OPEN}")


def downgrade() -> None:
    """Without them. Refuses what no row of before can hold."""
    tasks = op.get_bind().execute(sa.text(TASKS)).scalar()
    if tasks:
        message = (
            f"{tasks} sales are tasks, and no schema before 0017 can say what their sellers risk "
            "and earn, so restore a copy from before the upgrade"
        )
        raise ValueError(message)
    op.drop_index(INDEX, table_name="escrow")
    op.drop_column("run", "most_pusd")
    for name in OF_SALE:
        op.drop_column("escrow", name)
