"""What an ask counts at least on its day, and with it that its reservations are made anew.

Escrows from before have NULL there: they keep the reservations that they opened with, of the caller
at the ceiling and of the address in msat, so that their journal goes on as it began.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """No row changes: NULL says from when it is."""
    op.add_column("escrow", sa.Column("least_pusd", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """What an open escrow has reserved anew is lost to the version before; the journal has it."""
    op.drop_column("escrow", "least_pusd")
