"""An entry of a task's sale names its seller, so that a seller's statement is found by an index.

`journal.caller_id` is the buyer of a task. What there is gets its seller here: rows of `journal`
refuse every change, so the trigger is away for the one statement that fills the new column, in the
same transaction. The index of tasks is for the operator's list of them.
"""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"

OF_SELLER = "ix_journal_of_seller"
TASKS = "ix_escrow_task"
SOLD = "seller_id IS NOT NULL"
FILLED = f"""
UPDATE journal SET seller_id =
  (SELECT escrow.seller_id FROM escrow WHERE escrow.escrow_id = journal.subject_id)
WHERE subject_id IN (SELECT escrow_id FROM escrow WHERE {SOLD})
"""  # noqa: S608 - names of ours
INSERT_ONLY = """
CREATE TRIGGER journal_refuses_update BEFORE UPDATE ON journal
BEGIN SELECT RAISE(ABORT, 'journal is insert-only'); END
"""


def upgrade() -> None:
    """One column, what it holds of before, and two indexes."""
    op.execute("ALTER TABLE journal ADD COLUMN seller_id TEXT")
    switched = "ALTER TABLE journal {} TRIGGER journal_is_insert_only"
    postgresql = _on_postgresql()
    op.execute(switched.format("DISABLE") if postgresql else "DROP TRIGGER journal_refuses_update")
    op.execute(FILLED)
    op.execute(switched.format("ENABLE") if postgresql else INSERT_ONLY)
    op.execute(f"CREATE INDEX {OF_SELLER} ON journal (seller_id, sequence) WHERE {SOLD}")
    op.execute(f"CREATE INDEX {TASKS} ON escrow (opened_sequence) WHERE {SOLD}")
    if postgresql:
        op.execute(_write_transition(", seller_id", ", given->>'seller_id'"))


def downgrade() -> None:
    """Without them: whose task it is stands in the sale's row too."""
    if _on_postgresql():
        op.execute(_write_transition("", ""))
    op.drop_index(TASKS, table_name="escrow")
    op.drop_index(OF_SELLER, table_name="journal")
    op.drop_column("journal", "seller_id")


def _on_postgresql() -> bool:
    return op.get_context().dialect.name == "postgresql"


def _write_transition(column: str, value: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION write_transition(given JSONB, blobs BYTEA[]) RETURNS BOOLEAN
LANGUAGE plpgsql AS $$
DECLARE entry BIGINT;
BEGIN
  INSERT INTO journal (key, kind, subject_id, caller_id, at_ms, facts{column})
    VALUES (given->>'key', given->>'kind', given->>'subject_id', given->>'caller_id',
    (given->>'at_ms')::BIGINT, given->>'facts'{value})
    ON CONFLICT (key) DO NOTHING RETURNING sequence INTO entry;
  IF entry IS NULL THEN RETURN FALSE; END IF;
  PERFORM write_rows(given->'rows', entry);
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
