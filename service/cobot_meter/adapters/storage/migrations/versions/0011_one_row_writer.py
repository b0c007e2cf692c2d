"""PostgreSQL writes every row with a version through one function, `write_rows`.

That function is not made here: it is made of the specs of the program's version, after the last
revision of it, so that no later revision has to tell it of a column or a table. What the functions
were before is written out here, for the way down. SQLite gets nothing.
"""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"

WRITES_ROWS = """
  PERFORM write_rows(given->'rows', entry);
"""
ESCROW_BEFORE = """
state changed_at_ms version lookups lookup_at_ms priced_pusd price_msat credit_used_msat budget_hold
budget_held_pusd attempt paid_msat settle_index settled_at_ms keep_until_ms completed_at_ms
inline_cost finish_reason prompt_tokens completion_tokens cost_pusd cost_text cost_standing
payment_request invoice_msat expires_at_s failure_code failure_message failure_status occupies_ask
due_at_ms generation_id payment_hash requested_by continued_as
cost_provider cost_model cost_sha256 quarantine
"""
TOPUP_BEFORE = """
state version attempt payment_hash payment_request expires_at_s paid_msat settle_index quarantine
"""


def upgrade() -> None:
    """No row changes."""
    if op.get_context().dialect.name == "postgresql":
        op.execute(_write_transition("", WRITES_ROWS))
        op.execute("DROP FUNCTION write_escrow(JSONB, BIGINT)")


def downgrade() -> None:
    """Escrows and top-ups are written column by column again."""
    if op.get_context().dialect.name == "postgresql":
        op.execute(_write_escrow())
        op.execute(_write_transition("topup_row topup;", _writes_escrow_and_topup()))
        op.execute("DROP FUNCTION IF EXISTS write_rows(JSONB, BIGINT)")


def _write_escrow() -> str:
    moving = ", ".join(f"{name} = fresh.{name}" for name in ESCROW_BEFORE.split())
    return f"""
CREATE FUNCTION write_escrow(given JSONB, entry BIGINT) RETURNS VOID
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


def _writes_escrow_and_topup() -> str:
    moving = ", ".join(f"{name} = topup_row.{name}" for name in TOPUP_BEFORE.split())
    return f"""
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
"""  # noqa: S608 - the names stand above


def _write_transition(declared: str, rows: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION write_transition(given JSONB, blobs BYTEA[]) RETURNS BOOLEAN
LANGUAGE plpgsql AS $$
DECLARE entry BIGINT; {declared}
BEGIN
  INSERT INTO journal (key, kind, subject_id, caller_id, at_ms, facts) VALUES (given->>'key',
    given->>'kind', given->>'subject_id', given->>'caller_id', (given->>'at_ms')::BIGINT,
    given->>'facts') ON CONFLICT (key) DO NOTHING RETURNING sequence INTO entry;
  IF entry IS NULL THEN RETURN FALSE; END IF;{rows}
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
"""  # noqa: S608 - the parts stand above
