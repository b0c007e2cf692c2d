"""The books in memory keep the contract, so that what is tested with them holds elsewhere."""

from __future__ import annotations

import pytest

from tests.contracts.books.books_suite import BooksSuite
from tests.fakes.books import FakeBooks


class TestFakeBooks(BooksSuite):
    """Both ports are one object."""

    @pytest.fixture
    def books(self) -> FakeBooks:
        """Empty."""
        return FakeBooks()

    @pytest.fixture
    def reports(self, books: FakeBooks) -> FakeBooks:
        """The same rows."""
        return books
