"""Who may read: the least that an API key demands, and what each sale was answered under.

Keys of before demand nothing, and of sales of before it is not known. On the way down books that
have either are refused: the journal's digests have them in, and every audit would ring.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0020"

SALES = "SELECT count(*) FROM escrow WHERE privacy <> ''"
KEYS = "SELECT count(*) FROM api_key WHERE least_privacy <> 'public'"


def upgrade() -> None:
    """One column each."""
    op.execute("ALTER TABLE escrow ADD COLUMN privacy TEXT DEFAULT '' NOT NULL")
    op.execute("ALTER TABLE api_key ADD COLUMN least_privacy TEXT DEFAULT 'public' NOT NULL")


def downgrade() -> None:
    """Without them. Refuses what no row of before can hold."""
    bound = op.get_bind()
    sales, keys = (bound.execute(sa.text(count)).scalar() for count in (SALES, KEYS))
    if sales or keys:
        message = (
            f"{sales} sales and {keys} API keys have a tier of privacy, which no schema before "
            "0023 knows, so restore a copy from before the upgrade"
        )
        raise ValueError(message)
    op.drop_column("api_key", "least_privacy")
    op.drop_column("escrow", "privacy")
