"""The statements of reports, and those that only an audit makes. Most of them walk tables.

Must not know: connections, threads, or what a right value would be.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ClauseElement,
    ColumnElement,
    FromClause,
    Select,
    Table,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    or_,
    select,
    union_all,
)

from cobot_meter.adapters.storage.ledger_rows import ENTRY_COLUMNS, HALF, TRANSFER_COLUMNS
from cobot_meter.adapters.storage.row_spec import Row, RowSpec
from cobot_meter.adapters.storage.sql_text import Statement, compiled, dialect_of, with_legs
from cobot_meter.adapters.storage.table_specs import (
    API_KEY_SPEC,
    ESCROW_SPEC,
    NODE_SPEC,
    RUN_SPEC,
    TOPUP_SPEC,
)
from cobot_meter.adapters.storage.tables import (
    ACCOUNT,
    API_KEY,
    BODY,
    CALLER,
    CARRIED,
    COUNTERS,
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
from cobot_meter.domain.ledger.accounts import caller_accounts
from cobot_meter.ports.ledger_reports import BodyDigests, CallerWord, RowMark

STRAYS_MAX = 100
# What a SQLite connection that reads reports is given under this name; PostgreSQL has its own.
SHA256_HEX = "sha256_hex"
ENTRIES_COUNTED = "SELECT sequence FROM journal_mark"


# Accounts that a trial balance adds up, by pattern; the code of the sum has `*` for `%`.
SUMMED = (
    *(account.code for account in caller_accounts("%")),
    "exposure/address/%",
    "exposure/key/%",
    "exposure/network/%",
    "exposure/unpaid/%",
    "key/%/spent",
    "key/%/day/%",
)


# What a page of a statement takes: of what the caller buys, and of what it sells.
_PAGE = ("caller_id", "before", "limit")
_PAGE_SOLD = ("seller_id", "before_sold", "limit_sold")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportStatements:
    """The reads of `LedgerReports`."""

    statement: Statement
    sold_tasks: Statement
    journal: Statement
    balances: Statement
    trial_balance: Statement
    escrows: Statement
    runs: Statement
    topups: Statement
    api_keys: Statement
    callers: Statement


@functools.cache
def report_statements(database: str = "sqlite") -> ReportStatements:
    """Compile them all for `sqlite` or `postgresql`, once in a process."""
    dialect = dialect_of(database)

    def sql(clause: ClauseElement, *names: str) -> Statement:
        return compiled(clause, *names, dialect=dialect)

    def newest(spec: RowSpec[Any], table: Table) -> Statement:
        return sql(selected(spec).order_by(table.c.opened_sequence.desc()))

    return ReportStatements(
        statement=sql(_statement(), *_PAGE, *_PAGE_SOLD, "rows"),
        sold_tasks=sql(_sold_tasks(), *_PAGE_SOLD),
        journal=sql(_journal(), "after"),
        balances=with_legs(sql(_balances()), database),
        trial_balance=with_legs(sql(_trial_balance()), database),
        escrows=newest(ESCROW_SPEC, ESCROW),
        runs=newest(RUN_SPEC, RUN),
        topups=newest(TOPUP_SPEC, TOPUP),
        api_keys=newest(API_KEY_SPEC, API_KEY),
        callers=sql(_callers(), "after", "end", "limit"),
    )


def _statement() -> Select[Any]:
    """The newest entries of one caller, as buyer and as seller of tasks, with their transfers.

    Each part is a page of its own index: one condition with OR would sort the whole history.
    """
    bought = _newest(JOURNAL.c.caller_id == bindparam("caller_id"), _PAGE)
    both = union_all(select(bought.subquery("bought")), select(_sold().subquery("sold")))
    found = both.subquery("found")
    newest = select(found).order_by(found.c.sequence.desc())
    page = newest.limit(bindparam("rows")).offset(literal_column("0")).subquery("page")
    return _with_transfers(page).order_by(page.c.sequence.desc(), TRANSFER.c.line)


def _sold_tasks() -> Select[Any]:
    """The sales that a page of a seller's entries is of."""
    return selected(ESCROW_SPEC).where(
        ESCROW.c.escrow_id.in_(select(_sold().subquery("sold").c.subject_id))
    )


def _sold() -> Select[Any]:
    """Who buys of itself reads it once: as its buyer."""
    sold = JOURNAL.c.seller_id == bindparam("seller_id")
    own = and_(sold, JOURNAL.c.caller_id != JOURNAL.c.seller_id)
    return _newest(own, _PAGE_SOLD)


def _newest(of: ColumnElement[bool], names: tuple[str, str, str]) -> Select[Any]:
    """A page of entries, below a number and up to a limit, which are called so."""
    _, before, limit = names
    below = JOURNAL.c.sequence < bindparam(before)
    newest = select(*(JOURNAL.c[name] for name in ENTRY_COLUMNS)).where(of, below)
    newest = newest.order_by(JOURNAL.c.sequence.desc()).limit(bindparam(limit))
    return newest.offset(literal_column("0"))


def _journal() -> Select[Any]:
    """Every entry with its transfers, oldest first."""
    entries = _with_transfers(JOURNAL).where(JOURNAL.c.sequence > bindparam("after"))
    return entries.order_by(JOURNAL.c.sequence, TRANSFER.c.line)


def _with_transfers(entries: FromClause) -> Select[Any]:
    joined = entries.outerjoin(TRANSFER, TRANSFER.c.sequence == entries.c.sequence)
    columns = (
        *(entries.c[name] for name in ENTRY_COLUMNS),
        *(TRANSFER.c[name] for name in TRANSFER_COLUMNS),
    )
    return select(*columns).select_from(joined)


def _balances() -> Select[Any]:
    columns = (ACCOUNT.c[name] for name in ("code", "commodity", "nature", *COUNTERS, *CARRIED))
    return select(*columns, ACCOUNT.c.exact).order_by(ACCOUNT.c.code)


def _trial_balance() -> Select[Any]:
    kinds = ((ACCOUNT.c.code.like(_text(kind)), _text(kind.replace("%", "*"))) for kind in SUMMED)
    code = case(*kinds, else_=ACCOUNT.c.code).label("kind")
    half: ColumnElement[int] = literal_column(str(HALF), BigInteger())
    counters, carried = ([ACCOUNT.c[name] for name in names] for names in (COUNTERS, CARRIED))
    parts = [*(one // half for one in counters), *(one % half for one in counters), *carried]
    sums = (cast(func.sum(part), BigInteger) for part in parts)
    return (
        select(code, ACCOUNT.c.commodity, ACCOUNT.c.nature, *sums)
        .group_by(code, ACCOUNT.c.commodity, ACCOUNT.c.nature)
        .order_by(code)
    )


def _callers() -> Select[Any]:
    """The codes of callers' credit accounts between two codes, in order."""
    code = ACCOUNT.c.code
    spendable = and_(ACCOUNT.c.exact == _one(), ACCOUNT.c.nature == _text("liability"))
    between = and_(code > bindparam("after"), code < bindparam("end"), spendable)
    limited = select(code).where(between).order_by(code).limit(bindparam("limit"))
    return limited.offset(literal_column("0"))


def _text(value: str) -> ColumnElement[str]:
    return literal_column(f"'{value}'")


def _one() -> ColumnElement[int]:
    return literal_column("1")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditStatements:
    """The audit's own reads; `entries` None where the database keeps no count beside."""

    escrow_marks: Statement
    run_marks: Statement
    topup_marks: Statement
    api_key_marks: Statement
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
        api_key_marks=sql(select(API_KEY.c.key_id, API_KEY.c.opened_sequence)),
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


def opened_marks_from_rows(rows: Iterable[Row]) -> Iterator[RowMark]:
    """From `topup_marks` and `api_key_marks`."""
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
