"""Every column of every table is damaged in turn, on both databases, and the audit answers for it.

A column that is new in `tables.py` fails here until somebody has decided: the audit recomputes it,
or docs/audit.md says why it does not. So do rows: one of each table is taken away.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path
from typing import Any, Protocol

import asyncpg
from sqlalchemy import Column, LargeBinary, Table

from cobot_meter.adapters.storage.postgres.books import open_postgres_books
from cobot_meter.adapters.storage.postgres.session import refuse_another_secret
from cobot_meter.adapters.storage.report_queries import SHA256_HEX
from cobot_meter.adapters.storage.reports import StoredReports
from cobot_meter.adapters.storage.secret_marks import SecretProof, keep_mark
from cobot_meter.adapters.storage.sql_text import Statement
from cobot_meter.adapters.storage.sqlite.books import open_sqlite_books
from cobot_meter.adapters.storage.sqlite.reports import sha256_hex
from cobot_meter.adapters.storage.tables import METADATA
from cobot_meter.flows.audit.findings import AuditReport
from cobot_meter.flows.audit.ledger import AuditLedger
from tests.architecture.source_tree import source
from tests.domain.samples import RETENTION
from tests.flows.audit.audit_rig import ToldNode
from tests.flows.rigs.whole_books import tell_everything, told_node

DOCUMENT = "docs/audit.md"
# Another value that the column's own rule allows: a made-up one would be found too easily.
OTHERS = {
    "escrow.state": ("settled", "released"),
    "topup.state": ("credited", "lapsed"),
    "transfer.kind": ("posted", "pending"),
    "journal.kind": ("opened", "abandoned"),
    "commodity": ("pusd", "msat"),
    "nature": ("asset", "liability"),
    "cost_standing": ("provisional", "confirmed"),
    "least_privacy": ("zdr", "local"),
    "facts": ('{"a":1}', '{"b":2}'),
}
# Of these no two rows may have the same.
NUMBERS = {"sequence", "opened_sequence", "number"}
FLAGS = {"nameless", "newcomer", "stream", "occupies_ask", "exact", "blocked"}
PROOF = SecretProof(mark="a mark", payment_hash=lambda *_: "")
COLUMNS = [(table, column) for table in METADATA.sorted_tables for column in table.columns]
JOURNAL_KINDS = """
SELECT kind, min(sequence) FROM journal GROUP BY kind ORDER BY kind
"""


class Rows(Protocol):
    """One database with the whole story in it; what is done to it is undone afterwards."""

    async def query(self, sql: str) -> list[tuple[Any, ...]]: ...

    async def execute(self, sql: str, *values: object) -> None: ...

    async def audit(self) -> AuditReport: ...

    def undone(self) -> contextlib.AbstractAsyncContextManager[None]: ...


def not_audited(database: str) -> set[str]:
    """`table.column` of every row of the document's table that is about this database."""
    rows = re.findall(r"^\| `(\w+\.\w+)` \| (\w+) \|", source(DOCUMENT), flags=re.MULTILINE)
    return {column for column, where in rows if where in {"both", database}}


async def audit_of(reports: StoredReports, node: ToldNode) -> AuditReport:
    """With a node that has settled what the books say, and an upstream nobody asks."""
    audit = AuditLedger(reports=reports, node=lambda: node, upstream=None, retention=RETENTION)
    return await audit.audit()


class SqliteSession:
    """One connection, on which an audit sees what is not committed."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    async def all(
        self, made: Callable[[Any], Any], statement: Statement, *values: str | int | bytes
    ) -> tuple[Any, ...]:
        return tuple(made(self.connection.execute(statement.sql, values).fetchall()))

    async def stream(
        self, made: Callable[[Any], Any], statement: Statement, *values: str | int | bytes
    ) -> AsyncGenerator[Any, None]:
        for value in made(self.connection.execute(statement.sql, values).fetchall()):
            yield value

    async def begin(self) -> None:
        return

    async def end(self) -> None:
        return


class SqliteRows:
    """The story in a SQLite file whose triggers and checks are gone."""

    def __init__(self, path: Path, node: ToldNode) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.create_function(SHA256_HEX, 1, sha256_hex)
        self.connection.execute("PRAGMA ignore_check_constraints = ON")
        self.connection.execute("PRAGMA foreign_keys = OFF")
        triggers = self.connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in triggers.fetchall():
            self.connection.execute(f"DROP TRIGGER {name}")
        self.node = node

    async def query(self, sql: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql).fetchall()

    async def execute(self, sql: str, *values: object) -> None:
        self.connection.execute(re.sub(r"\$\d+", "?", sql), values)

    async def audit(self) -> AuditReport:
        session = SqliteSession(self.connection)
        lend = lambda: contextlib.nullcontext(session)  # noqa: E731
        return await audit_of(StoredReports(lend, database="sqlite"), self.node)

    @contextlib.asynccontextmanager
    async def undone(self) -> AsyncIterator[None]:
        self.connection.execute("BEGIN")
        try:
            yield
        finally:
            self.connection.execute("ROLLBACK")


class PostgresSession(SqliteSession):
    """The same over asyncpg."""

    def __init__(self, connection: Any) -> None:  # noqa: ANN401 - asyncpg ships no types
        self.asked = connection

    async def all(
        self, made: Callable[[Any], Any], statement: Statement, *values: str | int | bytes
    ) -> tuple[Any, ...]:
        return tuple(made([tuple(row) for row in await self.asked.fetch(statement.sql, *values)]))

    async def stream(
        self, made: Callable[[Any], Any], statement: Statement, *values: str | int | bytes
    ) -> AsyncGenerator[Any, None]:
        for value in made([tuple(row) for row in await self.asked.fetch(statement.sql, *values)]):
            yield value


class PostgresRows:
    """The story in a PostgreSQL database, whose triggers and checks are gone as well."""

    def __init__(self, connection: Any, node: ToldNode) -> None:  # noqa: ANN401
        self.connection = connection
        self.node = node

    async def query(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await self.connection.fetch(sql)]

    async def execute(self, sql: str, *values: object) -> None:
        await self.connection.execute(sql, *values)

    async def audit(self) -> AuditReport:
        session = PostgresSession(self.connection)
        lend = lambda: contextlib.nullcontext(session)  # noqa: E731
        return await audit_of(StoredReports(lend, database="postgresql"), self.node)

    @contextlib.asynccontextmanager
    async def undone(self) -> AsyncIterator[None]:
        transaction = self.connection.transaction()
        await transaction.start()
        try:
            yield
        finally:
            await transaction.rollback()


@contextlib.asynccontextmanager
async def sqlite_rows(folder: Path, node: ToldNode) -> AsyncIterator[Rows]:
    """A file with the story."""
    path = folder / "books.sqlite3"
    async with open_sqlite_books(path, retention=RETENTION) as books:
        keep_mark(path, PROOF)
        await tell_everything(books)
    rows = SqliteRows(path, node)
    try:
        yield rows
    finally:
        rows.connection.close()


@contextlib.asynccontextmanager
async def postgres_rows(url: str, node: ToldNode) -> AsyncIterator[Rows]:
    """A database with the story."""
    async with open_postgres_books(url, retention=RETENTION) as books:
        await refuse_another_secret(url, PROOF)
        await tell_everything(books)
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET session_replication_role = replica")
        checks = await connection.fetch(
            "SELECT conrelid::regclass AS home, conname FROM pg_constraint WHERE contype = 'c' "
            "AND connamespace = 'public'::regnamespace"
        )
        for check in checks:
            home, name = check["home"], check["conname"]
            await connection.execute(f"ALTER TABLE {home} DROP CONSTRAINT {name}")
        yield PostgresRows(connection, node)
    finally:
        await connection.close()


async def damaged(rows: Rows, table: Table, column: Column[Any]) -> str:
    """Change one value, one that is there if any row has one; what was changed."""
    names = [one.name for one in table.primary_key.columns]
    read = ("SELECT", ", ".join([*names, column.name]), "FROM", table.name)
    order = ("ORDER BY", column.name, "IS NULL,", ", ".join(names))
    found = await rows.query(" ".join((*read, *order)))
    assert found, f"the story leaves {table.name} empty"
    *key, value = found[0]
    other = another(column, value)
    where = " AND ".join(f"{name} = ${number + 2}" for number, name in enumerate(names))
    change = f"UPDATE {table.name} SET {column.name} = $1 WHERE {where}"  # noqa: S608 - ours
    await rows.execute(change, other, *key)
    return f"{table.name}.{column.name} of {key}: {value!r} became {other!r}"


def another(column: Column[Any], value: Any) -> object:  # noqa: ANN401 - any value of a column
    """Another value of the column's type, a likely one where a rule says which there are."""
    named = f"{column.table.name}.{column.name}"
    if others := OTHERS.get(named, OTHERS.get(column.name)):
        first, second = others
        return second if value == first else first
    if isinstance(column.type, LargeBinary):
        return (value or b"") + b"x"
    if column.name in FLAGS:
        return 1 - int(value)
    if column.type.python_type is int:
        return (value or 0) + (10**6 if column.name in NUMBERS else 1)
    return f"{value or ''}x"


async def answered_for(rows: Rows) -> dict[str, str]:
    """Of every column whose damage nobody found: what was changed."""
    assert (await rows.audit()).findings == ()
    silent = {}
    for table, column in COLUMNS:
        async with rows.undone():
            change = await damaged(rows, table, column)
            if (await rows.audit()).sound:
                silent[f"{table.name}.{column.name}"] = change
    return silent


async def missed_deletions(rows: Rows, *, unread: set[str]) -> list[str]:
    """Of a row of each table, and of an entry of each kind: those that nobody missed."""
    deletions = [
        f"DELETE FROM journal WHERE sequence = {sequence}"  # noqa: S608 - a number
        for _, sequence in await rows.query(JOURNAL_KINDS)
    ]
    for table in METADATA.sorted_tables:
        if {f"{table.name}.{column.name}" for column in table.columns} <= unread:
            continue  # the document says who looks at it instead
        key, name = table.primary_key.columns.keys()[0], table.name
        first = ("(SELECT", f"min({key})", "FROM", name)
        deletions.append(" ".join(("DELETE FROM", name, "WHERE", key, "=", *first, ")")))
    silent = []
    for sql in deletions:
        async with rows.undone():
            await rows.execute(sql)
            if (await rows.audit()).sound:
                silent.append(sql)
    return silent


async def test_the_story_has_a_row_in_every_table(tmp_path: Path) -> None:
    """What is not there cannot be damaged: a new table has to be told of."""
    async with sqlite_rows(tmp_path, await told_node()) as rows:
        for table in METADATA.sorted_tables:
            assert await rows.query(f"SELECT 1 FROM {table.name}"), table.name  # noqa: S608 - ours


async def test_every_column_is_answered_for(tmp_path: Path) -> None:
    """SQLite: what the audit does not find is what the document names, column by column."""
    async with sqlite_rows(tmp_path, await told_node()) as rows:
        silent = await answered_for(rows)
    assert set(silent) == not_audited("SQLite"), silent


async def test_every_column_is_answered_for_on_postgresql(database: str) -> None:
    """PostgreSQL: the same columns."""
    async with postgres_rows(database, await told_node()) as rows:
        silent = await answered_for(rows)
    assert set(silent) == not_audited("PostgreSQL"), silent


async def test_no_row_can_be_taken_away(tmp_path: Path) -> None:
    """SQLite: a row of each table that is audited, and an entry of each kind."""
    async with sqlite_rows(tmp_path, await told_node()) as rows:
        assert await missed_deletions(rows, unread=not_audited("SQLite")) == []


async def test_no_row_can_be_taken_away_on_postgresql(database: str) -> None:
    """PostgreSQL: the same, though its numbers have gaps that are honest."""
    async with postgres_rows(database, await told_node()) as rows:
        assert await missed_deletions(rows, unread=not_audited("PostgreSQL")) == []
