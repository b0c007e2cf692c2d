"""The reads of whole ledgers: statements, balances, lists. They may walk the history.

Only a caller's own statement and the page of callers are found by an index, because requests ask
for them. Must not know: connections, threads or row shapes.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ClauseElement,
    ColumnElement,
    FromClause,
    Select,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    select,
)

from service.adapters.storage.compiled import Statement, compiled, dialect_of, with_legs
from service.adapters.storage.escrow_rows import ESCROW_COLUMNS
from service.adapters.storage.ledger_rows import (
    ENTRY_COLUMNS,
    HALF,
    TOPUP_COLUMNS,
    TRANSFER_COLUMNS,
)
from service.adapters.storage.tables import (
    ACCOUNT,
    CARRIED,
    COUNTERS,
    ESCROW,
    JOURNAL,
    TOPUP,
    TRANSFER,
)
from service.domain.accounts import caller_accounts

# Accounts that a trial balance adds up, by pattern; the code of the sum has `*` for `%`.
SUMMED = (
    *(account.code for account in caller_accounts("%")),
    "exposure/address/%",
    "exposure/network/%",
    "exposure/unpaid/%",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportStatements:
    """The reads of `LedgerReports`."""

    statement: Statement
    journal: Statement
    balances: Statement
    trial_balance: Statement
    escrows: Statement
    escrows_in: Statement
    topups: Statement
    callers: Statement


@functools.cache
def report_statements(database: str = "sqlite") -> ReportStatements:
    """Compile them all for `sqlite` or `postgresql`, once in a process."""
    dialect = dialect_of(database)

    def sql(clause: ClauseElement, *names: str) -> Statement:
        return compiled(clause, *names, dialect=dialect)

    newest = ESCROW.c.opened_sequence.desc()
    escrows = select(*(ESCROW.c[name] for name in ESCROW_COLUMNS)).order_by(newest)
    topups = select(*(TOPUP.c[name] for name in TOPUP_COLUMNS))
    return ReportStatements(
        statement=sql(_statement(), "caller_id", "before", "limit"),
        journal=sql(_journal(), "after"),
        balances=with_legs(sql(_balances()), database),
        trial_balance=with_legs(sql(_trial_balance()), database),
        escrows=sql(escrows),
        escrows_in=sql(escrows.where(ESCROW.c.state == bindparam("state")), "state"),
        topups=sql(topups.order_by(TOPUP.c.opened_sequence.desc())),
        callers=sql(_callers(), "after", "end", "limit"),
    )


def _statement() -> Select[Any]:
    """The newest entries of one caller, each with its transfers."""
    own = and_(
        JOURNAL.c.caller_id == bindparam("caller_id"), JOURNAL.c.sequence < bindparam("before")
    )
    newest = select(JOURNAL).where(own).order_by(JOURNAL.c.sequence.desc())
    page = newest.limit(bindparam("limit")).offset(literal_column("0")).subquery("page")
    return _with_transfers(page).order_by(page.c.sequence.desc(), TRANSFER.c.line)


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
