"""The schema, once for every database: tables, constraints and indexes as SQLAlchemy Core has them.

Amounts, times and counts are BIGINT, flags 0 or 1, names and keys TEXT in byte order. What must
hold whatever the program does is a constraint here: counters never leave their range, credit is
never spent below zero, a hold is reserved once and resolved once, an ask is open once. Two things
Core cannot say stand in the migration: `journal` and `transfer` refuse UPDATE and DELETE. Columns
of values of the domain are lines of `table_specs.py`.

Must not know: statements, connections, or what the rows mean to the domain.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ColumnElement,
    ForeignKey,
    FromClause,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    Table,
    Text,
    and_,
    func,
    literal_column,
    select,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

from cobot_meter.adapters.storage.row_spec import OPENED_SEQUENCE, Derived, Kind, RowSpec, Stored
from cobot_meter.adapters.storage.table_specs import (
    API_KEY_SPEC,
    ESCROW_SPEC,
    NODE_SPEC,
    RUN_SPEC,
    TOPUP_SPEC,
)
from cobot_meter.domain.body_keys import NAME_BYTES, NAMED_BYTES
from cobot_meter.domain.escrow.states import Mode, Stage, StateFacts, states_with
from cobot_meter.domain.run.states import RunFacts, run_states_with
from cobot_meter.domain.topup.states import TopupFacts, topup_states_with

METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

# Pages walk ids and codes in byte order; PostgreSQL would sort by the locale of the database.
KEY = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
# SQLite numbers rows by itself only where the type is INTEGER.
SEQUENCE = BigInteger().with_variant(Integer(), "sqlite")
# Some room below 2^63, where SQLite would go on in floating point.
COUNTER_MAX = 9_000_000_000_000_000_000
COUNTERS = ("debits_posted", "credits_posted", "debits_pending", "credits_pending")
# What an operator account comes to over decades passes 2^63: its counter is what stands in the
# column, plus CARRY for each one that was carried over into the column beside it.
CARRY = 10**18
CARRIED = tuple(f"{name}_carried" for name in COUNTERS)


_TYPES: dict[Kind, TypeEngine[Any]] = {
    Kind.KEY: KEY,
    Kind.WORDS: Text(),
    Kind.NUMBER: BigInteger(),
}


# What older rows had in a column that came later: SQLite cannot take a default away again.
_SINCE = {
    "billing_mode": text("'escrow'"),
    "run_id": text("''"),
    "upstream": text("''"),
    "budgets": text("''"),
    **{name: text("0") for name in ("overrun_pusd", "extensions", "extended_msat")},
}


def _among(column: str, states: Collection[enum.StrEnum]) -> str:
    names = ", ".join(f"'{state}'" for state in sorted(states))
    return f"{column} IN ({names})" if "," in names else f"{column} = {names}"


def _sales(fact: Callable[[StateFacts], bool]) -> str:
    return _among("state", states_with(fact))


def _runs(fact: Callable[[RunFacts], bool]) -> str:
    return _among("run_state", run_states_with(fact))


def _topups(fact: Callable[[TopupFacts], bool]) -> str:
    return _among("state", topup_states_with(fact))


# The conditions of partial indexes: a query that repeats one word for word may use its index.
PENDING = "kind = 'pending'"
RESOLVED = "kind IN ('post', 'void')"
OCCUPIED = "occupies_ask = 1"
OCCUPIED_NAMELESS = "occupies_ask = 1 AND nameless = 1"
IN_FLIGHT = _runs(lambda facts: facts.in_flight)
UNFINISHED = _sales(lambda facts: facts.stage is Stage.RUNNING)
INVOICED = _sales(lambda facts: facts.stage is Stage.UNPAID)
TASK = "seller_id IS NOT NULL"
# What a caller may look up: the run that its sale lives by, and each one of a panel.
SOLD_RUN = f"(run.run_id = escrow.run_id OR billing_mode = '{Mode.PANEL}')"
OPEN_TASK = f"{TASK} AND state = 'running'"
KEYED = "idempotency_key IS NOT NULL"
UNEXPLAINED = "run_state = 'failed' AND budget_held_pusd > 0 AND lookup_at_ms IS NULL"
UNCONFIRMED = "cost_standing = 'provisional'"
TOPUP_OPEN = _topups(lambda facts: facts.occupies_place)
TOPUP_INVOICED = _topups(lambda facts: facts.invoice_open)
# What waits for the operator, and what therefore no sweep may find.
QUARANTINED = "quarantine IS NOT NULL"
GOES_ON = "quarantine IS NULL"
RUN_GOES_ON = "parked = 0"
SEALED_BY_DAY = f"length(wrapped_key) = {NAMED_BYTES}"


def _number(name: str) -> Column[int]:
    return Column(name, BigInteger(), nullable=False)


def _maybe_number(name: str) -> Column[int]:
    return Column(name, BigInteger(), nullable=True)


def _words(name: str) -> Column[str]:
    return Column(name, Text(), nullable=False)


def _maybe_words(name: str) -> Column[str]:
    return Column(name, Text(), nullable=True)


def _flag(name: str) -> Column[int]:
    return Column(name, Integer(), CheckConstraint(f"{name} IN (0, 1)", name=name), nullable=False)


def _carried(name: str) -> Column[int]:
    none_below = CheckConstraint(f"{name} >= 0", name=name)
    return Column(name, BigInteger(), none_below, server_default=text("0"), nullable=False)


def _columns(spec: RowSpec[Any]) -> list[Column[Any]]:
    """Those of the spec; beside a version the number of the entry that opened the row."""
    lines: tuple[Stored | Derived, ...] = (*spec.stored, *spec.derived)
    made = [_stored(line, primary=line.column == spec.key) for line in lines]
    return [*made, _number(OPENED_SEQUENCE)] if spec.versioned else made


def _stored(line: Stored | Derived, *, primary: bool) -> Column[Any]:
    if line.kind is Kind.FLAG:
        return _flag(line.column)
    kind = _TYPES[line.kind]
    if primary:
        return Column(line.column, kind, primary_key=True, autoincrement=False)
    default = _SINCE.get(line.column)
    return Column(line.column, kind, server_default=default, nullable=line.nullable)


def _index(name: str, *columns: str, unique: bool = False, where: str | None = None) -> Index:
    condition = None if where is None else text(where)
    return Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


JOURNAL = Table(
    "journal",
    METADATA,
    Column("sequence", SEQUENCE, primary_key=True, autoincrement=True),
    _words("key"),
    _words("kind"),
    _words("subject_id"),
    _maybe_words("caller_id"),
    _number("at_ms"),
    _words("facts"),
    _maybe_words("seller_id"),
    _index("uq_journal_key", "key", unique=True),
    _index("ix_journal_of_caller", "caller_id", "sequence", where="caller_id IS NOT NULL"),
    _index("ix_journal_of_seller", "seller_id", "sequence", where="seller_id IS NOT NULL"),
)

TRANSFER = Table(
    "transfer",
    METADATA,
    Column("sequence", SEQUENCE, ForeignKey("journal.sequence"), primary_key=True),
    Column("line", Integer(), primary_key=True),
    _words("kind"),
    _words("debit"),
    _words("credit"),
    _words("commodity"),
    _number("amount"),
    _maybe_words("hold_id"),
    _number("held"),
    CheckConstraint("kind IN ('posted', 'pending', 'post', 'void')", name="kind"),
    CheckConstraint("commodity IN ('msat', 'pusd')", name="commodity"),
    CheckConstraint("amount > 0 OR (amount = 0 AND kind = 'void')", name="amount"),
    CheckConstraint("debit <> credit", name="sides"),
    CheckConstraint("(kind = 'posted') = (hold_id IS NULL)", name="hold"),
    CheckConstraint(
        f"(held = 0 AND NOT {RESOLVED}) OR (held > 0 AND held >= amount AND {RESOLVED})",
        name="held",
    ),
    _index("uq_transfer_reserved", "hold_id", unique=True, where=PENDING),
    _index("uq_transfer_resolved", "hold_id", unique=True, where=RESOLVED),
    sqlite_with_rowid=False,
)

ACCOUNT = Table(
    "account",
    METADATA,
    Column("code", KEY, primary_key=True),
    _words("commodity"),
    _words("nature"),
    _flag("exact"),
    *map(_number, COUNTERS),
    *map(_carried, CARRIED),
    CheckConstraint("commodity IN ('msat', 'pusd')", name="commodity"),
    CheckConstraint("nature IN ('asset', 'liability', 'income', 'expense', 'memo')", name="nature"),
    *(CheckConstraint(f"{name} BETWEEN 0 AND {COUNTER_MAX}", name=name) for name in COUNTERS),
    # An exact liability is what we owe one caller: the last line before it is spent twice.
    CheckConstraint(
        "exact = 0 OR nature <> 'liability' "
        "OR credits_posted - debits_posted - debits_pending >= 0",
        name="spendable",
    ),
    sqlite_with_rowid=False,
)

ESCROW = Table(
    ESCROW_SPEC.table,
    METADATA,
    *_columns(ESCROW_SPEC),
    _index("uq_escrow_opened", "opened_sequence", unique=True),
    _index("ix_escrow_request", "request_key", "opened_sequence"),
    _index("ix_escrow_address", "address_key", "opened_sequence"),
    _index("uq_escrow_request_open", "request_key", unique=True, where=OCCUPIED),
    _index("uq_escrow_address_open", "address_key", unique=True, where=OCCUPIED_NAMELESS),
    _index("uq_escrow_idempotency", "idempotency_key", unique=True, where=KEYED),
    _index("uq_escrow_payment", "payment_hash", unique=True, where="payment_hash IS NOT NULL"),
    _index("ix_escrow_due", "due_at_ms", "escrow_id", where="due_at_ms IS NOT NULL"),
    _index("ix_escrow_unfinished", "escrow_id", where=UNFINISHED),
    _index("ix_escrow_invoiced", "escrow_id", "payment_hash", where=INVOICED),
    _index("ix_escrow_open_of_caller", "caller_id", "opened_sequence", where=INVOICED),
    _index("ix_escrow_quarantined", "escrow_id", where=QUARANTINED),
    _index("ix_escrow_task_of_seller", "seller_id", "opened_sequence", where=OPEN_TASK),
    _index("ix_escrow_task", "opened_sequence", where=TASK),
)

RUN = Table(
    RUN_SPEC.table,
    METADATA,
    *_columns(RUN_SPEC),
    _index("ix_run_generation", "generation_id", where="generation_id IS NOT NULL"),
    _index("ix_run_due", "due_at_ms", "escrow_id", where="due_at_ms IS NOT NULL"),
    _index("ix_run_in_flight", "run_state", where=IN_FLIGHT),
    _index("ix_run_awaited", "lookup_at_ms", where="lookup_at_ms IS NOT NULL"),
    _index("ix_run_unexplained", "opened_sequence", where=UNEXPLAINED),
    _index("ix_run_unconfirmed", "cost_pusd", where=UNCONFIRMED),
)

TOPUP = Table(
    TOPUP_SPEC.table,
    METADATA,
    *_columns(TOPUP_SPEC),
    _index("uq_topup_opened", "opened_sequence", unique=True),
    _index("uq_topup_address_open", "address_key", unique=True, where=TOPUP_OPEN),
    _index("uq_topup_payment", "payment_hash", unique=True),
    _index("ix_topup_invoiced", "topup_id", "payment_hash", where=TOPUP_INVOICED),
    _index("ix_topup_quarantined", "topup_id", where=QUARANTINED),
)

API_KEY = Table(
    API_KEY_SPEC.table,
    METADATA,
    *_columns(API_KEY_SPEC),
    _index("uq_api_key_opened", "opened_sequence", unique=True),
    _index("uq_api_key_secret", "secret_sha256", unique=True),
    _index("ix_api_key_of_caller", "caller_id", "opened_sequence"),
)

BODY = Table(
    "body",
    METADATA,
    Column("escrow_id", KEY, ForeignKey("escrow.escrow_id"), primary_key=True),
    Column("wrapped_key", LargeBinary(), nullable=False),
    Column("request", LargeBinary(), nullable=True),
    Column("completion", LargeBinary(), nullable=True),
)

# The name of the key of the day that a body is sealed with.
SEALED_WITH = func.substr(BODY.c.wrapped_key, literal_column("1"), literal_column(f"{NAME_BYTES}"))
Index(
    "ix_body_sealed_with",
    SEALED_WITH,
    sqlite_where=text(SEALED_BY_DAY),
    postgresql_where=text(SEALED_BY_DAY),
)

SETTLE_CURSOR = Table(
    "settle_cursor",
    METADATA,
    Column("node_pubkey", KEY, primary_key=True),
    _number("settle_index"),
)

CALLER = Table(
    "caller",
    METADATA,
    Column("caller_id", KEY, primary_key=True),
    _flag("blocked"),
    _maybe_number("cap_msat"),
)

# Whose invoices these are: the row of the highest number.
NODE_ADOPTION = Table(
    NODE_SPEC.table,
    METADATA,
    *_columns(NODE_SPEC),
    sqlite_with_rowid=False,
)

# How many numbered entries of one name the journal holds: counting them would walk it.
TALLY = Table("tally", METADATA, Column("name", KEY, primary_key=True), _number("entries"))

# Tells the secret that these books were begun with from any other.
SECRET_MARK = Table(
    "secret_mark",
    METADATA,
    Column(
        "number",
        Integer(),
        CheckConstraint("number = 1", name="number"),
        primary_key=True,
        autoincrement=False,
    ),
    _words("mark"),
)


def stored_in(spec: RowSpec[Any]) -> FromClause:
    """The table of the spec."""
    return METADATA.tables[spec.table]


def selected(
    spec: RowSpec[Any],
    within: Callable[[RowSpec[Any]], FromClause] = stored_in,
    *,
    by: Collection[str] = (),
) -> Select[Any]:
    """Reads rows of the spec with those that are joined to them, in the order of decoding.

    `by` names the columns that they are joined by, where those are not all: a sale is joined with
    each of its runs by its own key alone.
    """
    columns, rows = _read(spec, within, by)
    return select(*columns).select_from(rows)


def _read(
    spec: RowSpec[Any], within: Callable[[RowSpec[Any]], FromClause], by: Collection[str]
) -> tuple[list[ColumnElement[Any]], FromClause]:
    own = within(spec)
    columns: list[ColumnElement[Any]] = [own.c[name] for name in spec.columns]
    rows = own
    for joined in spec.joined:
        other, theirs = within(joined.spec), _read(joined.spec, within, by)
        pairs = [(mine, its) for mine, its in joined.on if not by or mine in by]
        rows = rows.join(theirs[1], and_(*(own.c[mine] == other.c[its] for mine, its in pairs)))
        columns += theirs[0]
    return columns, rows
