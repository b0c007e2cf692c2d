"""PostgreSQL's own side of the door: one function takes a batch of transitions in one round trip.

SQLite gets nothing here. The functions stand beside this file, and are those of this revision: a
later version of one is a later revision.
"""

from __future__ import annotations

import re
from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"

FUNCTIONS = (
    "apply_transitions(JSONB, BYTEA[])",
    "write_transition(JSONB, BYTEA[])",
    "write_escrow(JSONB, BIGINT)",
    "write_rest(JSONB, BYTEA[])",
    "check_resolved(JSONB)",
    "move_money(JSONB)",
    "caller_cap(JSONB)",
    "roll_up_legs()",
)
BETWEEN = re.compile(r"^-- -+$", re.MULTILINE)


def upgrade() -> None:
    """Tables, views and functions that PostgreSQL alone needs."""
    if op.get_context().dialect.name != "postgresql":
        return
    text = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    for statement in BETWEEN.split(text)[1:]:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Roll up what is not rolled up, so that the books stay whole, and drop the door."""
    if op.get_context().dialect.name != "postgresql":
        return
    op.execute("SELECT roll_up_legs()")
    for function in FUNCTIONS:
        op.execute(f"DROP FUNCTION {function}")
    op.execute("DROP VIEW account_now, journal_mark")
    op.execute("DROP TABLE operator_leg, journal_leg")
    op.execute("DELETE FROM tally WHERE name = 'journal'")
