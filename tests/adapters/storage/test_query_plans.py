"""No statement of requests, driver or sweeps walks a table."""

from __future__ import annotations

import asyncio
import dataclasses
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cobot_meter.adapters.storage.read_queries import read_statements, subject_statements
from cobot_meter.adapters.storage.report_queries import report_statements
from cobot_meter.adapters.storage.sql_text import Statement
from cobot_meter.adapters.storage.sqlite.books import open_sqlite_books
from cobot_meter.adapters.storage.sqlite.statements import (
    move_row,
    open_row,
    row_by_key,
    write_statements,
)
from cobot_meter.adapters.storage.table_specs import VERSIONED_SPECS
from cobot_meter.adapters.storage.tables import METADATA
from tests.contracts.books.books_samples import RETENTION, Sale, give_credit, opened
from tests.postgres.cluster import Cluster

# The reads of reports that requests ask for; the others may walk.
REQUESTED = ("statement", "sold_tasks", "callers")
SCAN = re.compile(rf"SCAN ({'|'.join(METADATA.tables)})\b")
SORT = "TEMP B-TREE"


def statements() -> Iterator[tuple[str, Statement]]:
    """Everything that runs while requests are served, by name."""
    reports = report_statements()
    yield from ((f"report {name}", getattr(reports, name)) for name in REQUESTED)
    for spec in VERSIONED_SPECS:
        yield (f"open {spec.table}", open_row(spec))
        yield (f"{spec.table} by key", row_by_key(spec))
        for fields in (None, *((name,) for name in spec.fields)):
            yield (f"move {spec.table}/{fields}", move_row(spec, fields))
    subjects = subject_statements()
    yield ("tasks", subjects.tasks)
    for name in ("pages", "pages_in"):
        pages = enumerate(getattr(subjects, name))
        yield from ((f"{name}/{number}", statement) for number, statement in pages)
    for group in (write_statements(), read_statements()):
        for field in dataclasses.fields(group):
            found = getattr(group, field.name)
            variants = found if isinstance(found, tuple) else (found,)
            yield from (
                (f"{type(group).__name__}.{field.name}/{number}", statement)
                for number, statement in enumerate(variants)
            )


async def populate(path: Path) -> None:
    """A little of everything."""
    async with open_sqlite_books(path, retention=RETENTION) as books:
        for number in range(10):
            sale = Sale(books, opened(f"esc_{number}", caller_id=f"c_{number % 5}"))
            await sale.open()
            if number % 2:
                await sale.generate()
                await sale.cost()
                await sale.invoice()
            await give_credit(books, caller_id="c_1", amount_msat=1_000, name=str(number))


@pytest.fixture(scope="module")
def populated(
    empty_books: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[sqlite3.Connection]:
    """Books with something in every table."""
    path = Path(shutil.copy(empty_books, tmp_path_factory.mktemp("populated") / "books.sqlite3"))
    asyncio.run(populate(path))
    with closing(sqlite3.connect(path)) as connection:
        yield connection


def plan(connection: sqlite3.Connection, statement: Statement) -> list[str]:
    """What SQLite would do."""
    values = [1] * len(statement.names)
    rows = connection.execute(f"EXPLAIN QUERY PLAN {statement.sql}", values).fetchall()
    return [row[3] for row in rows]


@pytest.mark.parametrize(
    "statement", [pytest.param(statement, id=name) for name, statement in statements()]
)
def test_no_statement_scans_a_table(populated: sqlite3.Connection, statement: Statement) -> None:
    """Every row is found by a key or an index, and what is sorted is one page at most."""
    lines = plan(populated, statement)
    assert [line for line in lines if SCAN.search(line)] == []
    assert statement.sql == report_statements().statement.sql or SORT not in " ".join(lines)


def test_a_scan_would_be_noticed(populated: sqlite3.Connection) -> None:
    """A read without an index shows itself."""
    walking = report_statements()
    assert [line for line in plan(populated, subject_statements().like[0]) if SCAN.search(line)]
    assert [line for line in plan(populated, walking.trial_balance) if SORT in line]


def test_postgresql_finds_the_keys_of_the_day_by_their_index(
    cluster: Cluster, database: str
) -> None:
    """The name is looked up in the partial index, and no body is read for it."""
    statement = read_statements("postgresql").next_body_key
    asked = statement.sql.replace("$1", "''")
    sql = f"SET enable_seqscan = off; SET enable_bitmapscan = off; EXPLAIN {asked}"
    plan_of_it = cluster.sql(sql, database=database.rpartition("/")[2])
    assert "using ix_body_sealed_with" in plan_of_it
    assert "Sort" not in plan_of_it
