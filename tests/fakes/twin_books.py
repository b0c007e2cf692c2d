"""Books in memory and books in a file side by side: whatever is written or read, they agree.

What only the one in memory would take, or only the one in a file, fails the test that does it. Must
not know: what is written.
"""

from __future__ import annotations

import asyncio
import functools
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from service.adapters.storage.migrate import upgrade
from service.adapters.storage.sqlite_books import open_sqlite_books
from service.adapters.storage.sqlite_reports import open_sqlite_reports
from service.domain.errors import BooksBusy, CobotMeterError
from service.domain.ledger import Transition
from service.domain.retention import Retention
from service.ports.books import Applied, Books, Quiet
from service.ports.ledger_reports import LedgerReports
from tests.fakes.books import FakeBooks

BOOKS_FILE = "books.sqlite3"


@asynccontextmanager
async def twin_books(
    fake: FakeBooks, folder: Path, *, retention: Retention
) -> AsyncIterator[tuple[Books, LedgerReports]]:
    """Books that write to `fake` and to a new file in `folder`, and what the file says of them."""
    path = folder / BOOKS_FILE
    path.write_bytes(_empty_file())
    async with (
        open_sqlite_books(path, retention=retention) as real,
        open_sqlite_reports(path) as reports,
    ):
        yield cast("Books", TwinBooks(fake, real)), reports


@functools.cache
def _empty_file() -> bytes:
    """Tables without rows, made once in a process: to make them takes longer than most tests."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / BOOKS_FILE
        upgrade(path)
        return path.read_bytes()


class TwinBooks:
    """Every call goes to both, one at a time, and answers what both say."""

    def __init__(self, fake: FakeBooks, real: Books) -> None:
        """`fake` is the reference, `real` what is held against it."""
        self._fake = fake
        self._real = real
        self._turn = asyncio.Lock()

    async def apply(self, transition: Transition) -> Applied:
        return cast("Applied", await self._both("apply", transition))

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def read(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - any read of the port
            return await self._both(name, *arguments, **options)

        return read

    async def _both(self, name: str, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        async with self._turn:
            told = [await _outcome(getattr(self._fake, name)(*arguments, **options))]
            if isinstance(told[0], BooksBusy):
                raise told[0]  # a test made the one in memory say so
            told.append(await _outcome(getattr(self._real, name)(*arguments, **options)))
        assert _comparable(told[0]) == _comparable(told[1]), f"they disagree on {name}"
        if isinstance(told[0], CobotMeterError):
            raise told[0]
        return told[0]


async def _outcome(work: Awaitable[object]) -> object:
    try:
        return await work
    except CobotMeterError as fault:
        return fault


def _comparable(outcome: object) -> object:
    """A fault by its class and fields, the rest by value; journal numbers may have gaps."""
    if isinstance(outcome, CobotMeterError):
        fields = {name: value for name, value in vars(outcome).items() if name != "message"}
        return type(outcome), fields
    if isinstance(outcome, Quiet):
        return replace(outcome, mark=0)
    return outcome
