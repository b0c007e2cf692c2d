"""Fallbacks and provenance: which attempt went on as which, and who said what it cost.

PostgreSQL's function that writes an escrow is told of the columns. What it was before is written
out here as well, for the way down.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

FIXED = ("asked_model", "fallback_reason", "continues")
MOVING = ("continued_as", "cost_provider", "cost_model", "cost_sha256")
BEFORE = """
state changed_at_ms version lookups lookup_at_ms priced_pusd price_msat credit_used_msat budget_hold
budget_held_pusd attempt paid_msat settle_index settled_at_ms keep_until_ms completed_at_ms
inline_cost finish_reason prompt_tokens completion_tokens cost_pusd cost_text cost_standing
payment_request invoice_msat expires_at_s failure_code failure_message failure_status occupies_ask
due_at_ms generation_id payment_hash requested_by
"""


def upgrade() -> None:
    """Escrows from before had one model each, and nobody kept who said what they cost."""
    for name in (*FIXED, *MOVING):
        op.add_column("escrow", sa.Column(name, sa.Text(), nullable=True))
    if op.get_context().dialect.name == "postgresql":
        op.execute(_write_escrow((*BEFORE.split(), *MOVING)))


def downgrade() -> None:
    """Who served and which attempts belong together is lost; the journal still has it."""
    if op.get_context().dialect.name == "postgresql":
        op.execute(_write_escrow(tuple(BEFORE.split())))
    for name in (*FIXED, *MOVING):
        op.drop_column("escrow", name)


def _write_escrow(columns: tuple[str, ...]) -> str:
    moving = ", ".join(f"{name} = fresh.{name}" for name in columns)
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
