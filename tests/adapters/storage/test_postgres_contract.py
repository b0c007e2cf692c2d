"""PostgreSQL keeps the whole contract of books and reports, unchanged."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from service.adapters.storage.postgres_books import PostgresBooks, open_postgres_books
from service.adapters.storage.postgres_reports import open_postgres_reports
from service.adapters.storage.stored_reports import StoredReports
from tests.contracts.books_samples import RETENTION
from tests.contracts.books_suite import BooksSuite
from tests.contracts.books_totals import BooksTexts


class TestPostgresBooks(BooksSuite, BooksTexts):
    """The suite, on a database of each test's own."""

    @pytest.fixture
    async def books(self, database: str) -> AsyncIterator[PostgresBooks]:
        """Open, and empty."""
        async with open_postgres_books(database, retention=RETENTION) as books:
            yield books

    @pytest.fixture
    async def reports(self, books: PostgresBooks, database: str) -> AsyncIterator[StoredReports]:
        """Read beside the writer."""
        async with open_postgres_reports(database) as reports:
            yield reports
