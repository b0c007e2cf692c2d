"""Which keys of the day the sealed bodies are wrapped with, found by an index.

Bodies from before have a wrapped key without a name, and are not in it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

SEALED_WITH = sa.text("substr(wrapped_key, 1, 27)")
BY_DAY = sa.text("length(wrapped_key) = 67")


def upgrade() -> None:
    """No row changes."""
    op.create_index(
        "ix_body_sealed_with",
        "body",
        [SEALED_WITH],
        sqlite_where=BY_DAY,
        postgresql_where=BY_DAY,
    )


def downgrade() -> None:
    """Bodies that are sealed with a key of the day are not opened by the version before."""
    op.drop_index("ix_body_sealed_with", "body")
