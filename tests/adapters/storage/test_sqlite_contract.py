"""The books in SQLite keep the contract."""

from __future__ import annotations

from tests.contracts.books_suite import BooksSuite


class TestSqliteBooks(BooksSuite):
    """With the fixtures of this folder."""
