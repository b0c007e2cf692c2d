"""Why a sale asks the models that it asks, where its caller left the choice to the service.

The sales of before named their models. On the way down the decisions go: the sales they led to
have their models and prices in columns of their own, and stand as they stood.
"""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """One column."""
    op.execute("ALTER TABLE escrow ADD COLUMN route TEXT")


def downgrade() -> None:
    """Without it."""
    op.drop_column("escrow", "route")
