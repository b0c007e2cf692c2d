"""Which node the books belong to, and idempotency keys that open one escrow for ever.

Books from before had keys that were unique only while their escrow lived. Should one have been
used twice, its first use keeps it: that is the one that was found by it all along.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"

KEY = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
OCCUPIED = sa.text("occupies_ask = 1")
KEYED = sa.text("idempotency_key IS NOT NULL")
FIRST_USE_KEEPS_IT = """
UPDATE escrow SET idempotency_key = NULL
WHERE idempotency_key IS NOT NULL AND EXISTS (
  SELECT 1 FROM escrow AS earlier
  WHERE earlier.idempotency_key = escrow.idempotency_key
    AND earlier.opened_sequence < escrow.opened_sequence
)
"""


def upgrade() -> None:
    """Make the table, and one index out of two."""
    op.create_table(
        "node_adoption",
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("pubkey", KEY, nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("alias", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_node_adoption")),
        sqlite_with_rowid=False,
    )
    op.execute(FIRST_USE_KEEPS_IT)
    op.drop_index("uq_escrow_idempotency_open", "escrow")
    op.drop_index("ix_escrow_idempotency", "escrow")
    op.create_index(
        "uq_escrow_idempotency",
        "escrow",
        ["idempotency_key"],
        unique=True,
        sqlite_where=KEYED,
        postgresql_where=KEYED,
    )


def downgrade() -> None:
    """The books forget their node; the keys they have stay as they are."""
    op.drop_index("uq_escrow_idempotency", "escrow")
    op.create_index(
        "ix_escrow_idempotency",
        "escrow",
        ["idempotency_key", "opened_sequence"],
        sqlite_where=KEYED,
        postgresql_where=KEYED,
    )
    op.create_index(
        "uq_escrow_idempotency_open",
        "escrow",
        ["idempotency_key"],
        unique=True,
        sqlite_where=OCCUPIED,
        postgresql_where=OCCUPIED,
    )
    op.drop_table("node_adoption")
