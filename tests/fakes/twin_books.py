"""Books in memory and books in a file side by side: whatever is written or read, they agree.

What only the one in memory would take, or only the one in a file, fails the test that does it. Must
not know: what is written.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from cobot_meter.adapters.storage.sqlite.books import open_sqlite_books
from cobot_meter.adapters.storage.sqlite.reports import open_sqlite_reports
from cobot_meter.adapters.storage.sqlite.schema import upgrade
from cobot_meter.domain.errors import BooksBusy, CobotMeterError, LedgerUnbalanced
from cobot_meter.domain.retention import Retention
from cobot_meter.domain.transitions.transition import Transition
from cobot_meter.ports.books import Applied, Books, Quiet
from cobot_meter.ports.ledger_reports import LedgerReports
from tests.fakes.books import FakeBooks
from tests.fakes.books_rows import BooksRows

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
        twins = FileTwins(fake, real, path)
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
        self._read_of: BooksRows | None = None
        self._read: dict[Hashable, object] = {}

    async def apply(self, transition: Transition) -> Applied:
        """Whoever asks may be cancelled between the two: as in a real file, it is written then."""
        pair = asyncio.ensure_future(self._in_turn("apply", transition))
        self._under_way.add(pair)
        pair.add_done_callback(self._under_way.discard)
        return cast("Applied", await asyncio.shield(pair))

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        # Neither waits for anybody in a read: who is cancelled leaves nothing half done. A ping
        # reads nothing, and tests make it fail.
        return functools.partial(self._in_turn if name == "ping" else self._read_once, name)

    async def agreed(self) -> None:
        """Wait for what is under way; also what nobody waited for, or heard of, has to agree."""
        while self._under_way:
            await asyncio.wait(self._under_way)
        assert self._disagreed == []

    async def _read_once(self, name: str, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        """What both say; asked again only when something was written, as most reads repeat one.

        What is asked with a list, which has no hash, is asked each time.
        """
        if any(not isinstance(one, Hashable) for one in (*arguments, *options.values())):
            return await self._in_turn(name, *arguments, **options)
        if self._read_of is not self._fake.rows:
            self._read_of, self._read = self._fake.rows, {}
        asked, read = (name, arguments, tuple(options.items())), self._read
        if asked not in read:
            read[asked] = await self._in_turn(name, *arguments, **options)
        return read[asked]

    async def _in_turn(self, name: str, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        async with self._turn:
            told = await _outcome(getattr(self._fake, name)(*arguments, **options))
            if isinstance(told, BooksBusy):
                raise told  # a test made the one in memory say so
            said = await _outcome(getattr(self._real, name)(*arguments, **options))
        if told != said and _comparable(told) != _comparable(said):
            self._disagreed.append(f"on {name}: {told!r}, and the file says {said!r}")
            raise AssertionError(self._disagreed[-1])
        if isinstance(said, CobotMeterError):
            raise said
        return told


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """Both books as they were: the rows in memory, and a copy of the file."""

    rows: BooksRows
    copy: Path


class FileTwins(TwinBooks):
    """Books in memory and in a file that can be put back together.

    Neither holds an entry of the kind `unbookable`.
    """

    def __init__(self, fake: FakeBooks, real: Books, path: Path) -> None:
        """`path` is the file of `real`."""
        super().__init__(fake, real)
        self.unbookable: str | None = None
        self._path = path
        self._copies = 0

    async def apply(self, transition: Transition) -> Applied:
        if transition.kind == self.unbookable:
            raise LedgerUnbalanced(f"{transition.key} cannot be booked: out of range")
        return await super().apply(transition)

    def backup(self) -> Backup:
        """Both as they are now."""
        self._copies += 1
        copy = self._path.with_name(f"backup-{self._copies}.sqlite3")
        _copied(self._path, copy)
        return Backup(rows=self._fake.rows, copy=copy)

    def restore(self, backup: Backup) -> None:
        """Both as they were; nobody may be writing."""
        self._fake.rows = backup.rows
        _copied(backup.copy, self._path)


def file_twins(books: object) -> FileTwins:
    """The same books, of which it is known that they are both."""
    assert isinstance(books, FileTwins)
    return books


def _copied(source: Path, target: Path) -> None:
    with (
        contextlib.closing(sqlite3.connect(source)) as read,
        contextlib.closing(sqlite3.connect(target)) as written,
    ):
        read.backup(written)


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
