"""Copies the books of a SQLite file into an empty PostgreSQL database, and proves them equal.

Every row of every table goes over in one transaction of the target; before it is committed both
sides are read again in the order of their keys and hashed.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import Table

from cobot_meter.adapters.storage.postgres.connections import (
    CONNECT_S,
    WRONG,
    Connection,
    unreachable,
)
from cobot_meter.adapters.storage.postgres.schema import (
    check_schema,
    found_schema,
    upgrade_postgres,
)
from cobot_meter.adapters.storage.postgres.session import LOST
from cobot_meter.adapters.storage.schema import head, other_schema
from cobot_meter.adapters.storage.sqlite.connections import WriterLock, connect_reader
from cobot_meter.adapters.storage.tables import METADATA
from cobot_meter.domain.errors import Broken, SettingInvalid

BUSY_TIMEOUT_S = 5.0
PREFETCH = 1_000
NEXT_NUMBER = """
SELECT setval(pg_get_serial_sequence('journal', 'sequence'),
  greatest((SELECT max(sequence) FROM journal), 1), EXISTS (SELECT 1 FROM journal))
"""
# PostgreSQL counts its entries beside the journal, whose numbers have honest gaps there.
COUNT_ENTRIES = "INSERT INTO tally SELECT 'journal', count(*) FROM journal"


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedTable:
    """One table that is the same on both sides: its rows, and their SHA-256 in hexadecimal."""

    name: str
    rows: int
    sha256: str


async def copy_books(source: Path, url: str) -> tuple[CopiedTable, ...]:
    """Copy everything, or nothing; what was copied, table by table.

    Raises SettingInvalid when a process has the source open, when it is of another version, or
    when the target has books already; Broken when the two are not equal in the end.
    """
    with closing(_opened(source)) as books, _alone(source):
        if await found_schema(url) is None:
            await upgrade_postgres(url)
        await check_schema(url)
        target = await _connected(url)
        try:
            return await _copied(books, target)
        except LOST as fault:
            raise unreachable(url, fault) from None
        finally:
            await target.close()


async def _connected(url: str) -> Connection:
    try:
        return await asyncpg.connect(url, timeout=CONNECT_S)
    except WRONG as fault:
        raise unreachable(url, fault) from None


@contextmanager
def _alone(source: Path) -> Iterator[None]:
    lock = WriterLock(source)
    try:
        yield
    finally:
        lock.release()


def _opened(source: Path) -> sqlite3.Connection:
    if not source.exists():
        message = f"there are no books at {source} to copy"
        raise SettingInvalid(message)
    try:
        books = connect_reader(source, busy_timeout_s=BUSY_TIMEOUT_S)
        found = books.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.DatabaseError as fault:
        message = f"{source} holds no books of this service: {fault}"
        raise SettingInvalid(message) from None
    if found != (head(),):
        books.close()
        raise other_schema(source, found and found[0])
    return books


async def _copied(books: sqlite3.Connection, target: Connection) -> tuple[CopiedTable, ...]:
    with _one_moment(books):
        async with target.transaction():
            for table in METADATA.sorted_tables:
                await _refuse_rows(target, table)
                names = [column.name for column in table.columns]
                await target.copy_records_to_table(
                    table.name, records=books.execute(_select(table)), columns=names
                )
            await target.execute(NEXT_NUMBER)
            proven = [await _proven(books, target, table) for table in METADATA.sorted_tables]
            await target.execute(COUNT_ENTRIES)
            return tuple(proven)


@contextmanager
def _one_moment(books: sqlite3.Connection) -> Iterator[None]:
    books.execute("BEGIN")
    try:
        yield
    finally:
        books.execute("ROLLBACK")


async def _refuse_rows(target: Connection, table: Table) -> None:
    await target.execute(f"LOCK TABLE {table.name} IN EXCLUSIVE MODE")
    if await target.fetchval(f"SELECT EXISTS (SELECT 1 FROM {table.name})"):  # noqa: S608 - ours
        message = f"the target has books already ({table.name} has rows): copy into an empty one"
        raise SettingInvalid(message)


async def _proven(books: sqlite3.Connection, target: Connection, table: Table) -> CopiedTable:
    here = _Digest()
    for row in books.execute(_select(table)):
        here.add(row)
    there = _Digest()
    async for record in target.cursor(_select(table), prefetch=PREFETCH):
        there.add(tuple(record))
    if (here.rows, here.sha256) != (there.rows, there.sha256):
        message = f"{table.name} is not the same in both databases; nothing was copied"
        raise Broken(message)
    return CopiedTable(name=table.name, rows=here.rows, sha256=here.sha256)


class _Digest:
    """Rows as Python values, which both drivers give alike: integers, texts, bytes and None."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.rows = 0

    def add(self, row: tuple[Any, ...]) -> None:
        self._hash.update(repr(row).encode())
        self.rows += 1

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


def _select(table: Table) -> str:
    """Everything, in the order of the key; texts are ordered by their bytes on both sides."""
    names = ", ".join(column.name for column in table.columns)
    key = ", ".join(column.name for column in table.primary_key.columns)
    return f"SELECT {names} FROM {table.name} ORDER BY {key}"  # noqa: S608 - names of ours
