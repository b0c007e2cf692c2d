"""The reads that only an audit makes: what stands beside the rows' own values. They walk tables.

Must not know: connections, threads, or what a right value would be.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ClauseElement, ColumnElement, Select, func, literal_column, or_, select

from cobot_meter.adapters.storage.row_spec import Row
from cobot_meter.adapters.storage.sql_text import Statement, compiled, dialect_of
from cobot_meter.adapters.storage.table_specs import NODE_SPEC
from cobot_meter.adapters.storage.tables import (
    BODY,
    CALLER,
    ESCROW,
    JOURNAL,
    NODE_ADOPTION,
    RUN,
    SETTLE_CURSOR,
    TALLY,
    TOPUP,
    TRANSFER,
    selected,
)
from cobot_meter.ports.ledger_reports import BodyDigests, CallerWord, RowMark

STRAYS_MAX = 100
# What a SQLite connection that reads reports is given under this name; PostgreSQL has its own.
SHA256_HEX = "sha256_hex"
ENTRIES_COUNTED = "SELECT sequence FROM journal_mark"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditStatements:
    """The audit's own reads; `entries` None where the database keeps no count beside."""

    escrow_marks: Statement
    run_marks: Statement
    topup_marks: Statement
    bodies: Statement
    cursors: Statement
    words: Statement
    adoptions: Statement
    tallies: Statement
    strays: Statement
    entries: Statement | None


@functools.cache
def audit_statements(database: str = "sqlite") -> AuditStatements:
    """Compile them all for `sqlite` or `postgresql`, once in a process."""
    dialect = dialect_of(database)

    def sql(clause: ClauseElement) -> Statement:
        return compiled(clause, dialect=dialect)

    escrow, body = ESCROW.c, BODY.c
    digest = _sha256 if database == "postgresql" else _sha256_of_ours
    return AuditStatements(
        escrow_marks=sql(
            select(
                *(escrow.escrow_id, escrow.opened_sequence, escrow.occupies_ask, escrow.due_at_ms)
            )
        ),
        run_marks=sql(select(RUN.c.run_id, RUN.c.opened_sequence, RUN.c.due_at_ms)),
        topup_marks=sql(select(TOPUP.c.topup_id, TOPUP.c.opened_sequence)),
        bodies=sql(
            select(body.escrow_id, *map(digest, (body.wrapped_key, body.request, body.completion)))
        ),
        cursors=sql(select(SETTLE_CURSOR.c.node_pubkey, SETTLE_CURSOR.c.settle_index)),
        words=sql(select(CALLER.c.caller_id, CALLER.c.blocked, CALLER.c.cap_msat)),
        adoptions=sql(selected(NODE_SPEC).order_by(NODE_ADOPTION.c.number)),
        tallies=sql(select(TALLY.c.name, TALLY.c.entries)),
        strays=sql(_strays()),
        entries=Statement(ENTRIES_COUNTED, ()) if database == "postgresql" else None,
    )


def _strays() -> Select[Any]:
    lines = (
        select(
            TRANSFER.c.sequence.label("sequence"),
            func.count().label("lines"),
            func.min(TRANSFER.c.line).label("first"),
            func.max(TRANSFER.c.line).label("last"),
        )
        .group_by(TRANSFER.c.sequence)
        .subquery("lines")
    )
    wrong = or_(
        JOURNAL.c.sequence.is_(None),
        lines.c.first != literal_column("0"),
        lines.c.last != lines.c.lines - literal_column("1"),
    )
    joined = lines.outerjoin(JOURNAL, JOURNAL.c.sequence == lines.c.sequence)
    found = select(lines.c.sequence).select_from(joined).where(wrong)
    limited = found.order_by(lines.c.sequence).limit(literal_column(str(STRAYS_MAX)))
    return limited.offset(literal_column("0"))


def _sha256(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.encode(func.sha256(column), literal_column("'hex'"))


def _sha256_of_ours(column: ColumnElement[Any]) -> ColumnElement[Any]:
    digest: ColumnElement[Any] = getattr(func, SHA256_HEX)(column)
    return digest


def escrow_marks_from_rows(rows: Iterable[Row]) -> Iterator[RowMark]:
    """From `escrow_marks`."""
    for subject_id, opened_sequence, occupies_ask, due_at_ms in rows:
        yield RowMark(
            subject_id=subject_id,
            opened_sequence=opened_sequence,
            occupies_ask=bool(occupies_ask),
            due_at_ms=due_at_ms,
        )


def run_marks_from_rows(rows: Iterable[Row]) -> Iterator[RowMark]:
    """From `run_marks`."""
    for run_id, opened_sequence, due_at_ms in rows:
        yield RowMark(subject_id=run_id, opened_sequence=opened_sequence, due_at_ms=due_at_ms)


def topup_marks_from_rows(rows: Iterable[Row]) -> Iterator[RowMark]:
    """From `topup_marks`."""
    for subject_id, opened_sequence in rows:
        yield RowMark(subject_id=subject_id, opened_sequence=opened_sequence)


def bodies_from_rows(rows: Iterable[Row]) -> Iterator[BodyDigests]:
    """From `bodies`."""
    for escrow_id, wrapped_key, request, completion in rows:
        yield BodyDigests(
            escrow_id=escrow_id, wrapped_key=wrapped_key, request=request, completion=completion
        )


def words_from_rows(rows: Iterable[Row]) -> Iterator[CallerWord]:
    """From `words`."""
    for caller_id, blocked, cap_msat in rows:
        yield CallerWord(caller_id=caller_id, blocked=bool(blocked), cap_msat=cap_msat)
