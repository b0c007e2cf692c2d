"""Facts that SQLite refuses."""

from __future__ import annotations

from tests.contracts.books.recorder_on_books import RecorderOnBooks


class TestRecorderOnSqlite(RecorderOnBooks):
    """With the fixtures of this folder."""
