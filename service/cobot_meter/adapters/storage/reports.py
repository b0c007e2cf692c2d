"""The port `LedgerReports` over whatever lends sessions that read. Nothing here can write.

Reports may walk the history. Only a caller's own statement and the page of callers are found by an
index, because requests ask for them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, nullcontext
from typing import Any, Protocol

import orjson

from cobot_meter.adapters.storage.keyed_reads import runs_span
from cobot_meter.adapters.storage.ledger_rows import (
    balance_from_row,
    entries_from_rows,
    standing_codes,
    standing_from_rows,
    sum_from_row,
)
from cobot_meter.adapters.storage.read_queries import (
    ESCAPE,
    read_statements,
    subject_statements,
)
from cobot_meter.adapters.storage.report_queries import (
    AuditStatements,
    ReportStatements,
    audit_statements,
    bodies_from_rows,
    escrow_marks_from_rows,
    opened_marks_from_rows,
    report_statements,
    run_marks_from_rows,
    words_from_rows,
)
from cobot_meter.adapters.storage.sql_text import Statement
from cobot_meter.adapters.storage.table_specs import (
    API_KEY_SPEC,
    ESCROW_SPEC,
    NODE_SPEC,
    RUN_SPEC,
    TOPUP_SPEC,
)
from cobot_meter.domain.api_key.record import ApiKey
from cobot_meter.domain.callers import CallerStanding
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.ledger.accounts import available
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
    TaskPage,
)

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
        """What `made` makes of the rows, one value after the other, all of one moment."""

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

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[LedgerReports]:
        """Lend these reads on one session, which stays at this moment until the end."""
        async with self._session() as session:
            await session.begin()
            try:
                yield _Snapshot(lambda: nullcontext(session), database=self._database)
            finally:
                await session.end()

    async def statement(
        self, caller_id: str, *, before: int | None, limit: int
    ) -> tuple[JournalEntry, ...]:
        """At most `limit` of the caller's journal entries below sequence `before`, newest first.

        Found by the caller's own index and that of sellers. Raises BooksBusy.
        """
        page = (caller_id, _SEQUENCE_MAX if before is None else before, limit)
        async with self._session() as session:
            return await session.all(
                entries_from_rows, self._statements.statement, *page, *page, limit
            )

    async def sold_tasks(
        self, seller_id: str, *, before: int | None, limit: int
    ) -> tuple[Escrow, ...]:
        """Of at most `limit` of a seller's entries below sequence `before`. Raises BooksBusy."""
        page = (seller_id, _SEQUENCE_MAX if before is None else before, limit)
        async with self._session() as session:
            return await session.all(_each(ESCROW_SPEC.decode), self._statements.sold_tasks, *page)

    def journal(self, *, after: int = 0) -> AsyncIterator[JournalEntry]:
        """Every entry above sequence `after` with its transfers, in order, from one statement."""
        return self._stream(entries_from_rows, self._statements.journal, after)

    async def balances(self) -> tuple[Balance, ...]:
        """Every account's four counters, in the order of the codes.

        From the account rows; in PostgreSQL with the legs that are not rolled up yet.
        """
        async with self._session() as session:
            return await session.all(_each(balance_from_row), self._statements.balances)

    async def trial_balance(self) -> tuple[Balance, ...]:
        """Operator accounts one by one, and one sum for each pattern of SUMMED.

        One statement over every account row, in the order of the codes.
        """
        async with self._session() as session:
            return await session.all(_each(sum_from_row), self._statements.trial_balance)

    async def subject(self, name: str) -> Escrow | Topup | None:
        """The escrow or top-up of this id or payment hash; None when there is none.

        By four unique indexes, one after the other. Raises BooksBusy.
        """
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
        """At most `limit` of those whose id or payment hash begins and ends so, newest first.

        By LIKE, which walks both tables; `head` and `tail` are taken literally.
        """
        pattern = f"{_escaped(head)}%{_escaped(tail)}"
        found = await self._newest(self._subjects.like, pattern, pattern, limit)
        return tuple(one for _, one in found[:limit])

    async def invoice_page(
        self, *, state: str | None, before: int | None, limit: int
    ) -> InvoicePage:
        """At most `limit` of those that have an invoice, newest first; any `state` when it is None.

        One statement for escrows and one for top-ups, of those opened below sequence `before`. The
        page's own `before` is that of its last row, None when it is not full.
        """
        below = _SEQUENCE_MAX if before is None else before
        pages = self._subjects.pages if state is None else self._subjects.pages_in
        found = await self._newest(pages, below, *([] if state is None else [state]), limit)
        page = found[:limit]
        return InvoicePage(
            rows=tuple(one for _, one in page),
            before=page[-1][0] if len(page) == limit else None,
        )

    async def task_page(self, *, before: int | None, limit: int) -> TaskPage:
        """At most `limit` tasks opened below sequence `before`, newest first.

        By an index of tasks alone. Raises BooksBusy.
        """
        below = _SEQUENCE_MAX if before is None else before
        decoded = _numbered(ESCROW_SPEC.decode)
        async with self._session() as session:
            found = await session.all(decoded, self._subjects.tasks, below, limit)
        return TaskPage(
            rows=tuple(one for _, one in found),
            before=found[-1][0] if len(found) == limit else None,
        )

    async def runs_of(self, escrow_id: str) -> tuple[Run, ...]:
        """By their own keys, in the order of their numbers. Raises BooksBusy."""
        async with self._session() as session:
            found = await session.all(
                _each(RUN_SPEC.decode), self._keyed.runs_of, *runs_span(escrow_id)
            )
        return tuple(sorted(found, key=lambda run: run.number))

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
        """Every escrow with the run that it lives by, newest first; one statement, streamed."""
        return self._stream(_each(ESCROW_SPEC.decode), self._statements.escrows)

    def runs(self) -> AsyncIterator[Run]:
        """Every run of every escrow, newest first; one statement, streamed."""
        return self._stream(_each(RUN_SPEC.decode), self._statements.runs)

    def topups(self) -> AsyncIterator[Topup]:
        """Every top-up, newest first; one statement, streamed."""
        return self._stream(_each(TOPUP_SPEC.decode), self._statements.topups)

    def api_keys(self) -> AsyncIterator[ApiKey]:
        """Every API key, revoked ones too, newest first; one statement, streamed."""
        return self._stream(_each(API_KEY_SPEC.decode), self._statements.api_keys)

    async def alarms(self, *, limit: int) -> Standing:
        """Whether releases are stopped and why, and at most `limit` ids in quarantine, sorted.

        Found by keys and small indexes. Raises BooksBusy.
        """
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
            rows = await session.all(tuple, self._keyed.entry_facts, key)
        return orjson.loads(rows[0][0]) if rows else None

    async def numbered(self, name: str) -> int:
        """From the tally."""
        async with self._session() as session:
            rows = await session.all(tuple, self._keyed.tally, name)
        return rows[0][0] if rows else 0

    async def body_keys(self, *, limit: int) -> tuple[str, ...]:
        """At most `limit` names of keys that sealed bodies name, each once and in order.

        From name to name: one look into an index for each, however many bodies there are.
        """
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
        """Of every escrow row: id, opening sequence, whether it occupies its ask, due Unix ms."""
        return self._stream(escrow_marks_from_rows, self._audit.escrow_marks)

    def run_marks(self) -> AsyncIterator[RowMark]:
        """Of every run's row: its own id, opening sequence and due time in Unix ms."""
        return self._stream(run_marks_from_rows, self._audit.run_marks)

    def topup_marks(self) -> AsyncIterator[RowMark]:
        """Of every top-up row: id and opening sequence."""
        return self._stream(opened_marks_from_rows, self._audit.topup_marks)

    def api_key_marks(self) -> AsyncIterator[RowMark]:
        """Of every API key row: id and opening sequence."""
        return self._stream(opened_marks_from_rows, self._audit.api_key_marks)

    def body_digests(self) -> AsyncIterator[BodyDigests]:
        """SHA-256, in hexadecimal, of each row of sealed bodies.

        The statement itself digests them: what is sealed is never handed out.
        """
        return self._stream(bodies_from_rows, self._audit.bodies)

    async def small_rows(self) -> SmallRows:
        """The cursors, operator's words, adoptions, tallies and strays, a statement for each.

        Of one moment only in a `snapshot`. Raises BooksBusy.
        """
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
        codes = standing_codes(caller_id)
        rows = await session.all(tuple, self._keyed.standing, caller_id, *codes)
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
