"""Facts that PostgreSQL refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from cobot_meter.adapters.storage.postgres.books import PostgresBooks, open_postgres_books
from tests.contracts.books.books_samples import RETENTION
from tests.contracts.books.recorder_on_books import RecorderOnBooks


class TestRecorderOnPostgres(RecorderOnBooks):
    """On a database of each test's own."""

    @pytest.fixture
    async def books(self, database: str) -> AsyncIterator[PostgresBooks]:
        """Open, and empty."""
        async with open_postgres_books(database, retention=RETENTION) as books:
            yield books
