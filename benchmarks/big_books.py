"""Books with a long history, made quickly: real sales, multiplied inside the database.

A few sales are written as the service writes them. Then every row that belongs to them is copied
again and again under other names, as long and as ordered as real ones, and the shared accounts are
multiplied, so that the books still balance.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from benchmarks.ledger_sales import STEPS, Sales
from cobot_meter.adapters.storage.moves import Leg
from cobot_meter.adapters.storage.sqlite.schema import upgrade
from cobot_meter.adapters.storage.sqlite.statements import write_statements
from cobot_meter.adapters.storage.sqlite.transitions import TransitionWriter
from cobot_meter.domain.retention import Retention

# In the order of their foreign keys.
TABLES = ("journal", "transfer", "escrow", "run", "body")
SEQUENCES = frozenset({"sequence", "opened_sequence"})
# What a sale is known by, in any column: each copy has its own.
NAMES = ("escrow_id", "caller_id", "request_key", "address_key", "generation_id", "payment_hash")
CACHE_KIB = 400_000


def make_big_books(path: Path, sales: Sales, *, journal_rows: int) -> None:
    """New books at `path` with so many journal rows, all of sales that have ended."""
    upgrade(path)
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{CACHE_KIB}"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("BEGIN")
    _write_one(connection, sales)
    copies = journal_rows // STEPS - 1
    _name_copies(connection, sales, copies)
    for table in TABLES:
        _copy(connection, table)
    _copy(connection, "account", where="instr(code, original.caller_id)")
    _multiply_shared(connection, copies + 1)
    connection.execute("DROP TABLE temp.copy")
    connection.execute("COMMIT")
    _check(connection, journal_rows // STEPS * STEPS)
    connection.close()


def _write_one(connection: sqlite3.Connection, sales: Sales) -> None:
    cursor = connection.cursor()
    writer = TransitionWriter(cursor, statements=write_statements(), retention=Retention())
    legs: list[Leg] = []
    for transition in sales.make(1)[0]:
        writer.write(transition, legs)
    writer.roll_up(legs)


def _name_copies(connection: sqlite3.Connection, sales: Sales, copies: int) -> None:
    """The original's names, and those of each copy."""
    columns = ", ".join(NAMES)
    connection.execute(f"CREATE TEMP TABLE copy (number INTEGER PRIMARY KEY, {columns})")
    connection.execute(
        f"CREATE TEMP TABLE original AS SELECT {columns} "  # noqa: S608 - names of our own
        "FROM escrow JOIN run USING (run_id, escrow_id)"
    )
    connection.executemany("INSERT INTO copy VALUES (?, ?, ?, ?, ?, ?, ?)", _names(sales, copies))


def _names(sales: Sales, copies: int) -> Iterator[tuple[object, ...]]:
    """Names begin with a time that grows, as those of the service do."""
    names = sales.identifiers
    started_ms = sales.clock.now_ms() - copies
    for number in range(1, copies + 1):
        time = f"{started_ms + number:011x}"
        hashes = [secrets.token_hex(32) for _ in range(2)]
        yield (
            number,
            f"esc_{time}{names.escrow_id()[15:]}",
            f"c_{time}{names.caller_id()[13:]}",
            *hashes,
            f"gen-{number:034d}",
            secrets.token_hex(32),
        )


def _copy(connection: sqlite3.Connection, table: str, *, where: str = "TRUE") -> None:
    """Every row that the original sale wrote, once for each copy, in the order of time."""
    columns = [row[1:3] for row in connection.execute(f"PRAGMA table_info({table})")]
    values = ", ".join(_value(name, kind) for name, kind in columns)
    order = "rows.sequence" if table == "journal" else "1"
    connection.execute(
        f"INSERT INTO {table} SELECT {values} FROM copy "  # noqa: S608 - names of our own tables
        f"CROSS JOIN temp.original CROSS JOIN (SELECT * FROM {table}) AS rows "
        f"WHERE {where} ORDER BY copy.number, {order}"
    )


def _value(name: str, kind: str) -> str:
    if name in SEQUENCES:
        return f"rows.{name} + copy.number * {STEPS}"
    if name == "settle_index":
        return f"rows.{name} + copy.number"
    text = f"rows.{name}"
    if kind == "TEXT":
        for known in NAMES:
            text = f"replace({text}, original.{known}, copy.{known})"
    return text


def _multiply_shared(connection: sqlite3.Connection, times: int) -> None:
    """Accounts of the house were moved by every copy."""
    counters = ("debits_posted", "credits_posted", "debits_pending", "credits_pending")
    more = ", ".join(f"{name} = {name} * {times}" for name in counters)
    connection.execute(f"UPDATE account SET {more} WHERE code NOT LIKE 'caller/%'")  # noqa: S608


def _check(connection: sqlite3.Connection, journal_rows: int) -> None:
    """They are as long as they should be, and they balance."""
    (found,) = connection.execute("SELECT count(*) FROM journal").fetchone()
    assert found == journal_rows, found
    unbalanced = connection.execute(
        "SELECT commodity, sum(debits_posted) - sum(credits_posted) AS difference "
        "FROM account GROUP BY commodity HAVING difference"
    ).fetchall()
    assert not unbalanced, unbalanced
