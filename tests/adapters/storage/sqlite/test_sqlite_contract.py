"""The books in SQLite keep the contract."""

from __future__ import annotations

from tests.contracts.books.books_suite import BooksSuite
from tests.contracts.books.books_totals import BooksTexts


class TestSqliteBooks(BooksSuite, BooksTexts):
    """With the fixtures of this folder."""
