"""The keyed reads on a SQLite connection of their own that cannot write.

They run on the event loop's thread, as each is one short statement of 5 to 60 µs, which is less
than handing it to a thread and back would take. A read sees every transition whose `apply` has
returned, because each statement is a snapshot of its own. Must not know: the writer.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from service.adapters.storage.compiled import Statement
from service.adapters.storage.keyed_reads import KeyedReads
from service.adapters.storage.outage import Outage
from service.adapters.storage.read_queries import ReadStatements
from service.adapters.storage.sqlite_faults import fault_of


class SqliteReads(KeyedReads):
    """Finds rows by key. Every method raises BooksBusy when the database does not answer."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        statements: ReadStatements,
        *,
        path: Path,
        outage: Outage,
    ) -> None:
        """Take over the connection to the file at `path`; `close_reads` closes it."""
        super().__init__(statements)
        self._connection = connection
        self._path = path
        self._outage = outage

    def close_reads(self) -> None:
        """Let go of the file."""
        self._connection.close()

    async def _rows(self, statement: Statement, *values: str | int) -> list[Any]:
        try:
            return self._connection.execute(statement.sql, values).fetchall()
        except sqlite3.Error as error:
            raise fault_of(error, where=self._path, outage=self._outage) from error
