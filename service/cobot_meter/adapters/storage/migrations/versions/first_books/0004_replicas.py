"""Who asked the upstream: with several processes on one database, nobody else may answer for it.

All of them must derive their keys from one secret, so the database keeps a mark of it.

PostgreSQL's function that writes an escrow is told of the column. What it was before is written
out here as well, for the way down.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

MOVING = """
state changed_at_ms version lookups lookup_at_ms priced_pusd price_msat credit_used_msat budget_hold
budget_held_pusd attempt paid_msat settle_index settled_at_ms keep_until_ms completed_at_ms
inline_cost finish_reason prompt_tokens completion_tokens cost_pusd cost_text cost_standing
payment_request invoice_msat expires_at_s failure_code failure_message failure_status occupies_ask
due_at_ms generation_id payment_hash
"""

MARK = """
CREATE TABLE secret_mark (
  number INTEGER PRIMARY KEY CHECK (number = 1), mark TEXT NOT NULL
)
"""


def upgrade() -> None:
    """Escrows from before have no such name: whoever asked for them is gone."""
    op.add_column("escrow", sa.Column("requested_by", sa.Text(), nullable=True))
    if op.get_context().dialect.name == "postgresql":
        op.execute(_write_escrow(f"{MOVING} requested_by"))
        op.execute(MARK)


def downgrade() -> None:
    """Names of processes are lost; nothing else knows them."""
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP TABLE secret_mark")
        op.execute(_write_escrow(MOVING))
    op.drop_column("escrow", "requested_by")


def _write_escrow(columns: str) -> str:
    moving = ", ".join(f"{name} = fresh.{name}" for name in columns.split())
    return f"""
CREATE OR REPLACE FUNCTION write_escrow(given JSONB, entry BIGINT) RETURNS VOID
LANGUAGE plpgsql AS $$
DECLARE fresh escrow := jsonb_populate_record(NULL::escrow, given);
BEGIN
  IF fresh.version = 1 THEN
    fresh.opened_sequence := entry;
    INSERT INTO escrow VALUES (fresh.*) ON CONFLICT DO NOTHING;
  ELSE
    UPDATE escrow AS row SET {moving}
    WHERE row.escrow_id = fresh.escrow_id AND row.version = fresh.version - 1;
  END IF;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING ERRCODE = 'CM001', MESSAGE = fresh.escrow_id;
  END IF;
END $$
"""  # noqa: S608 - the names stand above
