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
        twins = TwinBooks(fake, real)
        yield cast("Books", twins), reports
        await twins.agreed()


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
        self._under_way: set[asyncio.Task[Any]] = set()
        self._disagreed: list[str] = []

    async def apply(self, transition: Transition) -> Applied:
        return cast("Applied", await self._both("apply", transition))

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def read(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - any read of the port
            return await self._both(name, *arguments, **options)

        return read

    async def agreed(self) -> None:
        """Wait for what is under way; also what nobody waited for, or heard of, has to agree."""
        while self._under_way:
            await asyncio.wait(self._under_way)
        assert self._disagreed == []

    async def _both(self, name: str, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        """Whoever asks may be cancelled between the two: as in a real file, it is written then."""
        pair = asyncio.ensure_future(self._in_turn(name, *arguments, **options))
        self._under_way.add(pair)
        pair.add_done_callback(self._under_way.discard)
        return await asyncio.shield(pair)

    async def _in_turn(self, name: str, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        async with self._turn:
            told = await _outcome(getattr(self._fake, name)(*arguments, **options))
            if isinstance(told, BooksBusy):
                raise told  # a test made the one in memory say so
            said = await _outcome(getattr(self._real, name)(*arguments, **options))
        if _comparable(told) != _comparable(said):
            self._disagreed.append(f"on {name}: {told!r}, and the file says {said!r}")
            raise AssertionError(self._disagreed[-1])
        if isinstance(said, CobotMeterError):
            raise said
        return told


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
