"""Why a sale asks the models that it asks, where its caller left the choice to the service.

The sales of before named their models. On the way down books that have had another are refused: an
entry of the journal has the digest of what its sale was opened with, the decision included, and
without it every audit would ring.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

ROUTED = "SELECT count(*) FROM escrow WHERE route IS NOT NULL"


def upgrade() -> None:
    """One column."""
    op.execute("ALTER TABLE escrow ADD COLUMN route TEXT")


def downgrade() -> None:
    """Without it. Refuses what no row of before can hold."""
    routed = op.get_bind().execute(sa.text(ROUTED)).scalar()
    if routed:
        message = (
            f"{routed} sales asked models that the service chose, and no schema before 0019 can "
            "say why, so restore a copy from before the upgrade"
        )
        raise ValueError(message)
    op.drop_column("escrow", "route")
