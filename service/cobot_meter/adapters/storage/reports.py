"""The port `LedgerReports` over whatever lends sessions that read. Nothing here can write.

Reports may walk the history. Only a caller's own statement and the page of callers are found by an
index, because requests ask for them.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
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

from cobot_meter.adapters.storage.audit_queries import (
    AuditStatements,
    audit_statements,
    bodies_from_rows,
    escrow_marks_from_rows,
    run_marks_from_rows,
    topup_marks_from_rows,
    words_from_rows,
)
from cobot_meter.adapters.storage.ledger_rows import (
    ENTRY_COLUMNS,
    HALF,
    TRANSFER_COLUMNS,
    balance_from_row,
    entries_from_rows,
    standing_from_rows,
    sum_from_row,
)
from cobot_meter.adapters.storage.read_queries import ESCAPE, read_statements, subject_statements
from cobot_meter.adapters.storage.sql_text import Statement, compiled, dialect_of, with_legs
from cobot_meter.adapters.storage.table_specs import ESCROW_SPEC, NODE_SPEC, RUN_SPEC, TOPUP_SPEC
from cobot_meter.adapters.storage.tables import (
    ACCOUNT,
    CARRIED,
    COUNTERS,
    ESCROW,
    JOURNAL,
    RUN,
    TOPUP,
    TRANSFER,
    selected,
)
from cobot_meter.domain.callers import CallerStanding
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.ledger.accounts import available, caller_accounts
from cobot_meter.domain.run.record import Run
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.transitions.kinds import RELEASES
from cobot_meter.domain.transitions.transition import SettleCursor
from cobot_meter.ports.books import Releases
from cobot_meter.ports.ledger_reports import (
    Balance,
    BodyDigests,
    InvoicePage,
    JournalEntry,
    LedgerReports,
    RowMark,
    SmallRows,
    Standing,
)

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
    runs: Statement
    topups: Statement
    callers: Statement


@functools.cache
def report_statements(database: str = "sqlite") -> ReportStatements:
    """Compile them all for `sqlite` or `postgresql`, once in a process."""
    dialect = dialect_of(database)

    def sql(clause: ClauseElement, *names: str) -> Statement:
        return compiled(clause, *names, dialect=dialect)

    newest = ESCROW.c.opened_sequence.desc()
    escrows = selected(ESCROW_SPEC).order_by(newest)
    topups = selected(TOPUP_SPEC)
    return ReportStatements(
        statement=sql(_statement(), "caller_id", "before", "limit"),
        journal=sql(_journal(), "after"),
        balances=with_legs(sql(_balances()), database),
        trial_balance=with_legs(sql(_trial_balance()), database),
        escrows=sql(escrows),
        runs=sql(selected(RUN_SPEC).order_by(RUN.c.opened_sequence.desc())),
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


_SEQUENCE_MAX = 2**63 - 1
_CALLERS_END = "caller0"  # the first code after every code that begins with `caller/`


class Session(Protocol):
    """Reads one after the other. Every method raises BooksBusy."""

    async def all(
        self, made: Callable[[Any], Any], statement: Statement, *values: str | int | bytes
    ) -> tuple[Any, ...]:
        """Everything that `made` makes of the rows."""

    def stream(
        self, made: Callable[[Any], Any], statement: Statement, *values: str | int | bytes
    ) -> AsyncGenerator[Any, None]:
        """The same one by one, all of one moment."""

    async def begin(self) -> None:
        """See one moment from here on, in every read."""

    async def end(self) -> None:
        """See what is written from here on."""


Sessions = Callable[[], AbstractAsyncContextManager[Session]]


class StoredReports:
    """Reads over the whole history, each on a session of its own."""

    def __init__(self, session: Sessions, *, database: str) -> None:
        """`session` lends one; `database` is `sqlite` or `postgresql`."""
        self._session = session
        self._database = database
        self._statements: ReportStatements = report_statements(database)
        self._audit: AuditStatements = audit_statements(database)
        self._keyed = read_statements(database)
        self._subjects = subject_statements(database)
        self._standing: Statement = self._keyed.standing
        self._entry_facts: Statement = self._keyed.entry_facts
        self._tally: Statement = self._keyed.tally

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[LedgerReports]:
        """The same reads on one session, which stays at this moment until the end."""
        async with self._session() as session:
            await session.begin()
            try:
                yield _Snapshot(lambda: nullcontext(session), database=self._database)
            finally:
                await session.end()

    async def statement(
        self, caller_id: str, *, before: int | None, limit: int
    ) -> tuple[JournalEntry, ...]:
        """Found by the caller's own index; see the port."""
        below = _SEQUENCE_MAX if before is None else before
        async with self._session() as session:
            return await session.all(
                entries_from_rows, self._statements.statement, caller_id, below, limit
            )

    def journal(self, *, after: int = 0) -> AsyncIterator[JournalEntry]:
        """See the port."""
        return self._stream(entries_from_rows, self._statements.journal, after)

    async def balances(self) -> tuple[Balance, ...]:
        """See the port."""
        async with self._session() as session:
            return await session.all(_each(balance_from_row), self._statements.balances)

    async def trial_balance(self) -> tuple[Balance, ...]:
        """See the port."""
        async with self._session() as session:
            return await session.all(_each(sum_from_row), self._statements.trial_balance)

    async def subject(self, name: str) -> Escrow | Topup | None:
        """By four unique indexes, one after the other; see the port."""
        keyed = self._keyed
        async with self._session() as session:
            for made, statement in (
                (ESCROW_SPEC.decode, keyed.escrow),
                (TOPUP_SPEC.decode, keyed.topup),
                (ESCROW_SPEC.decode, keyed.escrow_of_payment),
                (TOPUP_SPEC.decode, keyed.topup_of_payment),
            ):
                found = await session.all(_each(made), statement, name)
                if found:
                    one: Escrow | Topup = found[0]
                    return one
        return None

    async def subjects_like(
        self, head: str, tail: str, *, limit: int
    ) -> tuple[Escrow | Topup, ...]:
        """See the port."""
        pattern = f"{_escaped(head)}%{_escaped(tail)}"
        found = await self._newest(self._subjects.like, pattern, pattern, limit)
        return tuple(one for _, one in found[:limit])

    async def invoice_page(
        self, *, state: str | None, before: int | None, limit: int
    ) -> InvoicePage:
        """See the port."""
        below = _SEQUENCE_MAX if before is None else before
        if state is None:
            found = await self._newest(self._subjects.pages, below, limit)
        else:
            found = await self._newest(self._subjects.pages_in, below, state, limit)
        page = found[:limit]
        return InvoicePage(
            rows=tuple(one for _, one in page),
            before=page[-1][0] if len(page) == limit else None,
        )

    async def _newest(
        self, statements: tuple[Statement, Statement], *values: str | int
    ) -> list[tuple[int, Escrow | Topup]]:
        """Escrows and top-ups in the one order in which the journal opened them."""
        escrows, topups = statements
        async with self._session() as session:
            found = [
                *await session.all(_numbered(ESCROW_SPEC.decode), escrows, *values),
                *await session.all(_numbered(TOPUP_SPEC.decode), topups, *values),
            ]
        return sorted(found, key=lambda one: one[0], reverse=True)

    def escrows(self) -> AsyncIterator[Escrow]:
        """See the port."""
        return self._stream(_each(ESCROW_SPEC.decode), self._statements.escrows)

    def runs(self) -> AsyncIterator[Run]:
        """See the port."""
        return self._stream(_each(RUN_SPEC.decode), self._statements.runs)

    def topups(self) -> AsyncIterator[Topup]:
        """See the port."""
        return self._stream(_each(TOPUP_SPEC.decode), self._statements.topups)

    async def alarms(self, *, limit: int) -> Standing:
        """Found by small indexes; see the port."""
        keyed = self._keyed
        async with self._session() as session:
            tally = await session.all(tuple, keyed.tally, RELEASES)
            words = tally[0][0] if tally else 0
            facts = await session.all(tuple, keyed.entry_facts, f"{RELEASES}/{words - 1}")
            escrows = await session.all(tuple, keyed.quarantined_escrows, "", limit)
            topups = await session.all(tuple, keyed.quarantined_topups, "", limit)
        reason = orjson.loads(facts[0][0])["reason"] if facts else ""
        return Standing(
            releases=Releases(words=words, reason=reason),
            quarantined=tuple(sorted(row[0] for row in (*escrows, *topups))[:limit]),
        )

    async def callers(self, *, after: str, limit: int) -> tuple[CallerStanding, ...]:
        """In the order of their accounts' codes, which for ids of one length is that of the ids."""
        bounds = (available(after).code, _CALLERS_END)
        async with self._session() as session:
            found = await session.all(tuple, self._statements.callers, *bounds, limit)
            return tuple([await self._caller(session, code.split("/")[1]) for (code,) in found])

    async def entry_facts(self, key: str) -> Mapping[str, str | int | None] | None:
        """By the journal's own index."""
        async with self._session() as session:
            rows = await session.all(tuple, self._entry_facts, key)
        return orjson.loads(rows[0][0]) if rows else None

    async def numbered(self, name: str) -> int:
        """From the tally."""
        async with self._session() as session:
            rows = await session.all(tuple, self._tally, name)
        return rows[0][0] if rows else 0

    async def body_keys(self, *, limit: int) -> tuple[str, ...]:
        """From name to name; see the port."""
        names: list[str] = []
        after = b""
        async with self._session() as session:
            while len(names) < limit:
                rows = await session.all(tuple, self._keyed.next_body_key, after)
                if not rows:
                    break
                after = rows[0][0]
                names.append(after.decode("latin-1"))
        return tuple(names)

    def escrow_marks(self) -> AsyncIterator[RowMark]:
        """See the port."""
        return self._stream(escrow_marks_from_rows, self._audit.escrow_marks)

    def run_marks(self) -> AsyncIterator[RowMark]:
        """See the port."""
        return self._stream(run_marks_from_rows, self._audit.run_marks)

    def topup_marks(self) -> AsyncIterator[RowMark]:
        """See the port."""
        return self._stream(topup_marks_from_rows, self._audit.topup_marks)

    def body_digests(self) -> AsyncIterator[BodyDigests]:
        """See the port; what is sealed never leaves the database."""
        return self._stream(bodies_from_rows, self._audit.bodies)

    async def small_rows(self) -> SmallRows:
        """See the port."""
        audit = self._audit
        async with self._session() as session:
            counted = await session.all(tuple, audit.entries) if audit.entries else ()
            return SmallRows(
                cursors=tuple(
                    SettleCursor(node_pubkey=pubkey, settle_index=index)
                    for pubkey, index in await session.all(tuple, audit.cursors)
                ),
                words=await session.all(words_from_rows, audit.words),
                adoptions=await session.all(_each(NODE_SPEC.decode), audit.adoptions),
                tallies=dict(await session.all(tuple, audit.tallies)),
                entries=counted[0][0] if counted else None,
                strays=tuple(row[0] for row in await session.all(tuple, audit.strays)),
            )

    async def _caller(self, session: Session, caller_id: str) -> CallerStanding:
        codes = (account.code for account in caller_accounts(caller_id))
        rows = await session.all(tuple, self._standing, caller_id, *codes)
        return standing_from_rows(caller_id, rows)

    async def _stream(
        self, made: Callable[[Any], Any], statement: Statement, *values: str | int | bytes
    ) -> AsyncIterator[Any]:
        async with (
            self._session() as session,
            aclosing(session.stream(made, statement, *values)) as stream,
        ):
            async for value in stream:
                yield value


class _Snapshot(StoredReports):
    """Reports that stand still."""

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[LedgerReports]:
        """Itself: there is no other moment to see."""
        yield self


def _each(made: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda rows: map(made, rows)


def _numbered(made: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """With the number that each row ends with."""
    return lambda rows: ((row[-1], made(row[:-1])) for row in rows)


def _escaped(text: str) -> str:
    """As a pattern that means these characters; ids have `_`, which would mean any."""
    for one in (ESCAPE, "%", "_"):
        text = text.replace(one, ESCAPE + one)
    return text
