"""Books in a file of the test's own."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.adapters.storage.migrate import upgrade
from service.adapters.storage.sqlite_books import SqliteBooks, open_sqlite_books
from service.adapters.storage.sqlite_reports import open_sqlite_reports
from service.adapters.storage.stored_reports import StoredReports
from tests.contracts.books_samples import RETENTION


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
