"""Every statement that the writer runs, compiled once from Core.

Each touches rows by key or by a unique index: no statement here reads history. A field says what
it does; its `names` are its parameters, in order. Must not know: connections, threads, or when a
transaction begins.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ClauseElement,
    ColumnElement,
    Table,
    TableClause,
    Update,
    bindparam,
    case,
    column,
    delete,
    func,
    literal_column,
    null,
    select,
    table,
    text,
    update,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import Insert, insert

from cobot_meter.adapters.storage.ledger_rows import (
    JOURNAL_COLUMNS,
    TRANSFER_COLUMNS,
)
from cobot_meter.adapters.storage.moves import (
    CAP_TERMS,
    CARRY_MOVE,
    MOVE,
    cap,
    carry,
    claimed,
    move,
)
from cobot_meter.adapters.storage.row_spec import (
    MOVES_MAX,
    OPENED_SEQUENCE,
    VERSION,
    RowSpec,
    moved_by,
)
from cobot_meter.adapters.storage.sql_text import Statement, compiled, dialect_of
from cobot_meter.adapters.storage.tables import (
    ACCOUNT,
    BODY,
    CALLER,
    COUNTERS,
    JOURNAL,
    PENDING,
    SETTLE_CURSOR,
    TALLY,
    TRANSFER,
    selected,
)

# How many rows one statement takes; more are written in several.
ROWS_MAX = 8
ACCOUNT_ROW = ("code", "commodity", "nature", "exact", *COUNTERS)
TRANSFER_ROW = ("sequence", "line", *TRANSFER_COLUMNS)

Compile = Callable[..., Statement]


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteStatements:
    """The writer's statements; of those in tuples, number n - 1 takes n rows."""

    add_entry: Statement
    add_transfers: tuple[Statement, ...]
    reserved: tuple[Statement, ...]
    open_accounts: tuple[Statement, ...]
    move: Statement
    carry: Statement
    move_within_limit: Statement
    move_within_cap: Statement
    claimed: Statement
    cap: Statement
    keep_bodies: Statement
    add_bodies: Statement
    drop_bodies: Statement
    advance_cursor: Statement
    set_caller: Statement
    count_entry: Statement


@functools.cache
def write_statements() -> WriteStatements:
    """Compile them all for SQLite, once in a process."""
    dialect = sqlite.dialect(paramstyle="qmark")

    def sql(clause: ClauseElement, *names: str) -> Statement:
        return compiled(clause, *names, dialect=dialect)

    return WriteStatements(
        **_journal(sql), **_accounts(sql), **_bodies(sql),
        advance_cursor=sql(_advance_cursor(), "node_pubkey", "settle_index"),
        set_caller=sql(_set_caller(), "caller_id", "blocked", "cap_msat"),
        count_entry=sql(_count_entry(), "name"),
    )  # fmt: skip


@functools.cache
def open_row(spec: RowSpec[Any]) -> Statement:
    """Writes a row that is not there yet; beside a version, the number of its entry comes last."""
    names = (*spec.opening.columns, *((OPENED_SEQUENCE,) if spec.versioned else ()))
    opened = _insert(_table(spec), names)
    return compiled(opened, *names, dialect=dialect_of("sqlite"))


@functools.lru_cache(maxsize=MOVES_MAX)
def move_row(
    spec: RowSpec[Any], changed: tuple[str, ...] | None, still_up: tuple[str, ...] = ()
) -> Statement:
    """Gives a row other values in the columns of these fields, at the version before."""
    rows, columns = _table(spec), moved_by(spec, changed, still_up).columns
    moved = _set(rows, columns).where(
        rows.c[spec.key] == bindparam("subject_id"), rows.c[VERSION] == bindparam("before")
    )
    return compiled(moved, *_new(columns), "subject_id", "before", dialect=dialect_of("sqlite"))


@functools.cache
def row_by_key(spec: RowSpec[Any]) -> Statement:
    """What stands in the row of one key."""
    tables = functools.cache(_table)
    one = selected(spec, tables).where(tables(spec).c[spec.key] == bindparam("subject_id"))
    return compiled(one, "subject_id", dialect=dialect_of("sqlite"))


def _table(spec: RowSpec[Any]) -> TableClause:
    """The spec's own names: whatever else the table has is no matter of its rows."""
    names = (*spec.opening.columns, *((OPENED_SEQUENCE,) if spec.versioned else ()))
    return table(spec.table, *(column(name) for name in names))


def _journal(sql: Compile) -> dict[str, Any]:
    entry = _insert(JOURNAL, JOURNAL_COLUMNS).on_conflict_do_nothing(["key"])
    return {
        "add_entry": sql(entry, *JOURNAL_COLUMNS),
        "add_transfers": tuple(
            sql(_insert_rows(TRANSFER, TRANSFER_ROW, rows), *_numbered(TRANSFER_ROW, rows))
            for rows in range(1, ROWS_MAX + 1)
        ),
        "reserved": tuple(_reserved(sql, rows) for rows in range(1, ROWS_MAX + 1)),
    }


def _reserved(sql: Compile, rows: int) -> Statement:
    """What was reserved under these hold ids."""
    names = _numbered(("hold_id",), rows)
    columns = (TRANSFER.c[name] for name in ("hold_id", "debit", "credit", "amount"))
    found = TRANSFER.c.hold_id.in_([bindparam(name) for name in names])
    return sql(select(*columns).where(text(PENDING), found), *names)


def _accounts(sql: Compile) -> dict[str, Any]:
    return {
        "open_accounts": tuple(
            sql(
                _insert_rows(ACCOUNT, ACCOUNT_ROW, rows).on_conflict_do_nothing(["code"]),
                *_numbered(ACCOUNT_ROW, rows),
            )
            for rows in range(1, ROWS_MAX + 1)
        ),
        "move": sql(move(), *MOVE),
        "carry": sql(carry(), *CARRY_MOVE),
        "move_within_limit": sql(move(within=bindparam("limit")), *MOVE, "asked", "limit"),
        "move_within_cap": sql(move(within=cap().scalar_subquery()), *MOVE, "asked", *CAP_TERMS),
        "claimed": sql(select(claimed()).where(ACCOUNT.c.code == bindparam("code")), "code"),
        "cap": sql(cap(), *CAP_TERMS),
    }


def _bodies(sql: Compile) -> dict[str, Any]:
    columns = ("escrow_id", "wrapped_key", "request", "completion")
    kept = _insert(BODY, columns)
    fresh = kept.excluded
    one = BODY.c.escrow_id == bindparam("subject_id")
    completion: ColumnElement[bytes] = func.coalesce(bindparam("new_completion"), BODY.c.completion)
    request = case(
        (bindparam("drop_request") == literal_column("1"), null()),
        else_=func.coalesce(bindparam("new_request"), BODY.c.request),
    )
    return {
        # With a key: the first bodies of an escrow, or other ones in their place.
        "keep_bodies": sql(
            kept.on_conflict_do_update(
                ["escrow_id"],
                set_={
                    "wrapped_key": fresh.wrapped_key,
                    "request": func.coalesce(fresh.request, BODY.c.request),
                    "completion": func.coalesce(fresh.completion, BODY.c.completion),
                },
            ),
            *columns,
        ),
        # Without one: more under the key that is there; nothing once it was dropped.
        "add_bodies": sql(
            update(BODY)
            .ordered_values((BODY.c.request, request), (BODY.c.completion, completion))
            .where(one),
            "drop_request", "new_request", "new_completion", "subject_id",
        ),
        "drop_bodies": sql(delete(BODY).where(one), "subject_id"),
    }  # fmt: skip


def _advance_cursor() -> Insert:
    told = _insert(SETTLE_CURSOR, ("node_pubkey", "settle_index"))
    further = told.excluded.settle_index > SETTLE_CURSOR.c.settle_index
    return told.on_conflict_do_update(
        ["node_pubkey"], set_={"settle_index": told.excluded.settle_index}, where=further
    )


def _set_caller() -> Insert:
    told = _insert(CALLER, ("caller_id", "blocked", "cap_msat"))
    change = {"blocked": told.excluded.blocked, "cap_msat": told.excluded.cap_msat}
    return told.on_conflict_do_update(["caller_id"], set_=change)


def _count_entry() -> Insert:
    first = insert(TALLY).values({"name": bindparam("name"), "entries": literal_column("1")})
    one_more = TALLY.c.entries + literal_column("1", BigInteger())
    return first.on_conflict_do_update(["name"], set_={"entries": one_more})


def _insert(into: TableClause, columns: Sequence[str]) -> Insert:
    return insert(into).values({name: bindparam(name) for name in columns})


def _insert_rows(into: Table, columns: Sequence[str], rows: int) -> Insert:
    return insert(into).values(
        [{name: bindparam(f"{name}_{row}") for name in columns} for row in range(rows)]
    )


def _numbered(columns: Sequence[str], rows: int) -> tuple[str, ...]:
    return tuple(f"{name}_{row}" for row in range(rows) for name in columns)


def _set(rows: TableClause, columns: Sequence[str]) -> Update:
    return update(rows).ordered_values(
        *((rows.c[name], bindparam(f"new_{name}")) for name in columns)
    )


def _new(columns: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"new_{name}" for name in columns)
