"""A run gets a row of its own: what the upstream owns leaves the row of the escrow.

Each escrow of before has one run, of the same id. What a version counts and when a row changed is
told by the journal: each kind of entry changes the sale, its run, or both. No entry changes, and on
the way down every row is again what it was.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

# What left the escrow's row, with its type; the names are the same in the run's.
MOVED = {
    "generation_id": "TEXT",
    "lookups": "BIGINT",
    "lookup_at_ms": "BIGINT",
    "budget_hold": "BIGINT",
    "budget_held_pusd": "BIGINT",
    "requested_by": "TEXT",
    "completed_at_ms": "BIGINT",
    "inline_cost": "TEXT",
    "finish_reason": "TEXT",
    "prompt_tokens": "BIGINT",
    "completion_tokens": "BIGINT",
    "cost_pusd": "BIGINT",
    "cost_text": "TEXT",
    "cost_standing": "TEXT",
    "cost_provider": "TEXT",
    "cost_model": "TEXT",
    "cost_sha256": "TEXT",
}
REQUIRED = {"lookups", "budget_hold", "budget_held_pusd"}
OF_RUN = (
    *("upstream_requested", "abandoned", "generation_started", "completion_received"),
    *("upstream_failed", "outcome_unknown", "cost_known", "cost_confirmed", "cost_lookup_missed"),
    *("cost_not_found", "cost_attributed", "cost_given_up"),
)
# Events of the sale that resolve what is reserved for its run, or read what it cost.
ON_RUN = (
    *("covered_by_credit", "invoice_refused", "invoice_settled", "invoice_canceled"),
    *("late_purchase", "claim_lapsed", "quarantined", "quarantine_lifted", "written_off"),
)
OF_RUN_ALONE = (
    *("upstream_requested", "generation_started", "completion_received", "cost_confirmed"),
    *("cost_lookup_missed", "cost_attributed", "cost_given_up"),
)
GONE = {
    "ix_escrow_generation": "(caller_id, generation_id) WHERE generation_id IS NOT NULL",
    "ix_escrow_in_flight": "(state) WHERE state IN ('generated', 'opened', 'requested')",
    "ix_escrow_awaited": "(lookup_at_ms) WHERE lookup_at_ms IS NOT NULL",
    "ix_escrow_unexplained": (
        "(opened_sequence) WHERE state = 'failed' AND budget_held_pusd > 0 AND lookup_at_ms IS NULL"
    ),
    "ix_escrow_unconfirmed": "(cost_pusd) WHERE cost_standing = 'provisional'",
}
UNFINISHED_BEFORE = "state IN ('costed', 'generated', 'opened', 'requested')"
UNFINISHED = "state IN ('priced', 'running')"
OF_RUNS = {
    "ix_run_generation": "(generation_id) WHERE generation_id IS NOT NULL",
    "ix_run_due": "(due_at_ms, escrow_id) WHERE due_at_ms IS NOT NULL",
    "ix_run_in_flight": "(run_state) WHERE run_state IN ('generated', 'opened', 'requested')",
    "ix_run_awaited": "(lookup_at_ms) WHERE lookup_at_ms IS NOT NULL",
    "ix_run_unexplained": (
        "(opened_sequence) WHERE run_state = 'failed' AND budget_held_pusd > 0"
        " AND lookup_at_ms IS NULL"
    ),
    "ix_run_unconfirmed": "(cost_pusd) WHERE cost_standing = 'provisional'",
}
# What each entry of an escrow changed; a payment that came too late changed no run.
TOLD = """
INSERT INTO told_of
SELECT subject_id, sum(on_sale), max(CASE WHEN on_sale = 1 THEN sequence END),
  sum(on_run), max(CASE WHEN on_run = 1 THEN sequence END), count(*), max(sequence)
FROM (
  SELECT entry.subject_id, entry.sequence,
    CASE WHEN entry.kind IN ({run_alone}) THEN 0 ELSE 1 END AS on_sale,
    CASE WHEN entry.kind = 'invoice_settled' AND ended.sequence < entry.sequence THEN 0
      WHEN entry.kind IN ({run}) THEN 1 ELSE 0 END AS on_run
  FROM journal AS entry LEFT JOIN (
    SELECT subject_id, min(sequence) AS sequence FROM journal
    WHERE kind IN ('invoice_canceled', 'written_off') GROUP BY subject_id
  ) AS ended ON ended.subject_id = entry.subject_id
  WHERE entry.kind <> 'opened' AND entry.subject_id IN (SELECT escrow_id FROM escrow)
) AS entries GROUP BY subject_id
"""
RUNS = """
INSERT INTO run (run_id, escrow_id, opened_at_ms, changed_at_ms, run_state, version, cost_account,
  parked, failure_code, failure_message, failure_status, due_at_ms, opened_sequence, {moved})
SELECT e.escrow_id, e.escrow_id, e.opened_at_ms, coalesce(last.at_ms, e.opened_at_ms),
  CASE WHEN e.state IN ('opened', 'requested', 'generated') THEN e.state
    WHEN e.state = 'failed' AND e.payment_hash IS NULL THEN 'failed' ELSE 'costed' END,
  1 + coalesce(told.on_run, 0),
  CASE e.state WHEN 'failed' THEN 'cost/failed' WHEN 'expired' THEN 'cost/unpaid'
    ELSE 'cost/upstream' END,
  CASE WHEN e.quarantine IS NULL THEN 0 ELSE 1 END,
  CASE WHEN e.payment_hash IS NULL THEN e.failure_code END,
  CASE WHEN e.payment_hash IS NULL THEN e.failure_message END,
  CASE WHEN e.payment_hash IS NULL THEN e.failure_status END,
  CASE WHEN e.quarantine IS NOT NULL THEN NULL
    WHEN e.state IN ('opened', 'requested', 'generated', 'failed') THEN e.due_at_ms
    ELSE e.lookup_at_ms END,
  e.opened_sequence, {fields}
FROM escrow AS e LEFT JOIN told_of AS told ON told.subject_id = e.escrow_id
LEFT JOIN journal AS last ON last.sequence = told.run_sequence
"""
SALES = """
UPDATE escrow SET
  version = 1 + coalesce((SELECT on_sale FROM told_of WHERE subject_id = escrow_id), 0),
  changed_at_ms = coalesce((SELECT last.at_ms FROM told_of JOIN journal AS last
    ON last.sequence = told_of.sale_sequence WHERE told_of.subject_id = escrow_id), opened_at_ms),
  due_at_ms = CASE WHEN quarantine IS NOT NULL THEN NULL
    WHEN state = 'invoiced' THEN expires_at_s * 1000 + 1000
    WHEN state IN ('settled', 'released', 'expired') THEN keep_until_ms END,
  state = CASE WHEN state IN ('opened', 'requested', 'generated') THEN 'running'
    WHEN state = 'costed' THEN 'priced' ELSE state END
"""
WHOLE_AGAIN = """
UPDATE escrow SET
  version = 1 + coalesce((SELECT entries FROM told_of WHERE subject_id = escrow_id), 0),
  changed_at_ms = coalesce((SELECT last.at_ms FROM told_of JOIN journal AS last
    ON last.sequence = told_of.last_sequence WHERE told_of.subject_id = escrow_id), opened_at_ms),
  due_at_ms = (SELECT CASE WHEN run.due_at_ms IS NULL THEN escrow.due_at_ms
    WHEN escrow.due_at_ms IS NULL OR run.due_at_ms < escrow.due_at_ms THEN run.due_at_ms
    ELSE escrow.due_at_ms END FROM run WHERE run.run_id = escrow.run_id),
  state = CASE state WHEN 'running' THEN (
      SELECT run_state FROM run WHERE run.run_id = escrow.run_id)
    WHEN 'priced' THEN 'costed' ELSE state END
"""
NEWER = """
SELECT count(*) FROM escrow WHERE billing_mode <> 'escrow'
  OR (SELECT count(*) FROM run WHERE run.escrow_id = escrow.escrow_id) <> 1
"""


def upgrade() -> None:
    """Every escrow's row is split in two."""
    _make_runs()
    _count_entries()
    moved, fields = ", ".join(MOVED), ", ".join(f"e.{name}" for name in MOVED)
    op.execute(RUNS.format(moved=moved, fields=fields))
    for name in (*GONE, "ix_escrow_unfinished"):
        op.drop_index(name, "escrow")
    op.execute(SALES)
    op.execute("DROP TABLE told_of")
    op.execute("ALTER TABLE escrow ADD COLUMN billing_mode TEXT DEFAULT 'escrow' NOT NULL")
    op.execute(f"ALTER TABLE escrow ADD COLUMN run_id {_key()} DEFAULT '' NOT NULL")
    op.execute("UPDATE escrow SET run_id = escrow_id")
    for name in MOVED:
        op.drop_column("escrow", name)
    _index("ix_escrow_unfinished", "escrow", f"(escrow_id) WHERE {UNFINISHED}")
    for name, columns in OF_RUNS.items():
        _index(name, "run", columns)


def downgrade() -> None:
    """Each run goes back into the row of its escrow. Refuses what no row of before can hold."""
    newer = op.get_bind().execute(sa.text(NEWER)).scalar()
    if newer:
        message = (
            f"{newer} sales have several runs or are paid for in another way: no schema before "
            "0012 can hold them, so restore a copy from before the upgrade"
        )
        raise ValueError(message)
    _count_entries()
    for name, kind in MOVED.items():
        needed = " DEFAULT 0 NOT NULL" if name in REQUIRED else ""
        op.execute(f"ALTER TABLE escrow ADD COLUMN {name} {kind}{needed}")
    names = ", ".join(MOVED)
    op.drop_index("ix_escrow_unfinished", "escrow")
    op.execute(
        f"UPDATE escrow SET ({names}) = "  # noqa: S608 - names of ours
        f"(SELECT {names} FROM run WHERE run.run_id = escrow.run_id)"
    )
    op.execute(WHOLE_AGAIN)
    op.execute("DROP TABLE told_of")
    op.drop_table("run")
    for name in ("billing_mode", "run_id"):
        op.drop_column("escrow", name)
    _index("ix_escrow_unfinished", "escrow", f"(escrow_id) WHERE {UNFINISHED_BEFORE}")
    for name, columns in GONE.items():
        _index(name, "escrow", columns)


def _make_runs() -> None:
    moved = (f"{name} {kind}{_needed(name)}" for name, kind in MOVED.items())
    op.execute(
        f"CREATE TABLE run (run_id {_key()} NOT NULL, escrow_id {_key()} NOT NULL, "
        "opened_at_ms BIGINT NOT NULL, changed_at_ms BIGINT NOT NULL, run_state TEXT NOT NULL, "
        "version BIGINT NOT NULL, cost_account TEXT NOT NULL, parked INTEGER NOT NULL "
        "CONSTRAINT ck_run_parked CHECK (parked IN (0, 1)), failure_code TEXT, "
        "failure_message TEXT, failure_status BIGINT, due_at_ms BIGINT, "
        f"opened_sequence BIGINT NOT NULL, {', '.join(moved)}, "
        "CONSTRAINT pk_run PRIMARY KEY (run_id))"
    )


def _needed(name: str) -> str:
    return " NOT NULL" if name in REQUIRED else ""


def _count_entries() -> None:
    op.execute(
        "CREATE TEMPORARY TABLE told_of (subject_id TEXT PRIMARY KEY, on_sale BIGINT, "
        "sale_sequence BIGINT, on_run BIGINT, run_sequence BIGINT, entries BIGINT, "
        "last_sequence BIGINT)"
    )
    run_alone, run = (", ".join(f"'{kind}'" for kind in kinds) for kinds in
                      (OF_RUN_ALONE, (*OF_RUN, *ON_RUN)))  # fmt: skip
    op.execute(TOLD.format(run_alone=run_alone, run=run))


def _key() -> str:
    """A text in the order of its bytes."""
    return 'TEXT COLLATE "C"' if op.get_context().dialect.name == "postgresql" else "TEXT"


def _index(name: str, table: str, columns: str) -> None:
    op.execute(f"CREATE INDEX {name} ON {table} {columns}")
