"""API keys: a table of them, and the key that a sale was asked with in the sale's row.

Sales from before have none. On the way down what the keys were goes away, their entries in the
journal stay; books whose sales name a key are refused, for their reservations would be nobody's.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

KEYED_SALES = "SELECT count(*) FROM escrow WHERE key_id IS NOT NULL"


def upgrade() -> None:
    """One table and one column."""
    key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "api_key",
        sa.Column("key_id", key, nullable=False),
        sa.Column("caller_id", sa.Text(), nullable=False),
        sa.Column("made_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("secret_sha256", sa.Text(), nullable=False),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.Column("rotations", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("limit_msat", sa.BigInteger(), nullable=True),
        sa.Column("day_limit_msat", sa.BigInteger(), nullable=True),
        sa.Column("models", sa.Text(), nullable=False),
        sa.Column("opened_sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key_id", name="pk_api_key"),
    )
    op.create_index("uq_api_key_opened", "api_key", ["opened_sequence"], unique=True)
    op.create_index("uq_api_key_secret", "api_key", ["secret_sha256"], unique=True)
    op.create_index("ix_api_key_of_caller", "api_key", ["caller_id", "opened_sequence"])
    op.execute("ALTER TABLE escrow ADD COLUMN key_id TEXT")


def downgrade() -> None:
    """Without keys. Refuses where one has asked for something."""
    keyed = op.get_bind().execute(sa.text(KEYED_SALES)).scalar()
    if keyed:
        message = (
            f"{keyed} sales were asked with an API key, which no schema before 0015 knows, so "
            "restore a copy from before the upgrade"
        )
        raise ValueError(message)
    op.drop_column("escrow", "key_id")
    op.drop_table("api_key")
