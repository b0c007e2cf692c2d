"""A sale may have several runs: a run names the model that it asks in place of the first one's.

Runs of before each ask the model that their sale was quoted for, and are the only one of it: the
columns are NULL in their rows. A chain of attempts of before stays what it is, sales that name each
other; no entry of the journal changes.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

INSTEAD = {
    "model": "TEXT",
    "because": "TEXT",
    "prompt_pusd": "BIGINT",
    "completion_pusd": "BIGINT",
    "request_pusd": "BIGINT",
    "cache_write_pusd": "BIGINT",
    "reasoning_pusd": "BIGINT",
}
NEWER = "SELECT count(*) FROM escrow WHERE run_id <> escrow_id"


def upgrade() -> None:
    """The model and the unit prices of later runs, and the failure before each."""
    for name, kind in INSTEAD.items():
        op.execute(f"ALTER TABLE run ADD COLUMN {name} {kind}")


def downgrade() -> None:
    """Without them. Refuses what no row of before can hold."""
    newer = op.get_bind().execute(sa.text(NEWER)).scalar()
    if newer:
        message = (
            f"{newer} sales have several runs, and no schema before 0014 can say which model each "
            "of them asked, so restore a copy from before the upgrade"
        )
        raise ValueError(message)
    for name in INSTEAD:
        op.drop_column("run", name)
