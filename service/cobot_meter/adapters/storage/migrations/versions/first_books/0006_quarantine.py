"""Quarantine: what could not be booked of an escrow or a top-up, while it waits for the operator.

PostgreSQL's functions that write their rows are told of the column. What they were before is
written out here as well, for the way down.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

TABLES = ("escrow", "topup")
QUARANTINED = sa.text("quarantine IS NOT NULL")
ESCROW_BEFORE = """
state changed_at_ms version lookups lookup_at_ms priced_pusd price_msat credit_used_msat budget_hold
budget_held_pusd attempt paid_msat settle_index settled_at_ms keep_until_ms completed_at_ms
inline_cost finish_reason prompt_tokens completion_tokens cost_pusd cost_text cost_standing
payment_request invoice_msat expires_at_s failure_code failure_message failure_status occupies_ask
due_at_ms generation_id payment_hash requested_by continued_as
cost_provider cost_model cost_sha256
"""
TOPUP_BEFORE = """
state version attempt payment_hash payment_request expires_at_s paid_msat settle_index
"""


def upgrade() -> None:
    """Nothing is in quarantine yet."""
    for table in TABLES:
        op.add_column(table, sa.Column("quarantine", sa.Text(), nullable=True))
        op.create_index(
            f"ix_{table}_quarantined",
            table,
            [f"{table}_id"],
            sqlite_where=QUARANTINED,
            postgresql_where=QUARANTINED,
        )
    if op.get_context().dialect.name == "postgresql":
        op.execute(_write_escrow(f"{ESCROW_BEFORE} quarantine"))
        op.execute(_write_transition(f"{TOPUP_BEFORE} quarantine"))


def downgrade() -> None:
    """What was in quarantine goes on where it was; why it was there stays in the journal."""
    if op.get_context().dialect.name == "postgresql":
        op.execute(_write_escrow(ESCROW_BEFORE))
        op.execute(_write_transition(TOPUP_BEFORE))
    for table in TABLES:
        op.drop_index(f"ix_{table}_quarantined", table)
        op.drop_column(table, "quarantine")


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


def _write_transition(columns: str) -> str:
    moving = ", ".join(f"{name} = topup_row.{name}" for name in columns.split())
    return f"""
CREATE OR REPLACE FUNCTION write_transition(given JSONB, blobs BYTEA[]) RETURNS BOOLEAN
LANGUAGE plpgsql AS $$
DECLARE entry BIGINT; topup_row topup;
BEGIN
  INSERT INTO journal (key, kind, subject_id, caller_id, at_ms, facts) VALUES (given->>'key',
    given->>'kind', given->>'subject_id', given->>'caller_id', (given->>'at_ms')::BIGINT,
    given->>'facts') ON CONFLICT (key) DO NOTHING RETURNING sequence INTO entry;
  IF entry IS NULL THEN RETURN FALSE; END IF;
  IF given->'escrow' IS NOT NULL THEN PERFORM write_escrow(given->'escrow', entry); END IF;
  IF given->'topup' IS NOT NULL THEN
    topup_row := jsonb_populate_record(NULL::topup, given->'topup');
    IF topup_row.version = 1 THEN
      topup_row.opened_sequence := entry;
      INSERT INTO topup VALUES (topup_row.*) ON CONFLICT DO NOTHING;
    ELSE
      UPDATE topup AS row SET {moving}
      WHERE row.topup_id = topup_row.topup_id AND row.version = topup_row.version - 1;
    END IF;
    IF NOT FOUND THEN
      RAISE EXCEPTION USING ERRCODE = 'CM001', MESSAGE = topup_row.topup_id;
    END IF;
  END IF;
  INSERT INTO account SELECT code, commodity, nature, exact, 0, 0, 0, 0
    FROM jsonb_to_recordset(given->'accounts') AS a(code TEXT, commodity TEXT, nature TEXT,
    exact INT) ORDER BY code ON CONFLICT (code) DO NOTHING;
  IF jsonb_array_length(given->'transfers') > 0 THEN
    PERFORM check_resolved(given->'transfers');
    INSERT INTO transfer SELECT entry, line, kind, debit, credit, commodity, amount, hold_id, held
      FROM jsonb_to_recordset(given->'transfers') AS t(line INT, kind TEXT, debit TEXT, credit TEXT,
      commodity TEXT, amount BIGINT, hold_id TEXT, held BIGINT);
    PERFORM move_money(given->'steps');
    INSERT INTO operator_leg SELECT * FROM jsonb_to_recordset(given->'legs') AS l(code TEXT,
      commodity TEXT, nature TEXT, dp BIGINT, cp BIGINT, dn BIGINT, cn BIGINT);
  END IF;
  PERFORM write_rest(given, blobs);
  RETURN TRUE;
END $$
"""  # noqa: S608 - the names stand above
