"""PostgreSQL keeps the whole contract of books and reports, unchanged."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from cobot_meter.adapters.storage.postgres.books import PostgresBooks, open_postgres_books
from cobot_meter.adapters.storage.postgres.reports import open_postgres_reports
from cobot_meter.adapters.storage.reports import StoredReports
from tests.contracts.books.books_samples import RETENTION
from tests.contracts.books.books_suite import BooksSuite
from tests.contracts.books.books_totals import BooksTexts


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
