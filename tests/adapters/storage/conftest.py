"""Books in a file of the test's own."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cobot_meter.adapters.storage.reports import StoredReports
from cobot_meter.adapters.storage.sqlite.books import SqliteBooks, open_sqlite_books
from cobot_meter.adapters.storage.sqlite.reports import open_sqlite_reports
from cobot_meter.adapters.storage.sqlite.schema import upgrade
from tests.contracts.books.books_samples import RETENTION


@pytest.fixture(scope="session")
def empty_books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the tables in it, to be copied: a migration takes longer than most tests."""
    made = tmp_path_factory.mktemp("books") / "empty.sqlite3"
    upgrade(made)
    return made


@pytest.fixture
def path(tmp_path: Path, empty_books: Path) -> Path:
    """Where the books are; nothing is written in them."""
    return Path(shutil.copy(empty_books, tmp_path / "books.sqlite3"))


@pytest.fixture
async def books(path: Path) -> AsyncIterator[SqliteBooks]:
    """Open and empty."""
    async with open_sqlite_books(path, retention=RETENTION) as books:
        yield books


@pytest.fixture
async def reports(books: SqliteBooks, path: Path) -> AsyncIterator[StoredReports]:
    """Reading beside `books`, which made the file."""
    await books.ping()
    async with open_sqlite_reports(path) as reports:
        yield reports
