"""Books in memory and books in a database side by side: whatever is written or read, they agree."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import cast

from cobot_meter.adapters.storage.sqlite.books import open_sqlite_books
from cobot_meter.adapters.storage.sqlite.reports import open_sqlite_reports
from cobot_meter.ports.books import Books
from cobot_meter.ports.ledger_reports import Balance, JournalEntry, LedgerReports
from tests.fakes.twin_books import BOOKS_FILE, TwinBooks
from tests.flows.rigs.process import RETENTION
from tests.flows.rigs.shop import Shop


class TwinShop(Shop):
    """A shop whose flows write to both books."""

    _stack: AsyncExitStack

    def open_books(self, path: Path) -> Books:
        self._stack = AsyncExitStack()
        real = self.wait(self._stack.enter_async_context(self.open_real(path)))
        return cast("Books", TwinBooks(self.books, real))

    def open_real(self, path: Path) -> AbstractAsyncContextManager[Books]:
        """The books that are held against those in memory."""
        return open_sqlite_books(path / BOOKS_FILE, retention=RETENTION)

    def open_reports(self) -> AbstractAsyncContextManager[LedgerReports]:
        """What those say of themselves."""
        return open_sqlite_reports(Path(self.folder.name) / BOOKS_FILE)

    def run_out(self) -> None:
        """As any shop; then the whole of both books, row by row."""
        super().run_out()
        self.wait(self._compare())

    def close(self) -> None:
        """Let go of the file too."""
        self.wait(self._stack.aclose())
        super().close()

    async def _compare(self) -> None:
        async with self.open_reports() as real:
            assert await _moved(real) == await _moved(self.books)
            assert await _trial(real) == await _trial(self.books)
            assert await _journal(real) == await _journal(self.books)
            told = [row async for row in real.escrows()]
            assert told == [row async for row in self.books.escrows()]
            told_topups = [row async for row in real.topups()]
            assert told_topups == [row async for row in self.books.topups()]
            assert await real.callers(after="", limit=1_000) == await self.books.callers(
                after="", limit=1_000
            )


async def _moved(reports: LedgerReports) -> list[Balance]:
    return [row for row in await reports.balances() if _has_moved(row)]


async def _trial(reports: LedgerReports) -> list[Balance]:
    return [row for row in await reports.trial_balance() if _has_moved(row)]


async def _journal(reports: LedgerReports) -> list[JournalEntry]:
    return [replace(entry, sequence=0) async for entry in reports.journal()]


def _has_moved(row: Balance) -> bool:
    return any((row.debits_posted, row.credits_posted, row.debits_pending, row.credits_pending))
