"""Why a run of a task asks the model that it asks, where its seller left the choice to the service.

No run of before has said so. On the way down books that have such a run are refused: the entry that
began it holds the decision, and without the column every audit would ring.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"

ROUTED = "SELECT count(*) FROM run WHERE route IS NOT NULL"


def upgrade() -> None:
    """One column."""
    op.execute("ALTER TABLE run ADD COLUMN route TEXT")


def downgrade() -> None:
    """Without it. Refuses what no row of before can hold."""
    routed = op.get_bind().execute(sa.text(ROUTED)).scalar()
    if routed:
        message = (
            f"{routed} runs of tasks asked models that the service chose, and no schema before "
            "0024 can say why, so restore a copy from before the upgrade"
        )
        raise ValueError(message)
    op.drop_column("run", "route")
