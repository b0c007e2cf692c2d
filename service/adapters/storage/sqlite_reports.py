"""The port `LedgerReports` over one SQLite file, beside a running service or without one.

Must not know: the writer. Nothing here can write.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import (
    AbstractAsyncContextManager,
    aclosing,
    asynccontextmanager,
    closing,
    nullcontext,
)
from pathlib import Path
from typing import Any

from service.adapters.storage.compiled import Statement
from service.adapters.storage.escrow_rows import escrow_from_row
from service.adapters.storage.ledger_rows import (
    balance_from_row,
    entries_from_rows,
    standing_from_rows,
    topup_from_row,
)
from service.adapters.storage.migrate import HEAD
from service.adapters.storage.report_queries import ReportStatements, report_statements
from service.adapters.storage.report_sessions import ReportSession, ReportSessions
from service.adapters.storage.sqlite_connections import connect_reader
from service.adapters.storage.sqlite_queries import read_statements
from service.domain.accounts import available, caller_accounts
from service.domain.callers import CallerStanding
from service.domain.errors import SettingInvalid
from service.domain.escrow_record import Escrow
from service.domain.topups import Topup
from service.ports.ledger_reports import Balance, JournalEntry, LedgerReports

_SEQUENCE_MAX = 2**63 - 1
_CALLERS_END = "caller0"  # the first code after every code that begins with `caller/`

Session = Callable[[], AbstractAsyncContextManager[ReportSession]]


@asynccontextmanager
async def open_sqlite_reports(path: Path) -> AsyncIterator[SqliteReports]:
    """Open the books at `path` for reading. Raises SettingInvalid when there are none to read."""
    await asyncio.to_thread(_check_readable, path)
    sessions = ReportSessions(path)
    try:
        yield SqliteReports(sessions.session)
    finally:
        await sessions.aclose()


class SqliteReports:
    """Reads over the whole history, on threads of their own."""

    def __init__(self, session: Session) -> None:
        """`session` lends a thread for one read."""
        self._session = session
        self._statements: ReportStatements = report_statements()
        self._standing: Statement = read_statements().standing

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[LedgerReports]:
        """The same reads on one session, which stays at this moment until the end."""
        async with self._session() as session:
            await session.begin()
            try:
                yield _Snapshot(lambda: nullcontext(session))
            finally:
                session.end()

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
            return await session.all(_each(balance_from_row), self._statements.trial_balance)

    def escrows(self, *, state: str | None = None) -> AsyncIterator[Escrow]:
        """See the port."""
        if state is None:
            return self._stream(_each(escrow_from_row), self._statements.escrows)
        return self._stream(_each(escrow_from_row), self._statements.escrows_in, state)

    def topups(self) -> AsyncIterator[Topup]:
        """See the port."""
        return self._stream(_each(topup_from_row), self._statements.topups)

    async def callers(self, *, after: str, limit: int) -> tuple[CallerStanding, ...]:
        """In the order of their accounts' codes, which for ids of one length is that of the ids."""
        async with self._session() as session:
            return await session.run(self._read_callers, session, after, limit)

    def _read_callers(
        self, session: ReportSession, after: str, limit: int
    ) -> tuple[CallerStanding, ...]:
        """On the session's thread."""
        bounds = (available(after).code, _CALLERS_END)
        found = session.execute(self._statements.callers, *bounds, limit).fetchall()
        return tuple(self._read_caller(session, code.split("/")[1]) for (code,) in found)

    def _read_caller(self, session: ReportSession, caller_id: str) -> CallerStanding:
        codes = (account.code for account in caller_accounts(caller_id))
        return standing_from_rows(caller_id, session.execute(self._standing, caller_id, *codes))

    async def _stream(
        self, made: Callable[[Any], Any], statement: Statement, *values: str | int
    ) -> AsyncIterator[Any]:
        async with (
            self._session() as session,
            aclosing(session.stream(made, statement, *values)) as stream,
        ):
            async for value in stream:
                yield value


class _Snapshot(SqliteReports):
    """Reports that stand still."""

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[LedgerReports]:
        """Itself: there is no other moment to see."""
        yield self


def _each(made: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda rows: map(made, rows)


def _check_readable(path: Path) -> None:
    """Books of this version, or one line that says what is wrong."""
    if not path.exists():
        raise SettingInvalid(f"there are no books at {path}: start the service once to make them")
    try:
        with closing(connect_reader(path, busy_timeout_s=1.0)) as connection:
            found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.DatabaseError as error:
        raise SettingInvalid(f"{path} holds no books of this service: {error}") from error
    if found != (HEAD,):
        raise SettingInvalid(
            f"the books at {path} have schema {found and found[0]} and this version reads {HEAD}: "
            "start the service once to bring them up to date"
        )
