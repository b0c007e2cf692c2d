"""The first books: journal, transfers, accounts, and the rows that move with them.

Columns are written `name=type`, with a question mark where NULL is allowed. This file stands by
itself: what `service/cobot_meter/adapters/storage/tables.py` becomes later changes nothing here.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

INSERT_ONLY = ("journal", "transfer")
OCCUPIED = "occupies_ask = 1"
RESOLVED = "kind IN ('post', 'void')"
UNEXPLAINED = "state = 'failed' AND budget_held_pusd > 0 AND lookup_at_ms IS NULL"
COUNTERS = ("debits_posted", "credits_posted", "debits_pending", "credits_pending")

TYPES: dict[str, sa.types.TypeEngine[Any]] = {
    "text": sa.Text(),
    "key": sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql"),
    "number": sa.BigInteger(),
    "sequence": sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
    "line": sa.Integer(),
    "flag": sa.Integer(),
    "bytes": sa.LargeBinary(),
}


def upgrade() -> None:
    """Make every table, index and trigger."""
    _journal()
    _transfer()
    _account()
    _escrow()
    _escrow_indexes()
    _topup()
    _small_tables()
    for table in INSERT_ONLY:
        _refuse_changes(table)


def downgrade() -> None:
    """Drop the books: for tests and for operators who mean it."""
    for table in ("body", "transfer", "journal", "account", "escrow", "topup"):
        op.drop_table(table)
    for table in ("settle_cursor", "caller", "tally"):
        op.drop_table(table)
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_change()")


def _journal() -> None:
    _table("journal", "sequence=sequence key=text kind=text subject_id=text caller_id=text? "
                      "at_ms=number facts=text", key="sequence")  # fmt: skip
    _index("uq_journal_key", "journal", "key", unique=True)
    _index("ix_journal_of_caller", "journal", "caller_id sequence", where="caller_id IS NOT NULL")


def _transfer() -> None:
    _table(
        "transfer",
        "sequence=sequence line=line kind=text debit=text credit=text commodity=text "
        "amount=number hold_id=text? held=number",
        _check("transfer", "kind", "kind IN ('posted', 'pending', 'post', 'void')"),
        _check("transfer", "commodity", "commodity IN ('msat', 'pusd')"),
        _check("transfer", "amount", "amount > 0 OR (amount = 0 AND kind = 'void')"),
        _check("transfer", "sides", "debit <> credit"),
        _check("transfer", "hold", "(kind = 'posted') = (hold_id IS NULL)"),
        _check(
            "transfer",
            "held",
            f"(held = 0 AND NOT {RESOLVED}) OR (held > 0 AND held >= amount AND {RESOLVED})",
        ),
        sa.ForeignKeyConstraint(
            ["sequence"], ["journal.sequence"], name=op.f("fk_transfer_sequence")
        ),
        key="sequence line",
        rowid=False,
    )
    _index("uq_transfer_reserved", "transfer", "hold_id", unique=True, where="kind = 'pending'")
    _index("uq_transfer_resolved", "transfer", "hold_id", unique=True, where=RESOLVED)


def _account() -> None:
    ranges = (
        _check("account", name, f"{name} BETWEEN 0 AND 9000000000000000000") for name in COUNTERS
    )
    _table(
        "account",
        "code=key commodity=text nature=text exact=flag debits_posted=number "
        "credits_posted=number debits_pending=number credits_pending=number",
        _check("account", "commodity", "commodity IN ('msat', 'pusd')"),
        _check(
            "account",
            "nature",
            "nature IN ('asset', 'liability', 'income', 'expense', 'memo')",
        ),
        *ranges,
        _check(
            "account",
            "spendable",
            "exact = 0 OR nature <> 'liability' "
            "OR credits_posted - debits_posted - debits_pending >= 0",
        ),
        key="code",
        rowid=False,
    )


def _escrow() -> None:
    ask = "request_key=text address_key=text address=text request_sha256=text"
    quote = "model=text max_tokens=number ceiling_pusd=number ceiling_msat=number"
    rate = "rate_usd_micro_per_btc=number rate_source=text rate_at_ms=number"
    terms = "credit_fee_bps=number markup_bps=number safety_bps=number"
    prices = "prompt_pusd=number completion_pusd=number request_pusd=number"
    price = "priced_pusd=number price_msat=number credit_used_msat=number"
    budget = "budget_hold=number budget_held_pusd=number"
    run = "completed_at_ms=number? inline_cost=text? finish_reason=text?"
    tokens = "prompt_tokens=number? completion_tokens=number?"
    cost = "cost_pusd=number? cost_text=text? cost_standing=text?"
    invoice = "payment_request=text? invoice_msat=number? expires_at_s=number?"
    failure = "failure_code=text? failure_message=text? failure_status=number?"
    _table(
        "escrow",
        "escrow_id=key caller_id=text opened_at_ms=number "
        f"{ask} idempotency_key=text? nameless=flag "
        f"{quote} credit_reserved_msat=number day=text newcomer=flag "
        f"{rate} {terms} {prices} cache_write_pusd=number reasoning_pusd=number stream=flag "
        "state=text changed_at_ms=number version=number "
        f"lookups=number lookup_at_ms=number? {price} {budget} attempt=number "
        "paid_msat=number settle_index=number "
        "settled_at_ms=number? keep_until_ms=number? "
        f"{run} {tokens} {cost} {invoice} {failure} "
        "occupies_ask=flag due_at_ms=number? generation_id=text? payment_hash=text? "
        "opened_sequence=number",
        key="escrow_id",
    )


def _escrow_indexes() -> None:
    in_flight = "state IN ('generated', 'opened', 'requested')"
    unfinished = "state IN ('costed', 'generated', 'opened', 'requested')"
    invoiced = "state = 'invoiced'"
    for name, columns, where in (
        ("uq_escrow_opened", "opened_sequence", None),
        ("uq_escrow_request_open", "request_key", OCCUPIED),
        ("uq_escrow_address_open", "address_key", f"{OCCUPIED} AND nameless = 1"),
        ("uq_escrow_idempotency_open", "idempotency_key", OCCUPIED),
        ("uq_escrow_payment", "payment_hash", "payment_hash IS NOT NULL"),
    ):
        _index(name, "escrow", columns, unique=True, where=where)
    for name, columns, where in (
        ("ix_escrow_request", "request_key opened_sequence", None),
        ("ix_escrow_address", "address_key opened_sequence", None),
        (
            "ix_escrow_idempotency",
            "idempotency_key opened_sequence",
            "idempotency_key IS NOT NULL",
        ),
        ("ix_escrow_generation", "caller_id generation_id", "generation_id IS NOT NULL"),
        ("ix_escrow_due", "due_at_ms escrow_id", "due_at_ms IS NOT NULL"),
        ("ix_escrow_unfinished", "escrow_id", unfinished),
        ("ix_escrow_in_flight", "state", in_flight),
        ("ix_escrow_awaited", "lookup_at_ms", "lookup_at_ms IS NOT NULL"),
        ("ix_escrow_unexplained", "opened_sequence", UNEXPLAINED),
        ("ix_escrow_invoiced", "escrow_id payment_hash", invoiced),
        ("ix_escrow_open_of_caller", "caller_id opened_sequence", invoiced),
    ):
        _index(name, "escrow", columns, where=where)


def _topup() -> None:
    _table(
        "topup",
        "topup_id=key caller_id=text address_key=text amount_msat=number opened_at_ms=number "
        "state=text version=number attempt=number payment_hash=text payment_request=text "
        "expires_at_s=number paid_msat=number settle_index=number opened_sequence=number",
        key="topup_id",
    )
    waiting = "state IN ('invoiced', 'opened')"
    _index("uq_topup_opened", "topup", "opened_sequence", unique=True)
    _index("uq_topup_address_open", "topup", "address_key", unique=True, where=waiting)
    _index("uq_topup_payment", "topup", "payment_hash", unique=True)
    _index("ix_topup_invoiced", "topup", "topup_id payment_hash", where="state = 'invoiced'")


def _small_tables() -> None:
    _table(
        "body",
        "escrow_id=key wrapped_key=bytes request=bytes? completion=bytes?",
        sa.ForeignKeyConstraint(
            ["escrow_id"], ["escrow.escrow_id"], name=op.f("fk_body_escrow_id")
        ),
        key="escrow_id",
    )
    _table("settle_cursor", "node_pubkey=key settle_index=number", key="node_pubkey")
    _table("caller", "caller_id=key blocked=flag cap_msat=number?", key="caller_id")
    _table("tally", "name=key entries=number", key="name")


def _refuse_changes(table: str) -> None:
    """Not even we can change what is written."""
    if op.get_context().dialect.name == "postgresql":
        op.execute(
            "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' is insert-only'; END $$"
        )
        op.execute(
            f"CREATE TRIGGER {table}_is_insert_only BEFORE UPDATE OR DELETE OR TRUNCATE "
            f"ON {table} EXECUTE FUNCTION refuse_change()"
        )
        return
    for change in ("update", "delete"):
        op.execute(
            f"CREATE TRIGGER {table}_refuses_{change} BEFORE {change.upper()} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is insert-only'); END"
        )


def _table(
    name: str, columns: str, *constraints: sa.Constraint, key: str, rowid: bool = True
) -> None:
    op.create_table(
        name,
        *(_column(name, *column.split("=")) for column in columns.split()),
        sa.PrimaryKeyConstraint(*key.split(), name=op.f(f"pk_{name}")),
        *constraints,
        sqlite_with_rowid=rowid,
    )


def _column(table: str, name: str, kind: str) -> sa.Column[Any]:
    checks = []
    if kind == "flag":
        checks.append(_check(table, name, f"{name} IN (0, 1)"))
    kind, nullable = kind.rstrip("?"), kind.endswith("?")
    return sa.Column(name, TYPES[kind], *checks, nullable=nullable)


def _check(table: str, name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))


def _index(
    name: str, table: str, columns: str, *, unique: bool = False, where: str | None = None
) -> None:
    condition = None if where is None else sa.text(where)
    op.create_index(
        name,
        table,
        columns.split(),
        unique=unique,
        sqlite_where=condition,
        postgresql_where=condition,
    )
